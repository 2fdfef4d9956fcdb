//! The walk over the tiles of y that all products share, and the macro that makes their entries.

use contract::gemm_tile::{GemmTile, T16X64, T64X64, T128X128};
use cuda_std::dynamic_shared_mem;
use cuda_std::thread::{block_idx_x, grid_dim_x};

use crate::epilogue::{self, Epilogue};
use crate::main_loop;
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

config!(Large = T128X128);
config!(Medium = T64X64);
config!(Small = T16X64);

/// The accumulators of one thread: m16 operands × n8 operands × registers.
pub(crate) type Accumulators<const FRAGS_M: usize, const FRAGS_N: usize> = [[[i32; 4]; FRAGS_N]; FRAGS_M];

/// Row and column of the first of some outputs.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) row: u64,
    pub(crate) col: u64,
}

/// Computes the block's tiles. `IN_FLIGHT` is `stages - 2`: the k_blocks still on their way when one is computed.
///
/// # Safety
/// `args` describes live memory that keeps to the contract of its device file; all threads of the block call it
/// together.
#[inline(always)]
pub(crate) unsafe fn walk<
    C: Config,
    O: Output,
    E: Epilogue,
    const FRAGS_M: usize,
    const FRAGS_N: usize,
    const IN_FLIGHT: u32,
>(
    args: &E,
) {
    const {
        assert!(FRAGS_M == C::TILE.frags_m() as usize && FRAGS_N == C::TILE.frags_n() as usize);
        assert!(IN_FLIGHT + 2 == C::TILE.stages);
    }
    let product = args.product();
    let tiles_m = product.y.rows.div_ceil(C::TILE.block_m as u64);
    let tiles_n = product.y.cols.div_ceil(C::TILE.block_n as u64);
    let mut tile = block_idx_x() as u64;
    // Block-uniform.
    while tile < tiles_m * tiles_n {
        let (row, col) = GemmTile::position(tile, tiles_m, tiles_n);
        let origin = Origin { row: row * C::TILE.block_m as u64, col: col * C::TILE.block_n as u64 };
        // SAFETY: the caller's.
        unsafe {
            let acc = main_loop::accumulate::<C, FRAGS_M, FRAGS_N, IN_FLIGHT>(product, origin, gemm_slots());
            epilogue::store::<C, O, E, FRAGS_M, FRAGS_N>(args, origin, &acc);
        }
        tile += grid_dim_x() as u64;
    }
}

/// The entries of an op for one tile configuration. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    (Large, $($rest:tt)*) => {
        $crate::tile_walk::entries!(
            @ Large, contract::gemm_tile::T128X128, blocks = 2, ldmatrix = 32, mma = 128, $($rest)*
        );
    };
    (Medium, $($rest:tt)*) => {
        $crate::tile_walk::entries!(
            @ Medium, contract::gemm_tile::T64X64, blocks = 3, ldmatrix = 16, mma = 32, $($rest)*
        );
    };
    (Small, $($rest:tt)*) => {
        $crate::tile_walk::entries!(
            @ Small, contract::gemm_tile::T16X64, blocks = 4, ldmatrix = 8, mma = 8, $($rest)*
        );
    };
    (
        @ $config:ident, $tile:path, blocks = $blocks:literal, ldmatrix = $ldmatrix:literal, mma = $mma:literal,
        $op:ident($args:ty): $($entry:ident: $output:ty),*
    ) => {
        $(
            /// The op of this file for one tile configuration and one type of y.
            ///
            /// # Safety
            /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
            #[kernel(
                launch_bounds($tile.threads(), $blocks),
                collectives(bar_sync = 2, ldmatrix = $ldmatrix, mma_sync = $mma)
            )]
            pub unsafe fn $entry(args: $args) {
                const FRAGS_M: usize = $tile.frags_m() as usize;
                const FRAGS_N: usize = $tile.frags_n() as usize;
                // SAFETY: the caller's.
                unsafe { $op::<$crate::tile_walk::$config, $output, FRAGS_M, FRAGS_N, { $tile.stages - 2 }>(&args) }
            }
        )*
    };
}
pub(crate) use entries;
