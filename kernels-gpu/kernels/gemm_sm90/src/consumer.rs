//! The warpgroups that multiply: four products of 32 bytes of K a k_block for each m64 operand, and one group of products left
//! in flight while the next slot is waited for.

use contract::args::GemmArgs;
use contract::hopper_tile::{GROUP_THREADS, HopperTile, PLACE_BYTES, Schedule, descriptor, place};
use contract::packed;
use contract::swizzle::ROW_BYTES;
use cuda_std::cluster::{cluster_nctarank, mapa_shared_cluster_u32};
use cuda_std::mbarrier::{mbarrier_arrive_shared_cluster_b64, mbarrier_wait_parity_shared_b64};
use cuda_std::sync::{bar_arrive, bar_sync};
use cuda_std::warp::lane_id;
use cuda_std::wgmma::{wgmma_commit_group, wgmma_wait_group};
use product::Output;

use crate::accumulators::Sums;
use crate::epilogue::Epilogue;
use crate::ring::{Cursor, Shared};
use crate::sharing::meet;
use crate::tiles::{Origin, Part, Tiles};
use crate::uniform::uniform;

/// Bytes of K in one product.
const MMA_K_BYTES: u32 = 32;

/// Named barrier at which warpgroup `group` waits for its turn at the ring (barrier 0 is the whole block's).
#[inline(always)]
fn turn(group: u32) -> u32 {
    1 + group
}

/// One warpgroup's view of the ring.
struct Reader {
    shared: Shared,
    slot_bytes: u32,
    /// Places of the warpgroup's rows of x and of w in slot 0.
    x: u32,
    w: u32,
    /// In lanes below the number of blocks: the empty barrier of slot 0 in the block of that rank.
    empty: u32,
}

impl Reader {
    /// Waits for the slot at `cursor` and issues its products, without waiting for them.
    ///
    /// # Safety
    /// All warps of the warpgroup call it, each as a whole; `sums` was not touched since the last products but by waits.
    #[inline(always)]
    unsafe fn multiply<S: Sums, const FRAGS_M: usize>(&self, cursor: Cursor, sums: &mut [S; FRAGS_M], accumulate: u32) {
        // SAFETY: the slot's bytes are there after the wait, and nobody overwrites them before `release`.
        unsafe {
            mbarrier_wait_parity_shared_b64(self.shared.full(cursor.slot), cursor.parity);
            for m in 0..FRAGS_M {
                sums[m].fence();
            }
            let slot = cursor.slot * (self.slot_bytes / PLACE_BYTES);
            let (x, w) = (self.x + slot, self.w + slot);
            for step in 0..ROW_BYTES / MMA_K_BYTES {
                // Within the swizzle's pattern of 1,024 bytes a step along K moves the start alone.
                let k = step * MMA_K_BYTES / PLACE_BYTES;
                for m in 0..FRAGS_M {
                    let a = descriptor(x + m as u32 * 64 * ROW_BYTES / PLACE_BYTES + k);
                    sums[m].multiply(a, descriptor(w + k), if step == 0 { accumulate } else { 1 });
                }
            }
            wgmma_commit_group();
        }
    }

    /// Says in every block of the cluster that this warp has read slot `slot`.
    ///
    /// # Safety
    /// The warp's products of the slot were waited for; the blocks have not exited.
    #[inline(always)]
    unsafe fn release(&self, slot: u32) {
        if lane_id() < cluster_nctarank() {
            // SAFETY: the caller's.
            unsafe { mbarrier_arrive_shared_cluster_b64(self.empty + 8 * slot) };
        }
    }
}

/// Computes the tiles of warpgroup `group` (0 or 1).
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract, `y_map` is its tensor map of y. All warps of the
/// warpgroup call it, each as a whole, and its block does not exit before its peer has left the ring.
#[inline(always)]
pub(crate) unsafe fn consume<O: Output, S: Sums, const FRAGS_M: usize>(
    args: &GemmArgs,
    y_map: u64,
    tile: HopperTile,
    shared: Shared,
    group: u32,
) {
    let k_blocks = packed::k_blocks(args.q_w.cols) as u32;
    let ping_pong = matches!(tile.schedule, Schedule::PingPong);
    let rank = lane_id().min(cluster_nctarank() - 1);
    let row = if ping_pong { 0 } else { group * tile.group_m() };
    // SAFETY: the barrier is in the layout, the rank in the cluster.
    let empty = unsafe { mapa_shared_cluster_u32(shared.empty(0), rank) };
    let (x, w) = (place(shared.x(0) + row * ROW_BYTES), place(shared.w(0)));
    let reader = Reader { shared, slot_bytes: tile.stage_bytes(), x, w, empty };
    let mut epilogue = Epilogue::new(args, y_map, tile, shared, group);
    // SAFETY: the warp is here as a whole.
    let mut tiles = unsafe { Tiles::of_this_block(args, tile).of_this_warp() };
    let mut cursor = Cursor::START;
    let mut sums = [S::ZERO; FRAGS_M];
    if ping_pong && group == 1 {
        // The first tile is the other warpgroup's.
        let Some(others) = tiles.next() else { return };
        cursor.skip(others.k_blocks, tile.stages);
    }
    let mut first = true;
    while let Some(part) = tiles.next() {
        // SAFETY: each slot is waited for before and released after its products; turns alternate.
        unsafe {
            let part = Part { k_blocks: uniform(part.k_blocks), ..part };
            // A barrier tells the parity of a round, not its number: nobody may wait for rounds that lie further ahead.
            if ping_pong && !(first && group == 0) {
                bar_sync(turn(group), 2 * GROUP_THREADS);
            }
            first = false;
            let origin = Origin { row: part.origin.row + row as u64, ..part.origin };
            let s_x = epilogue.row_scales::<O, FRAGS_M>(origin);
            reader.multiply(cursor, &mut sums, 0);
            let mut last = cursor.slot;
            cursor.advance(tile.stages);
            let mut k_block = 1;
            while k_block < part.k_blocks {
                reader.multiply(cursor, &mut sums, 1);
                // The products before these are done, and so is their slot.
                wgmma_wait_group::<1>();
                reader.release(last);
                last = cursor.slot;
                cursor.advance(tile.stages);
                k_block += 1;
            }
            if ping_pong && tiles.more() {
                bar_arrive(turn(1 - group), 2 * GROUP_THREADS);
            }
            for m in 0..FRAGS_M {
                sums[m].wait();
            }
            reader.release(last);
            let is_whole = part.k_blocks == k_blocks || meet(args, tile, group, part, tiles.sharers(), &mut sums);
            epilogue.await_factors::<O>();
            if is_whole {
                epilogue.store::<O, S, FRAGS_M>(origin, &sums, &s_x);
            }
            epilogue.release_factors::<O>();
        }
        if ping_pong {
            // The tile in between is the other warpgroup's.
            let Some(others) = tiles.next() else { break };
            cursor.skip(others.k_blocks, tile.stages);
        }
    }
    // SAFETY: waits for the warp's own stores.
    unsafe { epilogue.finish() };
}
