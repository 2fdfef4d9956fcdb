//! `outlier_columns`: x → which columns have an element of at least the threshold's magnitude, by chunks of rows.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `outlier_columns_T` | `OutlierColumnsArgs` | 256 threads: a chunk of rows, a thread a column | 0 | 1 vote a chunk |
//!
//! masks u32 `[chunks, ceil(cols / 32)]`, every word written once: no atomic, and nothing to be zeroed before. A NaN
//! is no outlier, an infinity is one.
//!
//! Who may diverge: only loads and the comparison depend on the thread; the vote is reached together.

use contract::args::OutlierColumnsArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use cuda_std::memory::st_global_b32;
use cuda_std::thread::{block_idx_x, grid_dim_x, thread_idx_x};
use cuda_std::warp::{FULL_MASK, WARP_SIZE, lane_id, vote_sync_ballot_b32};
use rows::{Bf16, F16, Float};

/// Loads of a thread that are in flight together.
const BATCH: usize = 8;

/// Whether column `col` has an outlier in the rows from `first` to before `end`, of which there is one.
///
/// # Safety
/// The column and the rows are live.
#[inline(always)]
unsafe fn has_outlier<T: Float>(args: &OutlierColumnsArgs, col: u64, first: u64, end: u64) -> bool {
    let mut found = false;
    let mut row = first;
    while row < end {
        let mut elements = [0; BATCH];
        for (i, element) in elements.iter_mut().enumerate() {
            // The last row again where there is none: it changes nothing, and costs no predicate.
            let row = (row + i as u64).min(end - 1);
            // SAFETY: the element is inside x.
            *element = unsafe { T::load(args.x.ptr + (row * args.x.row_stride + col) * T::BYTES as u64) };
        }
        for element in elements {
            // A comparison with NaN is false.
            found |= T::widen([element, 0, 0, 0], 0).abs() >= args.threshold;
        }
        row += BATCH as u64;
    }
    found
}

/// The block's chunks.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn outlier_columns<T: Float>(args: &OutlierColumnsArgs) {
    let words = args.x.cols.div_ceil(WARP_SIZE as u64);
    // At least one, so that no division can panic.
    let col_tiles = args.x.cols.div_ceil(THREADS as u64).max(1);
    let mut chunk = block_idx_x() as u64 / col_tiles;
    let mut col_tile = block_idx_x() as u64 - chunk * col_tiles;
    // Block-uniform.
    while chunk * args.chunk_rows < args.x.rows {
        let first = chunk * args.chunk_rows;
        let col = col_tile * THREADS as u64 + thread_idx_x() as u64;
        // SAFETY: the column exists, and the chunk's first row does.
        let found = col < args.x.cols
            && unsafe { has_outlier::<T>(args, col, first, args.x.rows.min(first + args.chunk_rows)) };
        // SAFETY: all lanes are here.
        let word = unsafe { vote_sync_ballot_b32(FULL_MASK, found) };
        if lane_id() == 0 && col < args.x.cols {
            // SAFETY: the word of the warp's columns, which no other warp has.
            unsafe { st_global_b32(args.masks + 4 * (chunk * words + col / WARP_SIZE as u64), word) };
        }
        let next = col_tile + grid_dim_x() as u64;
        chunk += next / col_tiles;
        col_tile = next % col_tiles;
    }
}

/// The entry for one type of element. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, $name:ident) => {
        /// x → which columns have an outlier.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4), collectives(vote_sync = 1))]
        pub unsafe fn $name(args: OutlierColumnsArgs) {
            // SAFETY: the caller's.
            unsafe { outlier_columns::<$element>(&args) }
        }
    };
}

entry!(f32, outlier_columns_f32);
entry!(F16, outlier_columns_f16);
entry!(Bf16, outlier_columns_bf16);
