//! `quantize_token`: x → codes and one scale a row, the reduction fused with the quantization. Also for rows of w.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_token_block_T` | `QuantizeTokenArgs` | a block's, 256 threads | 64 static | 1 barrier, 8 shuffles a row |
//! | `quantize_token_warp_T` | `QuantizeTokenArgs` | a warp's | 0 | 5 shuffles a row |
//!
//! Both are right for any K; a block reads a row of up to `CACHED_COLS` once, a warp one of up to `WARP_COLS`.
//! scales f32 `[rows]`. A row's codes and scale depend on that row alone.
//!
//! Who may diverge: groups (warps or blocks) go their own ways; inside a group only loads and stores depend on the
//! thread, and no collective does.

use contract::args::QuantizeTokenArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use rows::{Bf16, Block, F16, Float, Group, Warp};

use crate::quantize_block_maxima;
use crate::quantize_rows::{Symmetric, held_by_block, held_by_warp, quantize_rows};
use crate::transform::Plain;

/// Quantizes the group's rows as they are.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the group call it together.
#[inline(always)]
unsafe fn quantize_token<T: Float, G: Group, const HELD: usize>(args: &QuantizeTokenArgs, group: G) {
    // SAFETY: the caller's.
    unsafe { quantize_rows::<T, _, _, G, HELD>((&args.x, &args.q), Plain, Symmetric { scales: args.scales }, group) }
}

/// The entries for one type of element, `blocks` to a multiprocessor: as many as leave registers for the windows that
/// a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    ($element:ty, blocks = $blocks:literal, $block:ident, $warp:ident) => {
        /// x → codes and one scale a row, a block a row: for long rows.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $block(args: QuantizeTokenArgs) {
            const HELD: usize = held_by_block::<$element>();
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_token::<$element, Block, HELD>(&args, Block::new(quantize_block_maxima())) }
        }

        /// x → codes and one scale a row, a warp a row: for short rows.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(shfl_sync = 5))]
        pub unsafe fn $warp(args: QuantizeTokenArgs) {
            const HELD: usize = held_by_warp::<$element>();
            // SAFETY: the caller's.
            unsafe { quantize_token::<$element, Warp, HELD>(&args, Warp) }
        }
    };
}

entries!(f32, blocks = 2, quantize_token_block_f32, quantize_token_warp_f32);
entries!(F16, blocks = 3, quantize_token_block_f16, quantize_token_warp_f16);
entries!(Bf16, blocks = 3, quantize_token_block_bf16, quantize_token_warp_bf16);
