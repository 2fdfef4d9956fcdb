//! The walk over the tiles of y that all products share, and the macro that makes their entries.

use contract::gemm_tile::{GemmTile, T16X64, T32X64, T64X64, T64X128, T128X128, T128X256, T128X256S3};
use contract::packed;
use cuda_std::dynamic_shared_mem;
use cuda_std::thread::{block_idx_x, grid_dim_x};

use crate::epilogue::{self, Epilogue};
use crate::main_loop::{self, KRange};
use product::Output;

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
config!(T128x128 = T128X128);
config!(T64x128 = T64X128);
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

/// Computes the block's tiles.
///
/// # Safety
/// `args` describes live memory that keeps to the contract of its device file; all threads of the block call it
/// together.
#[inline(always)]
pub(crate) unsafe fn walk<C: Config, O: Output, E: Epilogue, const FRAGS_M: usize, const FRAGS_N: usize>(args: &E) {
    const { assert!(FRAGS_M == C::TILE.frags_m() as usize && FRAGS_N == C::TILE.frags_n() as usize) }
    let product = args.product();
    let tiles_m = product.y.rows.div_ceil(C::TILE.block_m as u64);
    let tiles_n = product.y.cols.div_ceil(C::TILE.block_n as u64);
    let range = KRange { first: 0, count: packed::k_blocks(product.q_w.cols) as u32 };
    let mut tile = block_idx_x() as u64;
    // Block-uniform.
    while tile < tiles_m * tiles_n {
        let (row, col) = GemmTile::position(tile, tiles_m, tiles_n);
        let origin = Origin { row: row * C::TILE.block_m as u64, col: col * C::TILE.block_n as u64 };
        // SAFETY: the caller's.
        unsafe {
            let acc = main_loop::accumulate::<C, FRAGS_M, FRAGS_N>(product, origin, range, gemm_slots());
            epilogue::store::<C, O, E, FRAGS_M, FRAGS_N>(args, origin, &acc);
        }
        tile += grid_dim_x() as u64;
    }
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
    (T128x128, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T128x128, contract::gemm_tile::T128X128, ldmatrix = 40, mma = 128, $($rest)*);
    };
    (T64x128, $($rest:tt)*) => {
        $crate::tile_walk::entries!(@ T64x128, contract::gemm_tile::T64X128, ldmatrix = 30, mma = 64, $($rest)*);
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
                collectives(bar_sync = 3, ldmatrix = $ldmatrix, mma_sync = $mma)
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
