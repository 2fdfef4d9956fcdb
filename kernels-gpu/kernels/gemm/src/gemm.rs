//! `gemm`: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ), bias)), or the int32 accumulators (NUMERICS.md).
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `gemm_TILE_OUTPUT` | `GemmArgs` | `tile.threads()` | `tile.shared_bytes()`, dynamic | one barrier a k_block and one a tile; ldmatrix, mma.sync |
//!
//! TILE is one of `contract::gemm_tile::TILES`, OUTPUT is f32, f16, bf16 or i32.
//!
//! - q_x `[M, K]`, q_w `[N, K]`: int8, rows the same `row_bytes` apart, zero from K on, from a 16-byte boundary on.
//! - s_x f32 `[M]` or `[1]`, s_w f32 `[N]` or `[1]`, bias f32 `[N]` or none: not read for i32.
//! - y `[M, N]`: any row stride, aligned to one element; four elements a store where address and stride allow.
//!
//! A block computes one tile of y at a time and walks on in steps of the grid, so any grid is right. Along K it goes
//! in k_blocks of 128 bytes through a ring of `tile.stages` slots of shared memory, each an x tile and a w tile,
//! swizzled (`contract::swizzle`), the rows of w dealt out as `contract::fragment::w_row` says.
//!
//! Who may diverge: blocks go their own ways. Inside a block, the loops over tiles and k_blocks are uniform; only
//! the bounds of the loads of scales and of the stores of y depend on the thread, and no collective does.
//!
//! Every element of y is the sum of its own row of x and of w, so a token's result depends on no other token.

use contract::args::GemmArgs;
use contract::gemm_tile::{GemmTile, T16X64, T64X64, T128X128};
use cuda_std::thread::{block_idx_x, grid_dim_x};
use cuda_std::{dynamic_shared_mem, kernel};
use rows::{Bf16, F16};

use crate::output::Output;
use crate::{epilogue, main_loop};

dynamic_shared_mem! {
    /// The ring of slots. Rows of a tile are 128 bytes, and the swizzle counts on them to start at multiples of it.
    fn gemm_slots() -> align(128);
}

/// A tile configuration as a type, so that its numbers are constants.
pub(crate) trait Config {
    const TILE: GemmTile;
}

/// The accumulators of one thread: m16 operands × n8 operands × registers.
pub(crate) type Accumulators<const FRAGS_M: usize, const FRAGS_N: usize> = [[[i32; 4]; FRAGS_N]; FRAGS_M];

/// Which outputs a block computes: row and column of the tile's first.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) row: u64,
    pub(crate) col: u64,
}

/// Computes the block's tiles. `IN_FLIGHT` is `stages - 2`: the k_blocks still on their way when one is computed.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn gemm<C: Config, O: Output, const FRAGS_M: usize, const FRAGS_N: usize, const IN_FLIGHT: u32>(
    args: &GemmArgs,
) {
    const {
        assert!(FRAGS_M == C::TILE.frags_m() as usize && FRAGS_N == C::TILE.frags_n() as usize);
        assert!(IN_FLIGHT + 2 == C::TILE.stages);
    }
    let tiles_m = args.y.rows.div_ceil(C::TILE.block_m as u64);
    let tiles_n = args.y.cols.div_ceil(C::TILE.block_n as u64);
    let mut tile = block_idx_x() as u64;
    // Block-uniform.
    while tile < tiles_m * tiles_n {
        let (row, col) = GemmTile::position(tile, tiles_m, tiles_n);
        let origin = Origin { row: row * C::TILE.block_m as u64, col: col * C::TILE.block_n as u64 };
        // SAFETY: the caller's.
        unsafe {
            let acc = main_loop::accumulate::<C, FRAGS_M, FRAGS_N, IN_FLIGHT>(args, origin, gemm_slots());
            epilogue::store::<C, O, FRAGS_M, FRAGS_N>(args, origin, &acc);
        }
        tile += grid_dim_x() as u64;
    }
}

/// The entries for one tile configuration. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    (
        $config:ident = $tile:expr, blocks = $blocks:literal, ldmatrix = $ldmatrix:literal, mma = $mma:literal,
        $($entry:ident: $output:ty),*
    ) => {
        struct $config;
        impl Config for $config {
            const TILE: GemmTile = $tile;
        }
        $(
            /// y = x · wᵀ of int8 codes, dequantized to the output type or left as int32.
            ///
            /// # Safety
            /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
            #[kernel(
                launch_bounds($tile.threads(), $blocks),
                collectives(bar_sync = 2, ldmatrix = $ldmatrix, mma_sync = $mma)
            )]
            pub unsafe fn $entry(args: GemmArgs) {
                const FRAGS_M: usize = $tile.frags_m() as usize;
                const FRAGS_N: usize = $tile.frags_n() as usize;
                // SAFETY: the caller's.
                unsafe { gemm::<$config, $output, FRAGS_M, FRAGS_N, { $tile.stages - 2 }>(&args) }
            }
        )*
    };
}

entries!(
    Large = T128X128, blocks = 2, ldmatrix = 32, mma = 128,
    gemm_t128x128_f32: f32, gemm_t128x128_f16: F16, gemm_t128x128_bf16: Bf16, gemm_t128x128_i32: i32
);
entries!(
    Medium = T64X64, blocks = 3, ldmatrix = 16, mma = 32,
    gemm_t64x64_f32: f32, gemm_t64x64_f16: F16, gemm_t64x64_bf16: Bf16, gemm_t64x64_i32: i32
);
entries!(
    Small = T16X64, blocks = 4, ldmatrix = 8, mma = 8,
    gemm_t16x64_f32: f32, gemm_t16x64_f16: F16, gemm_t16x64_bf16: Bf16, gemm_t16x64_i32: i32
);
