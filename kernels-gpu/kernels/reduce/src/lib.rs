//! Device module: reduce. The absmax of rows and of a whole matrix, a NaN kept (NUMERICS.md).
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `row_absmax_T` | `RowAbsmaxArgs` | 256 threads, a row a block at a time | 64 static | 1 barrier, 8 shuffles a row |
//! | `tensor_absmax_T` | `TensorAbsmaxArgs` | 256 threads | 64 static | 1 barrier, 8 shuffles |
//!
//! T is f32, f16 or bf16. x `[rows, cols]` has any row stride and is aligned to one element; its rows are read with
//! 16-byte loads whatever their alignment, and nothing outside them is touched. Any grid is right.
//!
//! Who may diverge: blocks go their own ways; inside a block only loads depend on the thread, and no collective does.
#![cfg_attr(target_arch = "nvptx64", no_std, feature(abi_ptx, asm_experimental_arch))]

use contract::args::{Matrix, RowAbsmaxArgs, TensorAbsmaxArgs};
use contract::grid::THREADS;
use cuda_std::memory::st_global_b32;
use cuda_std::thread::{block_idx_x, grid_dim_x, thread_idx_x};
use cuda_std::{kernel, shared_array};
use rows::{BLOCK_MAXIMA, Bf16, Block, F16, Float, Group, Row, numeric};

shared_array! {
    /// For the maximum over a block.
    fn reduce_block_maxima() -> [u32; BLOCK_MAXIMA];
}

/// Loads of a thread that are in flight together.
const BATCH: usize = 4;

/// Thread `rank` of the `threads` that share a row.
#[derive(Clone, Copy)]
struct Sharer {
    rank: u64,
    threads: u64,
}

/// The greater of `running` and the |elements| of the row that are the thread's.
///
/// # Safety
/// The row is readable and no thread of the kernel writes it.
#[inline(always)]
unsafe fn absmax_of_share<T: Float>(running: [u32; 2], row: &Row<T>, sharer: Sharer) -> [u32; 2] {
    // SAFETY: the row's own edge.
    let mut absmax = T::absmax(running, unsafe { row.load_edge(row.edge(sharer.rank)) });
    let share = row.share(sharer.rank, sharer.threads);
    let mut first = 0;
    while share.reaches(first) {
        let mut windows = [[0; 4]; BATCH];
        for (step, window) in windows.iter_mut().enumerate() {
            if share.has(first + step as u64) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { share.load(first + step as u64) };
            }
        }
        for &window in &windows {
            absmax = T::absmax(absmax, window);
        }
        first += BATCH as u64;
    }
    absmax
}

/// `row_absmax`.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn row_absmax<T: Float>(args: &RowAbsmaxArgs, mut block: Block) {
    let sharer = Sharer { rank: Block::rank() as u64, threads: Block::SIZE as u64 };
    let mut row_idx = Block::index();
    // Block-uniform: the collectives of `max` are reached together.
    while row_idx < args.x.rows {
        // SAFETY: the row is live; all threads of the block are here; one thread stores.
        unsafe {
            let absmax = absmax_of_share::<T>([0; 2], &Row::new(&args.x, row_idx), sharer);
            let absmax = block.max(T::absmax_bits(absmax));
            if thread_idx_x() == 0 {
                st_global_b32(args.absmax + 4 * row_idx, numeric::canonical(f32::from_bits(absmax)));
            }
        }
        row_idx += Block::count();
    }
}

/// `tensor_absmax`. A matrix without gaps is one long row, which all threads of the grid share; of any other, each
/// block takes whole rows.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn tensor_absmax<T: Float>(args: &TensorAbsmaxArgs, mut block: Block) {
    let dense = args.x.row_stride == args.x.cols || args.x.rows <= 1;
    let (x, sharer, first_row, row_step) = if dense {
        let cols = args.x.rows * args.x.cols;
        let grid = Sharer { rank: cuda_std::thread::index(), threads: grid_dim_x() as u64 * Block::SIZE as u64 };
        (Matrix { ptr: args.x.ptr, rows: 1, cols, row_stride: cols }, grid, 0, 1)
    } else {
        let own = Sharer { rank: Block::rank() as u64, threads: Block::SIZE as u64 };
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

/// The entries for one type of element. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    ($element:ty, $row:ident, $tensor:ident) => {
        /// x → the absmax of each row.
        ///
        /// # Safety
        /// The launch keeps to this module's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $row(args: RowAbsmaxArgs) {
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { row_absmax::<$element>(&args, Block::new(reduce_block_maxima())) }
        }

        /// x → the absmax of each block's share, 0 where it has none.
        ///
        /// # Safety
        /// The launch keeps to this module's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $tensor(args: TensorAbsmaxArgs) {
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { tensor_absmax::<$element>(&args, Block::new(reduce_block_maxima())) }
        }
    };
}

entries!(f32, row_absmax_f32, tensor_absmax_f32);
entries!(F16, row_absmax_f16, tensor_absmax_f16);
entries!(Bf16, row_absmax_bf16, tensor_absmax_bf16);
