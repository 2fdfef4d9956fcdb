//! Stream capture on the simulated GPU: what is captured and launched, and what breaks a capture.

mod bench;
#[path = "../common/mod.rs"]
mod common;
mod graphs;
#[path = "../common/raw.rs"]
mod raw;
mod rules;
