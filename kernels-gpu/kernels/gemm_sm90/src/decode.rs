//! `gemm` on Hopper with the operands exchanged: w streams through a ring of shared memory, its rows the M side of `wgmma`.
//!
//! | entry | argument | block | cluster | shared bytes |
//! |---|---|---|---|---|
//! | `gemm_TILE_OUTPUT` | `GemmDecodeArgs` | `decode_tile::THREADS` | 1 or 2 blocks | `tile.shared_bytes()`, dynamic |
//!
//! TILE is one of `contract::decode_tile::TILES`, OUTPUT is f32, f16, bf16 or i32.
//!
//! - Operands and y as in `gemm`; M at most what TMA counts, 2³¹.
//! - workspace: `tile.workspace_bytes(..)`.
//!
//! A step is a k_block of a tile, two panels of w for up to `tile.tokens` tokens; a cluster has steps side by side
//! (`contract::split::Walk`), as many as any other, whatever the shape. The last warp loads: one lane of it, a slot a step,
//! into the next tile while this one is finished, so that `tile.stages` times 16 KiB of w are on their way at any time. Two
//! warpgroups multiply, each its panel, and finish a tile together ([`crate::decode_finish`]). With clusters of 2 the blocks
//! have tokens side by side, and each loads half of w for both.
//!
//! Who may diverge: roles differ by warp; of the warp that loads one lane works. The two warpgroups pass the same named
//! barriers, `MEETING`, for every part; where w ends with one panel the second multiplies nothing and passes them too, as both do
//! where the last pair has tokens for one block. A cluster barrier after the barriers are made, and one before the end.
//!
//! Every element of y is the sum of its own row of x and of w, so a token's result depends on no other token.

use contract::args::{GemmArgs, GemmDecodeArgs};
use contract::decode_tile::{
    CONSUMER_THREADS, D128X8, D128X16, D128X32, D128X64, D128X96, D128X144, D128X192, DecodeTile, GROUPS, ROWS, THREADS,
};
use contract::hopper_tile::{GROUP_THREADS, PLACE_BYTES, descriptor, place};
use contract::packed::{self, PANEL_ROWS, TILE_BYTES};
use contract::split::{Part, Walk};
use contract::swizzle::ROW_BYTES;
use cuda_std::bulk::{
    cp_async_bulk_shared_global, cp_async_bulk_shared_global_multicast, cp_async_bulk_tensor_2d_shared_global,
};
use cuda_std::cluster::{
    barrier_cluster_arrive, barrier_cluster_wait, cluster_ctarank, cluster_nctarank, clusterid_x,
    mapa_shared_cluster_u32, nclusterid_x,
};
use cuda_std::mbarrier::{
    fence_mbarrier_init_release_cluster, mbarrier_arrive_expect_tx_shared_b64, mbarrier_arrive_shared_cluster_b64,
    mbarrier_init_shared_b64, mbarrier_wait_parity_shared_b64,
};
use cuda_std::sync::sync_warp;
use cuda_std::thread::thread_idx_x;
use cuda_std::warp::{FULL_MASK, WARP_SIZE, elect_sync, lane_id};
use cuda_std::wgmma::{wgmma_commit_group, wgmma_wait_group};
use cuda_std::{kernel, param_address};
use product::Output;
use product::split::Team;
use rows::{Bf16, F16};

use crate::accumulators::Sums;
use crate::decode_finish::finish;
use crate::producer::BOTH;
use crate::ring::{Cursor, gemm_sm90_shared};
use crate::tiles::in_pair;
use crate::uniform::uniform;

/// Named barrier of the threads that multiply (barrier 0 is the whole block's).
pub(crate) const MEETING: u32 = 1;

/// Bytes of K in one product.
const MMA_K_BYTES: u32 = 32;

/// Shared addresses of what a block's warps meet in.
#[derive(Clone, Copy)]
struct Ring {
    base: u32,
    tile: DecodeTile,
}

impl Ring {
    /// The w tile of slot `slot`; the tokens follow it.
    #[inline(always)]
    fn slot(&self, slot: u32) -> u32 {
        self.base + slot * self.tile.stage_bytes()
    }

    /// The words in which sums are exchanged.
    #[inline(always)]
    fn sums(&self) -> u32 {
        self.base + self.tile.sums_offset()
    }

    /// The barrier that says that slot `slot` is full.
    #[inline(always)]
    fn full(&self, slot: u32) -> u32 {
        self.base + self.tile.barriers_offset() + 8 * slot
    }

    /// The barrier that says that every warp that multiplies has read slot `slot`, those of the other block of a cluster too.
    #[inline(always)]
    fn empty(&self, slot: u32) -> u32 {
        self.full(self.tile.stages + slot)
    }

    /// Makes the barriers.
    ///
    /// # Safety
    /// One thread of the block calls it, before a barrier of the cluster that all pass.
    #[inline(always)]
    unsafe fn init_barriers(&self) {
        // SAFETY: the addresses are those of the barriers in the layout; nobody has made them.
        unsafe {
            for slot in 0..self.tile.stages {
                mbarrier_init_shared_b64(self.full(slot), 1);
                mbarrier_init_shared_b64(self.empty(slot), CONSUMER_THREADS / WARP_SIZE * cluster_nctarank());
            }
            fence_mbarrier_init_release_cluster();
        }
    }
}

