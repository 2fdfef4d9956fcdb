//! `row_sums`: int8 codes → the sum of each row. Made once a weight, for products with zero points.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `row_sums` | `RowSumsArgs` | 256 threads, a row a warp | 0 | 5 shuffles a row |
//!
//! q `[rows, cols]` lies as `contract::packed` says, zero from `cols` on: a row is whole k_blocks, and its zeros may be
//! summed too; where a k_block's chunks lie does not matter to a sum. sums i32 `[rows]`; 128 · cols must fit.
//!
//! Who may diverge: warps go their own ways; inside a warp only loads and the store depend on the lane.

use contract::args::RowSumsArgs;
use contract::grid::THREADS;
use contract::packed::{self, PANEL_ROWS, TILE_BYTES};
use contract::swizzle::{CHUNKS, ROW_BYTES};
use cuda_std::kernel;
use cuda_std::math::dp4a_s32_s32;
use cuda_std::memory::{ld_global_nc_v4_b32, st_global_b32};
use rows::{Group, WINDOW_BYTES, Warp, warp_sum};

/// A 1 in each byte.
const ONES: u32 = 0x0101_0101;

/// The warp's rows, one after the other.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract.
#[kernel(launch_bounds(THREADS, 4), collectives(shfl_sync = 5))]
pub unsafe fn row_sums(args: RowSumsArgs) {
    let k_blocks = packed::k_blocks(args.q.cols);
    let windows = k_blocks * CHUNKS as u64;
    let mut row_idx = Warp::index();
    // Warp-uniform: the shuffles are reached together.
    while row_idx < args.q.rows {
        let row =
            args.q.ptr + packed::tile(row_idx / PANEL_ROWS, 0, k_blocks) + row_idx % PANEL_ROWS * ROW_BYTES as u64;
        let mut sum = 0;
        let mut window = Warp::rank() as u64;
        while window < windows {
            // SAFETY: the window is in the row, on a 16-byte boundary.
            let words = unsafe {
                let (k_block, chunk) = (window / CHUNKS as u64, window % CHUNKS as u64);
                ld_global_nc_v4_b32(row + k_block * TILE_BYTES + chunk * WINDOW_BYTES as u64)
            };
            for word in words {
                sum = dp4a_s32_s32(word, ONES, sum);
            }
            window += Warp::SIZE as u64;
        }
        // SAFETY: all lanes are here; one stores.
        unsafe {
            let sum = warp_sum(sum);
            if Warp::rank() == 0 {
                st_global_b32(args.sums + 4 * row_idx, sum as u32);
            }
        }
        row_idx += Warp::count();
    }
}
