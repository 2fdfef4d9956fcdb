//! all-MiniLM-L6-v2, a sentence encoder, with its linear layers in float32 or through Outerscale.
//!
//! The way of the data: [`text`] (lines of a file → tokens) → [`encoder`] (tokens → embeddings), which hands every
//! linear layer to one of [`linears`]: float32, a quantized scheme, or float32 that shows its inputs to somebody.
//! [`capture`] writes
//! what it saw. [`model`] is what the model's files hold, [`units`] the names of its linears; [`similarity`] and
//! [`retrieval`] measure what comes out.

pub mod calibrate;
pub mod capture;
pub mod encoder;
pub mod linears;
pub mod model;
pub mod retrieval;
pub mod similarity;
pub mod text;
pub mod units;
