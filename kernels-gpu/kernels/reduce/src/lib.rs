//! Device module: reduce. The absmax of rows, of columns and of a whole matrix, a NaN kept; the scale that the maxima
//! of batches make as they run; the sums of rows of codes (NUMERICS.md).
//!
//! One file an op; what they have in common:
//! - T is f32, f16 or bf16. x `[rows, cols]` has any row stride and is aligned to one element; its rows are read with
//!   16-byte loads whatever their alignment, and nothing outside them is touched.
//! - Blocks have `contract::grid::THREADS` threads. Any grid is right: blocks walk on in steps of the grid.
//! - A team is the threads of a block with one `%tid.y`, `%ntid.x` of them: a power of two (`contract::grid::team`).
#![cfg_attr(target_arch = "nvptx64", no_std, feature(abi_ptx, asm_experimental_arch))]

pub mod column_absmax;
pub mod outlier_columns;
pub mod outlier_list;
pub mod row_absmax;
pub mod row_sums;
pub mod running_scale;
mod share;
pub mod tensor_absmax;

cuda_std::shared_array! {
    /// For the maximum over a block.
    pub(crate) fn reduce_block_maxima() -> [u32; rows::BLOCK_MAXIMA];
}
