//! The walk over the tiles of y that all products share, and the macro that makes their entries.

use contract::gemm_tile::{
    GemmTile, T16X64, T32X64, T48X128, T64X64, T80X128, T96X128, T128X128, T128X256, T128X256S3, T160X192,
};
use contract::packed;
use contract::stream_k::Deal;
use cuda_std::dynamic_shared_mem;
use cuda_std::thread::{block_idx_x, grid_dim_x, thread_idx_x};

use crate::epilogue::{self, Epilogue};
use crate::main_loop::{self, KRange};
use product::Output;
use product::split::{Meeting, Team};

dynamic_shared_mem! {
    /// The ring of slots. Rows of a tile are 128 bytes, and the swizzle counts on them to start at multiples of it.
    fn gemm_slots() -> align(128);
}

/// A tile configuration as a type, so that its numbers are constants.
pub(crate) trait Config {
    const TILE: GemmTile;
}

macro_rules! config {
    ($name:ident = $tile:expr) => {
        pub(crate) struct $name;
        impl Config for $name {
            const TILE: GemmTile = $tile;
        }
    };
}

config!(T128x256 = T128X256);
config!(T128x256s3 = T128X256S3);
config!(T160x192 = T160X192);
config!(T128x128 = T128X128);
config!(T96x128 = T96X128);
config!(T80x128 = T80X128);
config!(T48x128 = T48X128);
config!(T64x64 = T64X64);
config!(T32x64 = T32X64);
config!(T16x64 = T16X64);

/// The accumulators of one thread: m16 operands × n8 operands × registers.
pub(crate) type Accumulators<const FRAGS_M: usize, const FRAGS_N: usize> = [[[i32; 4]; FRAGS_N]; FRAGS_M];

/// Row and column of the first of some outputs.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) row: u64,
    pub(crate) col: u64,
}

/// Computes the block's part of y: whole tiles in steps of the grid, and a share of the tiles of the last wave where
/// the workspace has room for blocks to meet (`contract::stream_k`).
///
/// # Safety
/// `args` describes live memory that keeps to the contract of its device file; all threads of the block call it
/// together.
#[inline(always)]
pub(crate) unsafe fn walk<C: Config, O: Output, E: Epilogue, const FRAGS_M: usize, const FRAGS_N: usize>(args: &E) {
    const { assert!(FRAGS_M == C::TILE.frags_m() as usize && FRAGS_N == C::TILE.frags_n() as usize) }
    let product = args.product();
    // No memory holds 2³² tiles of y.
    let tiles_m = product.y.rows.div_ceil(C::TILE.block_m as u64) as u32;
    let tiles_n = product.y.cols.div_ceil(C::TILE.block_n as u64) as u32;
    let k_blocks = packed::k_blocks(product.q_w.cols) as u32;
    let mut turn = 0;
    // Block-uniform.
    loop {
        // From the turn alone: what a walk would carry from part to part spills in the main loop (ptxas 13.0.88, sm_80,
        // 64 × 128 by four warps: 16 bytes).
        let (blocks, outputs) = (grid_dim_x(), C::TILE.outputs());
        let mut deal = Deal::shared(tiles_m * tiles_n, k_blocks, blocks);
        if deal.workspace_bytes(outputs) > product.workspace.bytes {
            deal = Deal::whole(tiles_m * tiles_n, k_blocks, blocks);
        }
        let Some(part) = deal.part(block_idx_x(), turn) else { break };
        let (sharers, (row, col)) = (deal.sharers(), GemmTile::position(part.tile, tiles_m, tiles_n));
        let origin = Origin { row: row as u64 * C::TILE.block_m as u64, col: col as u64 * C::TILE.block_n as u64 };
        let range = KRange { first: part.first as u64, count: part.count };
        turn += 1;
        // SAFETY: the caller's; all blocks that have a part of the tile meet at its place, with all its k_blocks.
        unsafe {
            let mut acc = main_loop::accumulate::<C, FRAGS_M, FRAGS_N>(product, origin, range, gemm_slots());
            if part.count < k_blocks {
                let meeting = Meeting::at(&product.workspace, part.place, sharers, outputs);
                if !meet::<C, FRAGS_M, FRAGS_N>(meeting, part.count, k_blocks, &mut acc) {
                    continue;
                }
            }
            epilogue::store::<C, O, E, FRAGS_M, FRAGS_N>(args, origin, &acc);
        }
    }
}

