//! `pack_weights`: int8 codes with any row stride and alignment → the same codes laid out as the products read weights.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `pack_weights` | `PackWeightsArgs` | 256 threads | 0 | none |
//!
//! x `[rows, cols]`: any row stride and alignment. q lies as `contract::packed` says, every byte of it written: zero
//! where there is no code.
//!
//! A thread makes one 16-byte chunk of q after the other, in the order in which they lie, in steps of the grid: a warp
//! stores 512 bytes side by side, and reads 128 of each of four rows. Weights are packed once, so that a source of odd
//! alignment may be read byte by byte.
//!
//! Who may diverge: every thread.

use contract::args::PackWeightsArgs;
use contract::grid::THREADS;
use contract::packed::{self, PANEL_ROWS, TILE_BYTES};
use contract::swizzle::{CHUNK_BYTES, CHUNKS};
use cuda_std::kernel;
use cuda_std::memory::{ld_global_nc_b8, ld_global_nc_v4_b32, st_global_v4_b32};
use cuda_std::thread::{block_idx_x, grid_dim_x, thread_idx_x};

/// Chunks of a k_block of a panel.
const TILE_CHUNKS: u64 = TILE_BYTES / CHUNK_BYTES as u64;

/// The codes of x from (row, col) on, as many as q has in a chunk; zeros where x has none.
///
/// # Safety
/// x is live memory of its shape.
#[inline(always)]
unsafe fn load_chunk(args: &PackWeightsArgs, row: u64, col: u64) -> [u32; 4] {
    let mut words = [0; 4];
    if row >= args.x.rows || col >= args.x.cols {
        return words;
    }
    let (addr, len) = (args.x.ptr + row * args.x.row_stride + col, args.x.cols - col);
    if len >= CHUNK_BYTES as u64 && addr.is_multiple_of(CHUNK_BYTES as u64) {
        // SAFETY: sixteen codes of the row, on a 16-byte boundary.
        return unsafe { ld_global_nc_v4_b32(addr) };
    }
    for byte in 0..CHUNK_BYTES as u64 {
        if byte < len {
            // SAFETY: a code of the row.
            let code = unsafe { ld_global_nc_b8(addr + byte) } as u32;
            words[(byte / 4) as usize] |= code << (8 * (byte % 4));
        }
    }
    words
}

/// # Safety
/// The launch keeps to this file's contract and `args` describes live memory of these shapes.
#[kernel(launch_bounds(THREADS, 4))]
pub unsafe fn pack_weights(args: PackWeightsArgs) {
    let k_blocks = packed::k_blocks(args.q.cols);
    // At least one: the division of nothing must not bring a panic in.
    let row_chunks = (k_blocks * TILE_CHUNKS).max(1);
    let chunks = packed::panels(args.q.rows) * row_chunks;
    let mut chunk = block_idx_x() as u64 * THREADS as u64 + thread_idx_x() as u64;
    while chunk < chunks {
        let (panel, in_panel) = (chunk / row_chunks, chunk % row_chunks);
        let (k_block, in_tile) = (in_panel / TILE_CHUNKS, in_panel % TILE_CHUNKS);
        let (row, place) = (in_tile / CHUNKS as u64, in_tile % CHUNKS as u64);
        // The swizzle is its own inverse.
        let col = (k_block * CHUNKS as u64 + (place ^ (row % CHUNKS as u64))) * CHUNK_BYTES as u64;
        // SAFETY: the caller's; the chunk is inside q and this thread's alone.
        unsafe {
            let words = load_chunk(&args, panel * PANEL_ROWS + row, col);
            st_global_v4_b32(args.q.ptr + chunk * CHUNK_BYTES as u64, words);
        }
        chunk += grid_dim_x() as u64 * THREADS as u64;
    }
}
