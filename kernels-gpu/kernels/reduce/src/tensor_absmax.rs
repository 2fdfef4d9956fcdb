//! `tensor_absmax`: x → the absmax of each block's share, 0 where it has none.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `tensor_absmax_T` | `TensorAbsmaxArgs` | 256 threads | 64 static | 1 barrier, 8 shuffles |
//!
//! partials f32 `[grid]`, every one written; at most 2²² blocks. Who may diverge: every thread, but for the
//! maximum, which all threads of a block reach together.

use contract::args::{Matrix, TensorAbsmaxArgs};
use contract::grid::THREADS;
use cuda_std::kernel;
use cuda_std::memory::st_global_b32;
use cuda_std::thread::{block_idx_x, grid_dim_x, index, thread_idx_x};
use rows::{Bf16, Block, F16, Float, Group, Row, numeric};

use crate::reduce_block_maxima;
use crate::share::{Sharer, absmax_of_share};

/// A matrix without gaps is one long row, which all threads of the grid share; of any other, each
/// block takes whole rows.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn tensor_absmax<T: Float>(args: &TensorAbsmaxArgs, mut block: Block) {
    let dense = args.x.row_stride == args.x.cols || args.x.rows <= 1;
    let (x, sharer, first_row, row_step) = if dense {
        let cols = args.x.rows * args.x.cols;
        let grid = Sharer { rank: index(), threads: grid_dim_x() * Block::SIZE };
        (Matrix { ptr: args.x.ptr, rows: 1, cols, row_stride: cols }, grid, 0, 1)
    } else {
        let own = Sharer { rank: Block::rank() as u64, threads: Block::SIZE };
        (args.x, own, Block::index(), Block::count())
    };
    let mut absmax = [0; 2];
    let mut row_idx = first_row;
    while row_idx < x.rows {
        // SAFETY: the row is live.
        absmax = unsafe { absmax_of_share::<T>(absmax, &Row::new(&x, row_idx), sharer) };
        row_idx += row_step;
    }
    // SAFETY: all threads of the block are here; one thread stores.
    unsafe {
        let absmax = block.max(T::absmax_bits(absmax));
        if thread_idx_x() == 0 {
            st_global_b32(args.partials + 4 * block_idx_x() as u64, numeric::canonical(f32::from_bits(absmax)));
        }
    }
}

/// The entry for one type of element. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, $name:ident) => {
        /// x → the absmax of each block's share.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $name(args: TensorAbsmaxArgs) {
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { tensor_absmax::<$element>(&args, Block::new(reduce_block_maxima())) }
        }
    };
}

entry!(f32, tensor_absmax_f32);
entry!(F16, tensor_absmax_f16);
entry!(Bf16, tensor_absmax_bf16);
