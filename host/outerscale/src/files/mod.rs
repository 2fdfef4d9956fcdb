//! Files: layers in, results out, both safetensors.

mod folder;
mod layer;
mod output;
mod read;

pub use folder::OutputFolder;
pub use layer::Layer;
pub use output::{OutputFile, Tensor};
pub(crate) use read::{header_rule, open, sentences, tensors_and_format};
