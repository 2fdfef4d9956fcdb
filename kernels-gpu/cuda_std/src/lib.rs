//! The device standard library: one function an instruction, Rust-CUDA's names where they exist.
