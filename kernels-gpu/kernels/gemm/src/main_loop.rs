//! The sum over K: a ring of slots filled by `cp.async`, emptied by `ldmatrix` and `mma.sync`.

use contract::args::GemmArgs;
use contract::fragment::{a_ldmatrix, b_ldmatrix};
use contract::gemm_tile::GemmTile;
use contract::packed;
use contract::swizzle::{self, ROW_BYTES};
use cuda_std::cp_async::{cp_async_commit_group, cp_async_wait_group};
use cuda_std::ldmatrix::ldmatrix_sync_aligned_m8n8_x4_shared_b16;
use cuda_std::mma::mma_sync_m16n8k32_s32_s8;
use cuda_std::sync::sync_threads;
use cuda_std::thread::thread_idx_x;
use cuda_std::warp::{WARP_SIZE, lane_id};

use crate::tile_loader::{TokenLoader, WeightLoader};
use crate::tile_walk::{Accumulators, Config, Origin};

/// Bytes of K in one `mma.sync`.
const MMA_K_BYTES: u32 = 32;

/// The warp of a thread in its block's grid of warps.
#[derive(Clone, Copy)]
pub(crate) struct WarpPosition {
    /// First row of the warp's outputs in the tile.
    pub(crate) row: u32,
    /// First column of the warp's outputs in the tile.
    pub(crate) col: u32,
}

impl WarpPosition {
    #[inline(always)]
    pub(crate) fn of_this_thread(tile: GemmTile) -> Self {
        let warp = thread_idx_x() / WARP_SIZE;
        Self { row: warp / tile.warps_n * tile.warp_m(), col: warp % tile.warps_n * tile.warp_n() }
    }
}

/// Where a lane's addresses for `ldmatrix` start in a slot.
#[derive(Clone, Copy)]
struct LaneOffsets {
    x: u32,
    w: u32,
}

impl LaneOffsets {
    #[inline(always)]
    fn of_this_thread(tile: GemmTile) -> Self {
        let warp = WarpPosition::of_this_thread(tile);
        let (x_row, x_chunk) = a_ldmatrix(lane_id());
        let (w_slot, w_chunk) = b_ldmatrix(lane_id());
        Self {
            x: swizzle::offset(warp.row + x_row, x_chunk),
            w: tile.x_stage_bytes() + swizzle::offset(warp.col + w_slot, w_chunk),
        }
    }
}

/// q_x · q_wᵀ of the thread's outputs in the tile at `origin`; `slots` is the shared address of the ring.
///
/// The ring: k_block b lies in slot b % stages and is its thread's copy group b; a group is committed for every
/// round, an empty one too, so that "all but the newest IN_FLIGHT" always means "up to the k_block of this round".
/// One barrier a round does two things. After it every thread's copies of this round's k_block are visible to all,
/// as each thread has waited for its own before it. And the slot that the round fills next, the one read in the
/// round before, is free, as no thread comes to the barrier before it has read it.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract; all threads of the block call it together.
#[inline(always)]
pub(crate) unsafe fn accumulate<C: Config, const FRAGS_M: usize, const FRAGS_N: usize, const IN_FLIGHT: u32>(
    args: &GemmArgs,
    origin: Origin,
    slots: u32,
) -> Accumulators<FRAGS_M, FRAGS_N> {
    let tile = C::TILE;
    let thread = thread_idx_x();
    let mut x = TokenLoader::<C>::new(&args.q_x, origin.row, thread);
    let mut w = WeightLoader::<C>::new(&args.q_w, origin.col, thread);
    let lane = LaneOffsets::of_this_thread(tile);
    let slots_end = slots + tile.shared_bytes();
    let k_blocks = packed::k_blocks(args.q_w.cols) as u32;

    // SAFETY: the copies stay in the ring, and their slots are free and visible as argued above.
    unsafe {
        // A warp may still be reading the ring for the block's tile before this one.
        sync_threads();
        let mut fill = slots;
        for b in 0..tile.stages - 1 {
            if b < k_blocks {
                x.issue(fill);
                w.issue(fill + tile.x_stage_bytes());
            }
            cp_async_commit_group();
            fill += tile.stage_bytes();
        }

        let mut acc = [[[0; 4]; FRAGS_N]; FRAGS_M];
        let mut read = slots;
        let mut b = 0;
        while b < k_blocks {
            cp_async_wait_group::<IN_FLIGHT>();
            sync_threads();
            multiply_step(read, 0, lane, &mut acc);
            // The copies are issued while the tensor cores work on the first step.
            if b + tile.stages - 1 < k_blocks {
                x.issue(fill);
                w.issue(fill + tile.x_stage_bytes());
            }
            cp_async_commit_group();
            for step in 1..ROW_BYTES / MMA_K_BYTES {
                multiply_step(read, step, lane, &mut acc);
            }
            read = next_slot::<C>(read, slots, slots_end);
            fill = next_slot::<C>(fill, slots, slots_end);
            b += 1;
        }
        acc
    }
}

/// The slot after the one at `slot`.
#[inline(always)]
fn next_slot<C: Config>(slot: u32, slots: u32, slots_end: u32) -> u32 {
    let next = slot + C::TILE.stage_bytes();
    if next == slots_end { slots } else { next }
}

/// Adds the products of step `step` along K, of 32 bytes, of the k_block in the slot at shared address `slot`.
///
/// # Safety
/// The k_block has arrived and is visible; all lanes of the warp call it together.
#[inline(always)]
unsafe fn multiply_step<const FRAGS_M: usize, const FRAGS_N: usize>(
    slot: u32,
    step: u32,
    lane: LaneOffsets,
    acc: &mut Accumulators<FRAGS_M, FRAGS_N>,
) {
    // Rows start at multiples of 128 bytes: stepping along K is the same XOR for every row.
    let (x_addr, w_addr) = (slot + (lane.x ^ (step * MMA_K_BYTES)), slot + (lane.w ^ (step * MMA_K_BYTES)));
    let mut a = [[0; 4]; FRAGS_M];
    let mut b = [[0; 2]; FRAGS_N];
    // SAFETY: the addresses are those of the warp's rows in the slot; all lanes are here.
    unsafe {
        for i in 0..FRAGS_M {
            a[i] = ldmatrix_sync_aligned_m8n8_x4_shared_b16(x_addr + i as u32 * 16 * ROW_BYTES);
        }
        for pair in 0..FRAGS_N / 2 {
            let [b0, b1, b2, b3] = ldmatrix_sync_aligned_m8n8_x4_shared_b16(w_addr + pair as u32 * 16 * ROW_BYTES);
            b[2 * pair] = [b0, b1];
            b[2 * pair + 1] = [b2, b3];
        }
        for i in 0..FRAGS_M {
            for j in 0..FRAGS_N {
                acc[i][j] = mma_sync_m16n8k32_s32_s8(a[i], b[j], acc[i][j]);
            }
        }
    }
}
