//! Device module: quantize. x → int8 codes and scales, bit for bit as NUMERICS.md has them.
//!
//! One file an op; what they have in common:
//! - T is f32, f16 or bf16. x `[rows, cols]` has any row stride and is aligned to one element; its rows are read with
//!   16-byte loads whatever their alignment, and nothing outside them is touched.
//! - The codes `[rows, cols]` lie `row_bytes` apart from a 16-byte boundary on, zero from `cols` to `row_bytes`.
//!   They do not overlap x.
//! - Blocks have `contract::grid::THREADS` threads. Any grid is right: warps or blocks walk on in steps of the grid.
//! - A team is the threads of a block with one `%tid.y`, `%ntid.x` of them: a power of two (`contract::grid::team`).
#![cfg_attr(target_arch = "nvptx64", no_std, feature(abi_ptx, asm_experimental_arch))]

mod code;
mod encode_rows;
pub mod pack_rows;
pub mod pack_weights;
pub mod quantize_asym;
pub mod quantize_outliers;
pub mod quantize_preset;
mod quantize_rows;
pub mod quantize_smooth_static;
pub mod quantize_smooth_token;
pub mod quantize_static;
pub mod quantize_tensor;
pub mod quantize_token;
mod smoothed;
mod tally;
mod transform;

cuda_std::shared_array! {
    /// For the maximum over a block.
    pub(crate) fn quantize_block_maxima() -> [u32; rows::BLOCK_MAXIMA];
}
