//! Compiles a Rust crate to PTX, with the API of Rust-CUDA's CudaBuilder.
