//! Device module: gemm_sm90. The int8 product on Hopper, for sm_90a.
//!
//! [`gemm`] has the contract and the entries. What happens in a block, by who does it: [`producer`] brings x, w and the
//! column factors, [`consumer`] multiplies, [`epilogue`] makes y of the sums; they meet in [`ring`] and walk the same
//! [`tiles`]; where clusters share one, their warpgroups meet ([`sharing`]). [`accumulators`] is what a warpgroup holds. [`decode`] is the product for few tokens, with the operands
//! exchanged, and [`decode_finish`] its way from sums to y. What a warp has in common is told to ptxas by [`uniform`](mod@uniform).
#![cfg_attr(target_arch = "nvptx64", no_std, feature(abi_ptx, asm_experimental_arch))]
#![allow(
    clippy::needless_range_loop,
    reason = "accumulators are several arrays under one index, a constant once unrolled"
)]

pub mod accumulators;
pub mod consumer;
pub mod decode;
pub mod decode_finish;
pub mod epilogue;
pub mod gemm;
pub mod producer;
pub mod ring;
pub mod sharing;
pub mod staging;
pub mod tiles;
pub mod uniform;
