//! Files: layers in, results out, both safetensors.

mod layer;
mod output;

pub use layer::Layer;
pub use output::{OutputFile, Tensor};
