//! `row_absmax`: x → the absmax of each row.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `row_absmax_T` | `RowAbsmaxArgs` | 256 threads, 8 to 256 of them a row | 64 static | 1 barrier, 8 shuffles a row |
//!
//! absmax f32 `[rows]`. Who may diverge: blocks go their own ways; inside a block only loads and the store depend on
//! the thread or the row, and no collective does.

use contract::args::{Matrix, RowAbsmaxArgs};
use contract::grid::THREADS;
use cuda_std::kernel;
use cuda_std::memory::st_global_b32;
use rows::{Bf16, F16, Float, Row, Team, numeric};

use crate::reduce_block_maxima;
use crate::share::{Sharer, absmax_of_share};

/// The team's rows, one after the other.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn row_absmax<T: Float>(args: &RowAbsmaxArgs, mut team: Team) {
    let sharer = Sharer { rank: team.rank() as u64, threads: team.threads() };
    let mut first_row_idx = team.first();
    // Block-uniform: the collectives of `max` are reached together, also by a team whose row does not exist.
    while first_row_idx < args.x.rows {
        let row_idx = first_row_idx + team.place() as u64;
        let exists = row_idx < args.x.rows;
        let x = Matrix { cols: if exists { args.x.cols } else { 0 }, ..args.x };
        // SAFETY: the row is live; all threads of the block are here; one thread stores.
        unsafe {
            let absmax = absmax_of_share::<T>([0; 2], &Row::new(&x, row_idx), sharer);
            let absmax = team.max(T::absmax_bits(absmax));
            if exists && team.rank() == 0 {
                st_global_b32(args.absmax + 4 * row_idx, numeric::canonical(f32::from_bits(absmax)));
            }
        }
        first_row_idx += team.count();
    }
}

/// The entry for one type of element. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, $name:ident) => {
        /// x → the absmax of each row.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $name(args: RowAbsmaxArgs) {
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { row_absmax::<$element>(&args, Team::new(reduce_block_maxima())) }
        }
    };
}

entry!(f32, row_absmax_f32);
entry!(F16, row_absmax_f16);
entry!(Bf16, row_absmax_bf16);
