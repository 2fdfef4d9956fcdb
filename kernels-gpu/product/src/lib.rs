//! What the int8 products share, whatever makes their accumulators: the types of y, scales and bias, tiles that blocks
//! share.
//!
//! The main loops are the device modules' own (`kernels/gemm` for every GPU, others for one architecture); that one
//! output has the same bits from each of them is because this is the one place that makes it.
#![cfg_attr(target_arch = "nvptx64", no_std)]

mod output;
mod scales;
pub mod split;

pub use output::Output;
pub use scales::{affine, load_bias, load_four_biases, load_four_scales, load_scale};
