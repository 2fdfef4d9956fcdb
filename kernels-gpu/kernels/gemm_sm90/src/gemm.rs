//! `gemm` on Hopper: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ), bias)), or the int32 accumulators (NUMERICS.md).
//!
//! | entry | argument | block | cluster | shared bytes |
//! |---|---|---|---|---|
//! | `gemm_TILE_OUTPUT` | `GemmSm90Args` | `hopper_tile::THREADS` | 1 or 2 blocks | `tile.shared_bytes()`, dynamic |
//!
//! TILE is one of `contract::hopper_tile::TILES`, OUTPUT is f32, f16, bf16 or i32.
//!
//! - q_x `[M, K]` int8, rows `row_bytes` apart, a multiple of 16, from a 16-byte boundary on; what lies past K in a row is not read.
//! - q_w `[N, K]` int8, packed (`contract::packed`), zero from K on.
//! - s_x f32 `[M]` or `[1]`, s_w f32 `[N]` or `[1]`, bias f32 `[N]` or none: not read for i32.
//! - y `[M, N]`: any row stride, aligned to one element; by TMA where it begins and goes on at multiples of 16 bytes.
//!
//! Blocks are persistent: each computes tiles in steps of the grid, so any grid is right that is whole clusters. Warpgroup 0
//! loads: its warp 0 fills the ring (one lane), warp 1 brings column factors. Warpgroups 1 and 2 multiply and store. With
//! clusters of 2 the blocks share one operand's tile, and each loads half of it for both.
//!
//! Who may diverge: roles differ by warp; within a warp only the lane that loads, the one that sends boxes, the lanes that arrive at
//! barriers, and bounds of loads and ordinary stores. Collectives: a cluster barrier after the barriers are made and one before the
//! end; in between warps meet at mbarriers alone, and in ping-pong at two named barriers where they take turns.
//!
//! Every element of y is the sum of its own row of x and of w, so a token's result depends on no other token.

use contract::args::GemmSm90Args;
use contract::hopper_tile::{H128X128, H128X256, H256X128, HopperTile, THREADS};
use cuda_std::cluster::{barrier_cluster_arrive, barrier_cluster_wait};
use cuda_std::setmaxnreg::{setmaxnreg_dec, setmaxnreg_inc};
use cuda_std::sync::sync_warp;
use cuda_std::thread::thread_idx_x;
use cuda_std::warp::{FULL_MASK, WARP_SIZE, elect_sync};
use cuda_std::{kernel, param_address};
use product::Output;
use rows::{Bf16, F16};

use crate::accumulators::Sums;
use crate::consumer::consume;
use crate::producer::{fill_columns, fill_ring};
use crate::ring::{GROUP_WARPS, Shared};
use crate::uniform::uniform;

/// Registers of a thread that loads; what it gives up goes to those that multiply: 128 · 56 + 256 · 224 ≤ 65,536.
const PRODUCER_REGISTERS: u32 = 56;
const CONSUMER_REGISTERS: u32 = 224;

/// The whole of a block; `maps` is the address of the argument, which begins with the tensor maps of x and y.
///
/// # Safety
/// The launch keeps to this file's contract and `args` describes live memory of these shapes.
#[inline(always)]
unsafe fn run<O: Output, S: Sums, const FRAGS_M: usize>(args: &GemmSm90Args, maps: u64, tile: HopperTile) {
    let shared = Shared::of_this_block(tile);
    // SAFETY: all threads of the cluster come here; roles are taken by whole warps, and all return to the last barrier.
    unsafe {
        let warp = uniform(thread_idx_x() / WARP_SIZE);
        if warp == 0 {
            if elect_sync(FULL_MASK) {
                shared.init_barriers();
            }
            sync_warp(FULL_MASK);
        }
        barrier_cluster_arrive();
        barrier_cluster_wait();
        if warp < GROUP_WARPS {
            setmaxnreg_dec::<PRODUCER_REGISTERS>();
            if warp == 0 {
                if elect_sync(FULL_MASK) {
                    fill_ring(&args.product, maps, tile, shared);
                }
            } else if warp == 1 && O::SCALED {
                fill_columns(&args.product, tile, shared);
            }
            sync_warp(FULL_MASK);
        } else {
            setmaxnreg_inc::<CONSUMER_REGISTERS>();
            let y_map = if args.y_by_map == 0 { 0 } else { maps + size_of_val(&args.x_map) as u64 };
            consume::<O, S, FRAGS_M>(&args.product, y_map, tile, shared, warp / GROUP_WARPS - 1);
        }
        // Until then the peer may still arrive at this block's barriers.
        barrier_cluster_arrive();
        barrier_cluster_wait();
    }
}

/// The entries for one tile configuration. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    (
        $tile:ident, $registers:literal x $frags:literal, collectives $collectives:tt,
        wide($($wide:ident: $wide_output:ty),*), narrow($($narrow:ident: $narrow_output:ty),*)
    ) => {
        // 32-bit outputs are 8 boxes of a warp, written by `st.shared`; 16-bit ones 4, by `stmatrix`.
        $(entries!(@ $tile, $registers x $frags, (bar_warp_sync = 19), $collectives, $wide, $wide_output);)*
        $(entries!(
            @ $tile, $registers x $frags, (bar_warp_sync = 11, stmatrix = 16), $collectives, $narrow, $narrow_output
        );)*
    };
    (
        @ $tile:ident, $registers:literal x $frags:literal, ($($stores:tt)*), ($($products:tt)*), $entry:ident, $output:ty) => {
        /// The op of this file for one tile configuration and one type of y.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(
            launch_bounds(THREADS, 1),
            tensor_maps,
            collectives(barrier_cluster = 4, shfl_sync = 4, elect_sync = 2, setmaxnreg = 2, $($stores)*, $($products)*)
        )]
        pub unsafe fn $entry(args: GemmSm90Args) {
            const { assert!($registers == $tile.registers() && $frags == $tile.frags_m()) };
            // SAFETY: the caller's.
            unsafe { run::<$output, [i32; $registers], $frags>(&args, param_address!($entry, 0), $tile) }
        }
    };
}

entries!(
    H128X256, 128 x 1, collectives(wgmma = 8, wgmma_sync = 6, bar_sync = 1, bar_red = 1),
    wide(gemm_h128x256_f32: f32, gemm_h128x256_i32: i32), narrow(gemm_h128x256_f16: F16, gemm_h128x256_bf16: Bf16)
);
entries!(
    H256X128, 64 x 2, collectives(wgmma = 16, wgmma_sync = 9, bar_sync = 1, bar_red = 1),
    wide(gemm_h256x128_f32: f32, gemm_h256x128_i32: i32), narrow(gemm_h256x128_f16: F16, gemm_h256x128_bf16: Bf16)
);
entries!(
    H128X128, 64 x 2, collectives(wgmma = 16, wgmma_sync = 9, bar_sync = 2, bar_arrive = 1, bar_red = 1),
    wide(gemm_h128x128_f32: f32, gemm_h128x128_i32: i32), narrow(gemm_h128x128_f16: F16, gemm_h128x128_bf16: Bf16)
);
