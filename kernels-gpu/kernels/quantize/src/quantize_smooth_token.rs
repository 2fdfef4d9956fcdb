//! `quantize_smooth_token`: x → codes and one scale a row of x'_j = f32(x_j / s_j), s one factor a column.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_smooth_token_T` | `QuantizeSmoothTokenArgs` | a team's, 8 to 256 of the 256 threads | 64 static | 1 barrier, 8 shuffles a row |
//!
//! Right for any K and any team; x is read once for as long rows as in `quantize_token`. factors f32 `[cols]` from a
//! 16-byte boundary on, each in [2⁻¹⁰⁰, 2¹⁰⁰]; scales f32 `[rows]`. Who may diverge: as in `quantize_token`, and a row
//! that is not aligned reads its factors one by one.

use contract::args::QuantizeSmoothTokenArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use rows::{Bf16, F16, Float, Team};

use crate::quantize_block_maxima;
use crate::quantize_rows::{Symmetric, held, quantize_rows};
use crate::smoothed::Smoothed;

/// Quantizes the team's rows, divided.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn quantize_smooth_token<T: Float, const HELD: usize>(args: &QuantizeSmoothTokenArgs, team: Team) {
    let (token, transform) = (&args.token, Smoothed { factors: args.factors });
    // SAFETY: the caller's.
    unsafe { quantize_rows::<T, _, _, HELD>((&token.x, &token.q), transform, Symmetric { scales: token.scales }, team) }
}

/// The entry for one type of element, `blocks` to a multiprocessor: as many as leave registers for the windows that
/// a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, blocks = $blocks:literal, $name:ident) => {
        /// x / s → codes and one scale a row.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $name(args: QuantizeSmoothTokenArgs) {
            const HELD: usize = held::<$element>();
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_smooth_token::<$element, HELD>(&args, Team::new(quantize_block_maxima())) }
        }
    };
}

entry!(f32, blocks = 2, quantize_smooth_token_f32);
entry!(F16, blocks = 2, quantize_smooth_token_f16);
entry!(Bf16, blocks = 2, quantize_smooth_token_bf16);
