//! Device module: quantize. x → int8 codes and scales, bit for bit as NUMERICS.md has them.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_token_block_T` | `QuantizeTokenArgs` | 256 threads, a row a block at a time | 64 static | 1 barrier, 8 shuffles a row |
//! | `quantize_token_warp_T` | `QuantizeTokenArgs` | 256 threads, a row a warp at a time | 0 | 5 shuffles a row |
//! | `quantize_tensor_T` | `QuantizeTensorArgs` | 256 threads | 64 static | 1 barrier, 8 shuffles |
//! | `quantize_static_T` | `QuantizeStaticArgs` | 256 threads | 0 | none |
//! | `pack_rows` | `PackRowsArgs` | 256 threads | 0 | none |
//!
//! T is f32, f16 or bf16. x `[rows, cols]` has any row stride and is aligned to one element; its rows are read with
//! 16-byte loads whatever their alignment, and nothing outside them is touched. The codes lie `row_bytes` apart from
//! a 16-byte boundary on, zero from `cols` to `row_bytes`. x and codes do not overlap. Any grid is right: groups of
//! threads walk on in steps of the grid.
//!
//! Who may diverge: groups (warps or blocks, as the table says) go their own ways; inside a group only stores and the
//! loads of a row's edges depend on the thread, and no collective does.
#![cfg_attr(target_arch = "nvptx64", no_std, feature(abi_ptx, asm_experimental_arch))]

mod code;
mod elementwise;
mod token;

use contract::args::{PackRowsArgs, QuantizeStaticArgs, QuantizeTensorArgs, QuantizeTokenArgs};
use contract::grid::{CACHED_COLS, THREADS, WARP_COLS};
use cuda_std::warp::WARP_SIZE;
use cuda_std::{kernel, shared_array};
use rows::{BLOCK_MAXIMA, Bf16, Block, F16, Warp};

shared_array! {
    /// For the maximum over a block.
    fn quantize_block_maxima() -> [u32; BLOCK_MAXIMA];
}

/// 16-byte windows of a row of `cols` elements that each of `threads` threads holds.
const fn windows_per_thread(cols: u64, threads: u32, element_bytes: u64) -> usize {
    (cols * element_bytes).div_ceil(threads as u64 * rows::WINDOW_BYTES as u64) as usize
}

/// The entries for one type of element, `blocks` of `quantize_token` to a multiprocessor: as many as leave registers
/// for the windows that a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    ($element:ty, blocks = $blocks:literal, $token_block:ident, $token_warp:ident, $tensor:ident, $static:ident) => {
        /// x → codes and one scale a row, a block a row: for long rows.
        ///
        /// # Safety
        /// The launch keeps to this module's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $token_block(args: QuantizeTokenArgs) {
            const HELD: usize = windows_per_thread(CACHED_COLS, THREADS, size_of::<$element>() as u64);
            // SAFETY: the caller's.
            unsafe { token::quantize::<$element, Block, HELD>(&args, Block::new(quantize_block_maxima())) }
        }

        /// x → codes and one scale a row, a warp a row: for short rows.
        ///
        /// # Safety
        /// The launch keeps to this module's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(shfl_sync = 5))]
        pub unsafe fn $token_warp(args: QuantizeTokenArgs) {
            const HELD: usize = windows_per_thread(WARP_COLS, WARP_SIZE, size_of::<$element>() as u64);
            // SAFETY: the caller's.
            unsafe { token::quantize::<$element, Warp, HELD>(&args, Warp) }
        }

        /// x → codes with the one scale that the partial maxima of `tensor_absmax` give.
        ///
        /// # Safety
        /// The launch keeps to this module's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $tensor(args: QuantizeTensorArgs) {
            // SAFETY: the caller's.
            unsafe { elementwise::quantize_tensor::<$element>(&args, Block::new(quantize_block_maxima())) }
        }

        /// x → codes with a given scale, and the number of NaN and Inf among x.
        ///
        /// # Safety
        /// The launch keeps to this module's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4))]
        pub unsafe fn $static(args: QuantizeStaticArgs) {
            // SAFETY: the caller's.
            unsafe { elementwise::quantize_static::<$element>(&args) }
        }
    };
}

entries!(f32, blocks = 2, quantize_token_block_f32, quantize_token_warp_f32, quantize_tensor_f32, quantize_static_f32);
entries!(F16, blocks = 3, quantize_token_block_f16, quantize_token_warp_f16, quantize_tensor_f16, quantize_static_f16);
entries!(
    Bf16,
    blocks = 3,
    quantize_token_block_bf16,
    quantize_token_warp_bf16,
    quantize_tensor_bf16,
    quantize_static_bf16
);

/// int8 codes from elsewhere → the same codes in rows as the GEMM reads them.
///
/// # Safety
/// The launch keeps to this module's contract and `args` describes live memory of these shapes.
#[kernel(launch_bounds(THREADS, 4))]
pub unsafe fn pack_rows(args: PackRowsArgs) {
    // SAFETY: the caller's.
    unsafe { elementwise::pack_rows(&args) }
}
