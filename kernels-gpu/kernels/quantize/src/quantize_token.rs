//! `quantize_token`: x → codes and one scale a row, the reduction fused with the quantization. Also for rows of w.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_token_T` | `QuantizeTokenArgs` | a team's, 8 to 256 of the 256 threads | 64 static | 1 barrier, 8 shuffles a row |
//!
//! Right for any K and any team; a row of up to 64 columns a thread is read once.
//! scales f32 `[rows]`. A row's codes and scale depend on that row alone.
//!
//! Who may diverge: blocks go their own ways; inside a block only loads and stores depend on the thread or the row, and
//! no collective does.

use contract::args::QuantizeTokenArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use rows::{Bf16, F16, Float, Team};

use crate::quantize_block_maxima;
use crate::quantize_rows::{Symmetric, held, quantize_rows};
use crate::transform::Plain;

/// Quantizes the team's rows as they are.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn quantize_token<T: Float, const HELD: usize>(args: &QuantizeTokenArgs, team: Team) {
    // SAFETY: the caller's.
    unsafe { quantize_rows::<T, _, _, HELD>((&args.x, &args.q), Plain, Symmetric { scales: args.scales }, team) }
}

/// The entry for one type of element, `blocks` to a multiprocessor: as many as leave registers for the windows that
/// a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, blocks = $blocks:literal, $name:ident) => {
        /// x → codes and one scale a row.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $name(args: QuantizeTokenArgs) {
            const HELD: usize = held::<$element>();
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_token::<$element, HELD>(&args, Team::new(quantize_block_maxima())) }
        }
    };
}

entry!(f32, blocks = 2, quantize_token_f32);
entry!(F16, blocks = 3, quantize_token_f16);
entry!(Bf16, blocks = 3, quantize_token_bf16);