/// Adds the block's part of a tile, `count` of its `k_blocks`, to those of other blocks. True: it was the last, and
/// `acc` is the whole sum.
///
/// # Safety
/// As [`Meeting::arrive`].
#[inline(always)]
unsafe fn meet<C: Config, const FRAGS_M: usize, const FRAGS_N: usize>(
    meeting: Meeting,
    count: u32,
    k_blocks: u32,
    acc: &mut Accumulators<FRAGS_M, FRAGS_N>,
) -> bool {
    let team = Team { barrier: 0, threads: C::TILE.threads(), thread: thread_idx_x() };
    // The threads' first accumulators side by side, then their second: whole lines whatever a lane's place in y.
    let index = |i: usize, j: usize, e: usize| ((i * FRAGS_N + j) * 4 + e) as u32 * team.threads + team.thread;
    // SAFETY: the caller's; the indices are the thread's own.
    unsafe {
        for i in 0..FRAGS_M {
            for j in 0..FRAGS_N {
                for e in 0..4 {
                    meeting.add(index(i, j, e), acc[i][j][e]);
                }
            }
        }
        if !meeting.arrive(team, count, k_blocks) {
            return false;
        }
        for i in 0..FRAGS_M {
            for j in 0..FRAGS_N {
                for e in 0..4 {
                    acc[i][j][e] = meeting.take(index(i, j, e));
                }
            }
        }
    }
    true
}

/// The entries of an op for one tile configuration. Counts of collectives are those in the PTX of the entry: a round
/// has four steps, and the operands of the first are loaded before it.
macro_rules! entries {
    (T128x256, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T128x256, contract::gemm_tile::T128X256, ldmatrix = 40, mma = 128, $($rest)*);
    };
    (T128x256s3, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T128x256s3, contract::gemm_tile::T128X256S3, ldmatrix = 40, mma = 128, $($rest)*);
    };
    (T160x192, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T160x192, contract::gemm_tile::T160X192, ldmatrix = 40, mma = 120, $($rest)*);
    };
    (T128x128, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T128x128, contract::gemm_tile::T128X128, ldmatrix = 40, mma = 128, $($rest)*);
    };
    (T96x128, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T96x128, contract::gemm_tile::T96X128, ldmatrix = 35, mma = 96, $($rest)*);
    };
    (T80x128, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T80x128, contract::gemm_tile::T80X128, ldmatrix = 35, mma = 80, $($rest)*);
    };
    (T48x128, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T48x128, contract::gemm_tile::T48X128, ldmatrix = 25, mma = 48, $($rest)*);
    };
    (T64x64, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T64x64, contract::gemm_tile::T64X64, ldmatrix = 20, mma = 32, $($rest)*);
    };
    (T32x64, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T32x64, contract::gemm_tile::T32X64, ldmatrix = 15, mma = 16, $($rest)*);
    };
    (T16x64, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T16x64, contract::gemm_tile::T16X64, ldmatrix = 10, mma = 8, $($rest)*);
    };
    (
        @ $config:ident, $tile:path, ldmatrix = $ldmatrix:literal, mma = $mma:literal,
        $op:ident($args:ty): $($entry:ident: $output:ty),*
    ) => {
        $(
            /// The op of this file for one tile configuration and one type of y.
            ///
            /// # Safety
            /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
            #[kernel(
                launch_bounds($tile.threads(), $tile.blocks),
                collectives(bar_sync = 4, bar_red = 1, ldmatrix = $ldmatrix, mma_sync = $mma)
            )]
            pub unsafe fn $entry(args: $args) {
                const FRAGS_M: usize = $tile.frags_m() as usize;
                const FRAGS_N: usize = $tile.frags_n() as usize;
                // SAFETY: the caller's.
                unsafe { $op::<$crate::tile_walk::$config, $output, FRAGS_M, FRAGS_N>(&args) }
            }
        )*
    };
}
pub(crate) use entries;
