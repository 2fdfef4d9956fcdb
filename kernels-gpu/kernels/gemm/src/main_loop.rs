//! The sum over K: a ring of slots filled by `cp.async`, emptied by `ldmatrix` and `mma.sync`.

use contract::args::GemmArgs;
use contract::fragment::{a_ldmatrix, b_ldmatrix};
use contract::gemm_tile::GemmTile;
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

/// The k_blocks of a tile that a block sums over.
#[derive(Clone, Copy)]
pub(crate) struct KRange {
    /// The first.
    pub(crate) first: u64,
    /// How many, at least one.
    pub(crate) count: u32,
}

/// q_x · q_wᵀ over `range` of the thread's outputs in the tile at `origin`; `slots` is the shared address of the ring.
///
/// The ring: the block's k_block b lies in slot b % stages and is its thread's copy group b. There is a group for
/// every round, of zeros past the range, so that "all but the newest stages - 2" means "up to the k_block of the round
/// to come" in every round, and the last step of the last may load operands that nobody multiplies.
///
/// Operands are loaded a step before they are multiplied, across rounds too: the barrier stands before the last step,
/// which the tensor cores work on meanwhile. It does two things. After it every thread's copies of the next k_block
/// are visible to all, as each thread has waited for its own before it. And the round's own slot is free, as no thread
/// comes to the barrier before it has loaded its last operands from there: it is filled again at once.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract; all threads of the block call it together.
#[inline(always)]
pub(crate) unsafe fn accumulate<C: Config, const FRAGS_M: usize, const FRAGS_N: usize>(
    args: &GemmArgs,
    origin: Origin,
    range: KRange,
    slots: u32,
) -> Accumulators<FRAGS_M, FRAGS_N> {
    let tile = C::TILE;
    let thread = thread_idx_x();
    let mut x = TokenLoader::<C>::new(&args.q_x, origin.row, range, thread);
    let mut w = WeightLoader::<C>::new(&args.q_w, origin.col, range.first, thread);
    let lane = LaneOffsets::of_this_thread(tile);
    let slots_end = slots + tile.shared_bytes();

    // SAFETY: the copies stay in the ring, and their slots are free and visible as argued above.
    unsafe {
        // A warp may still be reading the ring for the block's tile before this one.
        sync_threads();
        for b in 0..tile.stages {
            let fill = slots + b * tile.stage_bytes();
            x.issue(fill, b);
            w.issue(fill + tile.x_stage_bytes(), b < range.count);
            cp_async_commit_group();
        }
        wait_for_all_but(tile.stages - 1);
        sync_threads();

        let mut acc = [[[0; 4]; FRAGS_N]; FRAGS_M];
        let mut slot = slots;
        let mut operands = load_step(slot, 0, lane);
        let mut b = 0;
        while b < range.count {
            for step in 1..ROW_BYTES / MMA_K_BYTES {
                let ahead = load_step(slot, step, lane);
                multiply(&operands, &mut acc);
                operands = ahead;
            }
            wait_for_all_but(tile.stages - 2);
            sync_threads();
            let next = next_slot::<C>(slot, slots, slots_end);
            let ahead = load_step(next, 0, lane);
            multiply(&operands, &mut acc);
            operands = ahead;
            x.issue(slot, b + tile.stages);
            w.issue(slot + tile.x_stage_bytes(), b + tile.stages < range.count);
            cp_async_commit_group();
            slot = next;
            b += 1;
        }
        // The groups of zeros: the next tile's copies are not ordered after them otherwise.
        wait_for_all_but(0);
        acc
    }
}

/// Waits until at most the thread's `groups` newest groups of copies, a constant of the tile, are on their way.
///
/// # Safety
/// As [`cp_async_wait_group`].
#[inline(always)]
unsafe fn wait_for_all_but(groups: u32) {
    // SAFETY: the caller's.
    unsafe {
        match groups {
            0 => cp_async_wait_group::<0>(),
            1 => cp_async_wait_group::<1>(),
            2 => cp_async_wait_group::<2>(),
            3 => cp_async_wait_group::<3>(),
            // To wait for more than is needed is always right.
            _ => cp_async_wait_group::<0>(),
        }
    }
}

/// The slot after the one at `slot`.
#[inline(always)]
fn next_slot<C: Config>(slot: u32, slots: u32, slots_end: u32) -> u32 {
    let next = slot + C::TILE.stage_bytes();
    if next == slots_end { slots } else { next }
}

/// What a warp multiplies in one step along K: the m16 operands of x and the n8 operands of w.
#[derive(Clone, Copy)]
struct Operands<const FRAGS_M: usize, const FRAGS_N: usize> {
    x: [[u32; 4]; FRAGS_M],
    w: [[u32; 2]; FRAGS_N],
}

/// Loads the operands of step `step`, of 32 bytes of K, of the k_block in the slot at shared address `slot`.
///
/// # Safety
/// The k_block has arrived and is visible; all lanes of the warp call it together.
#[inline(always)]
unsafe fn load_step<const FRAGS_M: usize, const FRAGS_N: usize>(
    slot: u32,
    step: u32,
    lane: LaneOffsets,
) -> Operands<FRAGS_M, FRAGS_N> {
    // Rows start at multiples of 128 bytes: stepping along K is the same XOR for every row.
    let (x_addr, w_addr) = (slot + (lane.x ^ (step * MMA_K_BYTES)), slot + (lane.w ^ (step * MMA_K_BYTES)));
    let mut x = [[0; 4]; FRAGS_M];
    let mut w = [[0; 2]; FRAGS_N];
    // SAFETY: the addresses are those of the warp's rows in the slot; all lanes are here.
    unsafe {
        for i in 0..FRAGS_M {
            x[i] = ldmatrix_sync_aligned_m8n8_x4_shared_b16(x_addr + i as u32 * 16 * ROW_BYTES);
        }
        for pair in 0..FRAGS_N / 2 {
            let [b0, b1, b2, b3] = ldmatrix_sync_aligned_m8n8_x4_shared_b16(w_addr + pair as u32 * 16 * ROW_BYTES);
            w[2 * pair] = [b0, b1];
            w[2 * pair + 1] = [b2, b3];
        }
    }
    Operands { x, w }
}

/// Adds the products of one step.
///
/// # Safety
/// All lanes of the warp call it together.
#[inline(always)]
unsafe fn multiply<const FRAGS_M: usize, const FRAGS_N: usize>(
    operands: &Operands<FRAGS_M, FRAGS_N>,
    acc: &mut Accumulators<FRAGS_M, FRAGS_N>,
) {
    for i in 0..FRAGS_M {
        for j in 0..FRAGS_N {
            // SAFETY: the caller's.
            acc[i][j] = unsafe { mma_sync_m16n8k32_s32_s8(operands.x[i], operands.w[j], acc[i][j]) };
        }
    }
}
