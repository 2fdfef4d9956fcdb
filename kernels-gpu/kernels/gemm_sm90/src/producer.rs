//! The warpgroup that loads. Its first warp fills the ring, its second brings what the columns of y multiply and add.

use contract::args::{Bias, GemmArgs, Scales};
use contract::hopper_tile::{HopperTile, Multicast, X_BOX_ROWS};
use contract::packed;
use contract::swizzle::ROW_BYTES;
use cuda_std::bulk::{
    cp_async_bulk_shared_global, cp_async_bulk_shared_global_multicast, cp_async_bulk_tensor_2d_shared_global,
    cp_async_bulk_tensor_2d_shared_global_multicast,
};
use cuda_std::cluster::cluster_ctarank;
use cuda_std::mbarrier::{
    mbarrier_arrive_expect_tx_shared_b64, mbarrier_arrive_shared_b64, mbarrier_wait_parity_shared_b64,
};
use cuda_std::memory::st_shared_b32;
use cuda_std::warp::{WARP_SIZE, lane_id};
use product::{load_bias, load_scale};

use crate::ring::{Cursor, Shared};
use crate::tiles::{Part, Tiles, in_pair};

/// Both blocks of a cluster.
pub(crate) const BOTH: u16 = 0b11;

/// Fills the ring with the block's tiles, k_block by k_block, as far ahead as there are empty slots: into the next tile while
/// the last one is still being stored.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract, `x_map` is its tensor map of x. One thread of
/// the block calls it, and the block does not exit before its peer has left the ring.
#[inline(always)]
pub(crate) unsafe fn fill_ring(args: &GemmArgs, x_map: u64, tile: HopperTile, shared: Shared) {
    let k_blocks = packed::k_blocks(args.q_w.cols);
    let last_panel = packed::panels(args.q_w.rows) - 1;
    let in_pair = in_pair();
    let rank = cluster_ctarank();
    let mut tiles = Tiles::of_this_block(args, tile);
    let mut cursor = Cursor::START;
    while let Some(Part { origin, first, k_blocks: count, .. }) = tiles.next() {
        let mut k_block = first as u64;
        let end = k_block + count as u64;
        while k_block < end {
            let (slot, full) = (cursor.slot, shared.full(cursor.slot));
            // SAFETY: the slot was read, in both blocks of a pair; every copy into it completes on `full`.
            unsafe {
                // A new barrier's wait for parity 1 returns at once: the first round finds all slots empty.
                mbarrier_wait_parity_shared_b64(shared.empty(slot), cursor.parity ^ 1);
                mbarrier_arrive_expect_tx_shared_b64(full, tile.stage_bytes());
                let k = k_block as i32 * ROW_BYTES as i32;
                for i in 0..tile.block_m / X_BOX_ROWS {
                    let (dst, row) =
                        (shared.x(slot) + i * X_BOX_ROWS * ROW_BYTES, origin.row as i32 + (i * X_BOX_ROWS) as i32);
                    if !(in_pair && matches!(tile.multicast, Multicast::X)) {
                        cp_async_bulk_tensor_2d_shared_global(dst, x_map, k, row, full);
                    } else if i / (tile.block_m / X_BOX_ROWS / 2) == rank {
                        cp_async_bulk_tensor_2d_shared_global_multicast(dst, x_map, [k, row], full, BOTH);
                    }
                }
                for i in 0..tile.w_panels() {
                    // Panels past the last would be columns past y: any bytes do, but all that are expected must come.
                    let panel = (origin.col / packed::PANEL_ROWS + i as u64).min(last_panel);
                    let src = args.q_w.ptr + packed::tile(panel, k_block, k_blocks);
                    let (dst, bytes) = (shared.w(slot) + i * packed::TILE_BYTES as u32, packed::TILE_BYTES as u32);
                    if !(in_pair && matches!(tile.multicast, Multicast::W)) {
                        cp_async_bulk_shared_global(dst, src, bytes, full);
                    } else if i / (tile.w_panels() / 2) == rank {
                        cp_async_bulk_shared_global_multicast(dst, src, bytes, full, BOTH);
                    }
                }
            }
            cursor.advance(tile.stages);
            k_block += 1;
        }
    }
}

/// Brings s_w and the bias of each tile's columns, a tile ahead of their use: the warps that store would wait for them.
///
/// # Safety
/// As [`fill_ring`]; one warp calls it, as a whole.
#[inline(always)]
pub(crate) unsafe fn fill_columns(args: &GemmArgs, tile: HopperTile, shared: Shared) {
    let mut tiles = Tiles::of_this_block(args, tile);
    let mut cursor = Cursor::START;
    while let Some(Part { origin, .. }) = tiles.next() {
        let (set, columns) = (cursor.slot, shared.columns(cursor.slot));
        // SAFETY: the set was read; columns past y have no factors, and nothing is read for them.
        unsafe {
            mbarrier_wait_parity_shared_b64(shared.columns_empty(set), cursor.parity ^ 1);
            let mut i = lane_id();
            while i < tile.block_n {
                let col = origin.col + i as u64;
                let (s_w, bias) = if col < args.y.cols { factors(&args.s_w, &args.bias, col) } else { (0.0, 0.0) };
                st_shared_b32(columns + 4 * i, s_w.to_bits());
                st_shared_b32(columns + 4 * (tile.block_n + i), bias.to_bits());
                i += WARP_SIZE;
            }
            mbarrier_arrive_shared_b64(shared.columns_full(set));
        }
        cursor.advance(tile.column_sets());
    }
}

/// s_w and the bias of column `col`.
///
/// # Safety
/// The column is in y.
#[inline(always)]
unsafe fn factors(s_w: &Scales, bias: &Bias, col: u64) -> (f32, f32) {
    // SAFETY: every column of y has a scale and, where there is a bias, an element of it.
    unsafe { (load_scale(s_w, col), load_bias(bias, col)) }
}
