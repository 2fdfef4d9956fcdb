//! `quantize_smooth_token`: x → codes and one scale a row of x'_j = f32(x_j / s_j), s one factor a column.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_smooth_token_block_T` | `QuantizeSmoothTokenArgs` | a block's, 256 threads | 64 static | 1 barrier, 8 shuffles a row |
//! | `quantize_smooth_token_warp_T` | `QuantizeSmoothTokenArgs` | a warp's | 0 | 5 shuffles a row |
//!
//! Both are right for any K; x is read once for as long rows as in `quantize_token`, by a block for ones of up to 14,336
//! columns where T has 16 bits. factors f32 `[cols]` from a
//! 16-byte boundary on, each in [2⁻¹⁰⁰, 2¹⁰⁰]; scales f32 `[rows]`. Who may diverge: as in `quantize_token`, and a row
//! that is not aligned reads its factors one by one.

use contract::args::QuantizeSmoothTokenArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use rows::{Bf16, Block, F16, Float, Group, Warp};

use crate::quantize_block_maxima;
use crate::quantize_rows::{Symmetric, held_by_block, held_by_warp, quantize_rows};
use crate::smoothed::Smoothed;

/// Quantizes the group's rows, divided.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the group call it together.
#[inline(always)]
unsafe fn quantize_smooth_token<T: Float, G: Group, const HELD: usize>(args: &QuantizeSmoothTokenArgs, group: G) {
    let (token, transform) = (&args.token, Smoothed { factors: args.factors });
    // SAFETY: the caller's.
    unsafe {
        quantize_rows::<T, _, _, G, HELD>((&token.x, &token.q), transform, Symmetric { scales: token.scales }, group)
    }
}

/// The entries for one type of element: two blocks to a multiprocessor, as a thread holds its windows in f32. Counts
/// of collectives are those in the PTX of the entry.
macro_rules! entries {
    ($element:ty, $block:ident, $warp:ident) => {
        /// x / s → codes and one scale a row, a block a row: for long rows.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 2), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $block(args: QuantizeSmoothTokenArgs) {
            // What a thread holds is x / s in f32: one window of a 16-bit type less, rows of up to 14,336 columns, as
            // with all of them ptxas 13.0.88 spills on sm_120.
            const HELD: usize = held_by_block::<$element>() - (size_of::<$element>() == 2) as usize;
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_smooth_token::<$element, Block, HELD>(&args, Block::new(quantize_block_maxima())) }
        }

        /// x / s → codes and one scale a row, a warp a row: for short rows.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 2), collectives(shfl_sync = 5))]
        pub unsafe fn $warp(args: QuantizeSmoothTokenArgs) {
            const HELD: usize = held_by_warp::<$element>();
            // SAFETY: the caller's.
            unsafe { quantize_smooth_token::<$element, Warp, HELD>(&args, Warp) }
        }
    };
}

entries!(f32, quantize_smooth_token_block_f32, quantize_smooth_token_warp_f32);
entries!(F16, quantize_smooth_token_block_f16, quantize_smooth_token_warp_f16);
entries!(Bf16, quantize_smooth_token_block_bf16, quantize_smooth_token_warp_bf16);
