//! Device module: gemm. The int8 product and its epilogues.
//!
//! [`gemm`] has the contract of a product and its entries; tile_walk, tile_loader, main_loop and epilogue are what
//! happens to a tile, in this order. An op with an epilogue of its own is a file of its own.
#![cfg_attr(target_arch = "nvptx64", no_std, feature(abi_ptx, asm_experimental_arch))]
#![allow(
    clippy::needless_range_loop,
    reason = "fragments are several arrays under one index, a constant once unrolled"
)]

mod epilogue;
pub mod gemm;
pub mod gemm_asym;
pub mod gemm_outliers;
pub mod gemm_stream;
mod main_loop;
mod tile_loader;
mod tile_walk;