/// The cluster's parts: the same for every warp of it.
#[inline(always)]
fn walk(args: &GemmArgs, tile: DecodeTile) -> Walk {
    let tiles = tile.cluster_tiles(args.y.rows, args.y.cols, in_pair());
    Walk::new(tiles, packed::k_blocks(args.q_w.cols) as u32, clusterid_x(), nclusterid_x())
}

/// Place along M of the block's own tile of those of its cluster.
#[inline(always)]
pub(crate) fn own_tile(part: Part) -> u32 {
    part.down * cluster_nctarank() + cluster_ctarank()
}

/// Panels of w that tile `across` has: one in the last where their number is odd.
#[inline(always)]
fn panels(args: &GemmArgs, across: u32) -> u32 {
    let left = packed::panels(args.q_w.rows) - GROUPS as u64 * across as u64;
    if left < GROUPS as u64 { left as u32 } else { GROUPS }
}

/// Fills the ring with the block's steps, as far ahead as there are empty slots.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract, `x_map` is its tensor map of x. One thread of the
/// block calls it, and the block does not exit before its peer has left the ring.
#[inline(always)]
unsafe fn load(args: &GemmArgs, x_map: u64, tile: DecodeTile, ring: Ring) {
    let k_blocks = packed::k_blocks(args.q_w.cols);
    let (in_pair, rank) = (in_pair(), cluster_ctarank());
    let mut walk = walk(args, tile);
    let mut cursor = Cursor::START;
    while let Some(part) = walk.next() {
        let panels = panels(args, part.across);
        let first_panel = GROUPS as u64 * part.across as u64;
        let mut k_block = part.first;
        while k_block < part.first + part.steps {
            let (slot, full) = (ring.slot(cursor.slot), ring.full(cursor.slot));
            // SAFETY: the slot was read, in both blocks of a pair; every copy into it completes on `full`, and as many bytes are expected.
            unsafe {
                // A new barrier's wait for parity 1 returns at once: the first round finds all slots empty.
                mbarrier_wait_parity_shared_b64(ring.empty(cursor.slot), cursor.parity ^ 1);
                mbarrier_arrive_expect_tx_shared_b64(full, panels * TILE_BYTES as u32 + tile.x_stage_bytes());
                let source =
                    |group: u32| args.q_w.ptr + packed::tile(first_panel + group as u64, k_block as u64, k_blocks);
                if in_pair {
                    // Half of w from each block, of one panel too (4 KiB; bulk copies take multiples of 16 bytes): else one block's warps
                    // could arrive for a round before the loader of the other has waited for the one before.
                    let bytes = panels * TILE_BYTES as u32 / GROUPS;
                    let (group, at) = if panels == GROUPS { (rank, 0) } else { (0, rank * bytes) };
                    let (dst, src) = (slot + group * TILE_BYTES as u32 + at, source(group) + at as u64);
                    cp_async_bulk_shared_global_multicast(dst, src, bytes, full, BOTH);
                } else {
                    for group in 0..panels {
                        let dst = slot + group * TILE_BYTES as u32;
                        cp_async_bulk_shared_global(dst, source(group), TILE_BYTES as u32, full);
                    }
                }
                let (k, token) = ((k_block * ROW_BYTES) as i32, (own_tile(part) * tile.tokens) as i32);
                cp_async_bulk_tensor_2d_shared_global(slot + tile.w_stage_bytes(), x_map, k, token, full);
            }
            cursor.advance(tile.stages);
            k_block += 1;
        }
    }
}

/// Computes the block's parts, as warpgroup `group`.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract. All warps of both warpgroups call it, each as a whole, and
/// their block does not exit before its peer has left the ring.
#[inline(always)]
unsafe fn multiply<O: Output, S: Sums>(args: &GemmArgs, tile: DecodeTile, ring: Ring, group: u32) {
    let (w, x) = (place(ring.slot(0) + group * TILE_BYTES as u32), place(ring.slot(0) + tile.w_stage_bytes()));
    let team = Team { barrier: MEETING, threads: CONSUMER_THREADS, thread: thread_idx_x() };
    // Lanes below the number of blocks say to each block that the warp has read a slot.
    let releases = lane_id() < cluster_nctarank();
    // SAFETY: the barrier is in the layout, the rank in the cluster.
    let empty = unsafe { mapa_shared_cluster_u32(ring.empty(0), lane_id().min(cluster_nctarank() - 1)) };
    let mut walk = walk(args, tile);
    let mut cursor = Cursor::START;
    let mut sums = S::ZERO;
    loop {
        let part = walk.next().unwrap_or(Part::NONE);
        // SAFETY: each slot is waited for before and released after its products.
        unsafe {
            let part = Part { across: uniform(part.across), steps: uniform(part.steps), ..part };
            if part.steps == 0 {
                break;
            }
            let has_panel = group < panels(args, part.across);
            let mut step = 0;
            let mut last = cursor.slot;
            while step < part.steps {
                mbarrier_wait_parity_shared_b64(ring.full(cursor.slot), cursor.parity);
                if has_panel {
                    sums.fence();
                    let slot = cursor.slot * (tile.stage_bytes() / PLACE_BYTES);
                    for i in 0..ROW_BYTES / MMA_K_BYTES {
                        // Within the swizzle's pattern of 1,024 bytes a step along K moves the start alone.
                        let k = i * MMA_K_BYTES / PLACE_BYTES;
                        let accumulate = if i == 0 { step.min(1) } else { 1 };
                        sums.multiply(descriptor(slot + w + k), descriptor(slot + x + k), accumulate);
                    }
                    wgmma_commit_group();
                    // The products before these are done, and so is their slot.
                    wgmma_wait_group::<1>();
                }
                if step > 0 && releases {
                    mbarrier_arrive_shared_cluster_b64(empty + 8 * last);
                }
                last = cursor.slot;
                cursor.advance(tile.stages);
                step += 1;
            }
            sums.wait();
            if releases {
                mbarrier_arrive_shared_cluster_b64(empty + 8 * last);
            }
            finish::<O, S>(args, tile, ring.sums(), team, part, has_panel.then_some(&sums));
            sync_warp(FULL_MASK);
        }
    }
}

