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
use contract::grid::{CACHED_COLS, THREADS, WARP_COLS};
use cuda_std::kernel;
use cuda_std::math::opaque_b64;
use cuda_std::memory::st_global_b32;
use cuda_std::warp::WARP_SIZE;
use rows::{Bf16, Block, F16, Float, Group, Row, WINDOW_BYTES, Warp, numeric};

use crate::code::{CodeRow, Divisor};
use crate::quantize_block_maxima;

/// 16-byte windows of a row of `cols` elements that each of `threads` threads holds.
const fn windows_per_thread(cols: u64, threads: u32, element_bytes: u64) -> usize {
    (cols * element_bytes).div_ceil(threads as u64 * WINDOW_BYTES as u64) as usize
}

/// Quantizes the group's rows. A row's first `HELD * G::SIZE` windows stay in registers between the maximum and the
/// codes, so that x is read once; a longer row is read on and then read again.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the group call it together.
#[inline(always)]
unsafe fn quantize_token<T: Float, G: Group, const HELD: usize>(args: &QuantizeTokenArgs, mut group: G) {
    let rank = G::rank() as u64;
    let mut next_row_idx = G::index();
    // Warp-uniform, for a block block-uniform: the collectives below are reached together.
    while next_row_idx < args.x.rows {
        // Saves 18 registers: most launches give each group one row.
        let row_idx = opaque_b64(next_row_idx);
        let row = Row::<T>::new(&args.x, row_idx);
        let share = row.share(rank, G::SIZE as u64);
        let edge = row.edge(rank);

        // Load. All loads first, so that they are in flight together. What is not there stays 0.
        let mut held = [[0; 4]; HELD];
        for (step, window) in held.iter_mut().enumerate() {
            if share.has(step as u64) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { share.load(step as u64) };
            }
        }
        // SAFETY: the row's own edge.
        let held_edge = unsafe { row.load_edge(edge) };

        // Compute: the maximum, and what follows from it in every thread alike.
        let mut absmax = T::absmax([0; 2], held_edge);
        for &window in &held {
            absmax = T::absmax(absmax, window);
        }
        let mut step = HELD as u64;
        while share.reaches(step) {
            // SAFETY: the row is live and has the window: only a first one can be missing.
            absmax = T::absmax(absmax, unsafe { share.load(step) });
            step += 1;
        }
        // SAFETY: all threads of the group are here.
        let absmax = f32::from_bits(unsafe { group.max(T::absmax_bits(absmax)) });
        let scale = numeric::scale(absmax);
        let divisor = Divisor::new(scale);

        // Store.
        let codes = CodeRow::new(&args.q, row_idx);
        // SAFETY: every code is stored by the thread that holds its number, the padding and the scale by one each.
        unsafe {
            if rank == 0 {
                st_global_b32(args.scales + 4 * row_idx, numeric::canonical(scale));
            }
            for (step, &window) in held.iter().enumerate() {
                if share.has(step as u64) {
                    codes.store_window(&row, share.col(step as u64), divisor.codes::<T>(window));
                }
            }
            codes.store_edge::<T>(edge, divisor.codes::<T>(held_edge));
            let mut step = HELD as u64;
            while share.reaches(step) {
                codes.store_window(&row, share.col(step), divisor.codes::<T>(share.load(step)));
                step += 1;
            }
            codes.store_padding(G::rank(), G::SIZE);
        }
        next_row_idx += G::count();
    }
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
            const HELD: usize = windows_per_thread(CACHED_COLS, THREADS, size_of::<$element>() as u64);
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_token::<$element, Block, HELD>(&args, Block::new(quantize_block_maxima())) }
        }

        /// x → codes and one scale a row, a warp a row: for short rows.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(shfl_sync = 5))]
        pub unsafe fn $warp(args: QuantizeTokenArgs) {
            const HELD: usize = windows_per_thread(WARP_COLS, WARP_SIZE, size_of::<$element>() as u64);
            // SAFETY: the caller's.
            unsafe { quantize_token::<$element, Warp, HELD>(&args, Warp) }
        }
    };
}

entries!(f32, blocks = 2, quantize_token_block_f32, quantize_token_warp_f32);
entries!(F16, blocks = 3, quantize_token_block_f16, quantize_token_warp_f16);
entries!(Bf16, blocks = 3, quantize_token_block_bf16, quantize_token_warp_bf16);
