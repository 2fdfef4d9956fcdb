//! What kernels and host agree on: tile shapes, shared-memory layout, index maps, kernel arguments.
//!
//! Nothing here is computed twice: the device code and the host take every size, offset, grid and map
//! from these const functions. A configuration that cannot work does not compile.
#![no_std]

pub mod args;
pub mod decode_tile;
pub mod fragment;
pub mod gemm_tile;
pub mod grid;
pub mod hopper_tile;
pub mod limits;
pub mod packed;
pub mod preset;
pub mod split;
pub mod stream;
pub mod stream_k;
pub mod swizzle;