/// The whole of a block; `x_map` is the address of the argument, which begins with the tensor map of x.
///
/// # Safety
/// The launch keeps to this file's contract and `args` describes live memory of these shapes.
#[inline(always)]
unsafe fn run<O: Output, S: Sums>(args: &GemmArgs, x_map: u64, tile: DecodeTile) {
    let ring = Ring { base: gemm_sm90_shared(), tile };
    // SAFETY: all threads of the cluster come here; roles are taken by whole warps, and all return to the last barrier.
    unsafe {
        let warp = uniform(thread_idx_x() / WARP_SIZE);
        let is_loader = warp == CONSUMER_THREADS / WARP_SIZE;
        let is_elected = elect_sync(FULL_MASK);
        if is_loader && is_elected {
            ring.init_barriers();
        }
        sync_warp(FULL_MASK);
        barrier_cluster_arrive();
        barrier_cluster_wait();
        if is_loader {
            if is_elected {
                load(args, x_map, tile, ring);
            }
            sync_warp(FULL_MASK);
        } else {
            multiply::<O, S>(args, tile, ring, warp / (GROUP_THREADS / WARP_SIZE));
        }
        // Until then the peer may still arrive at this block's barriers.
        barrier_cluster_arrive();
        barrier_cluster_wait();
    }
}

const _: () = assert!(ROWS as u64 == GROUPS as u64 * PANEL_ROWS);

/// The entries for one tile configuration. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    ($tile:ident, $registers:literal, bar_sync = $bar_sync:literal: $($entry:ident: $output:ty),*) => {
        $(
            /// The op of this file for one tile configuration and one type of y.
            ///
            /// # Safety
            /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
            #[kernel(
                launch_bounds(THREADS, 1),
                tensor_maps,
                collectives(
                    barrier_cluster = 4, bar_sync = $bar_sync, bar_red = 1, shfl_sync = 4, bar_warp_sync = 3, elect_sync = 1,
                    wgmma = 8, wgmma_sync = 7
                )
            )]
            pub unsafe fn $entry(args: GemmDecodeArgs) {
                const { assert!($registers == $tile.registers()) };
                // SAFETY: the caller's.
                unsafe { run::<$output, [i32; $registers]>(&args.product, param_address!($entry, 0), $tile) }
            }
        )*
    };
}

entries!(
    D128X8, 4, bar_sync = 3:
    gemm_d128x8_f32: f32, gemm_d128x8_f16: F16, gemm_d128x8_bf16: Bf16, gemm_d128x8_i32: i32
);
entries!(
    D128X16, 8, bar_sync = 3:
    gemm_d128x16_f32: f32, gemm_d128x16_f16: F16, gemm_d128x16_bf16: Bf16, gemm_d128x16_i32: i32
);
entries!(
    D128X32, 16, bar_sync = 3:
    gemm_d128x32_f32: f32, gemm_d128x32_f16: F16, gemm_d128x32_bf16: Bf16, gemm_d128x32_i32: i32
);
entries!(
    D128X64, 32, bar_sync = 3:
    gemm_d128x64_f32: f32, gemm_d128x64_f16: F16, gemm_d128x64_bf16: Bf16, gemm_d128x64_i32: i32
);
entries!(
    D128X96, 48, bar_sync = 5:
    gemm_d128x96_f32: f32, gemm_d128x96_f16: F16, gemm_d128x96_bf16: Bf16, gemm_d128x96_i32: i32
);
entries!(
    D128X144, 72, bar_sync = 7:
    gemm_d128x144_f32: f32, gemm_d128x144_f16: F16, gemm_d128x144_bf16: Bf16, gemm_d128x144_i32: i32
);
entries!(
    D128X192, 96, bar_sync = 7:
    gemm_d128x192_f32: f32, gemm_d128x192_f16: F16, gemm_d128x192_bf16: Bf16, gemm_d128x192_i32: i32
);
