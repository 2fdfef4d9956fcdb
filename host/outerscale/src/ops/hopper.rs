//! The variants of products on Hopper (module `gemm_sm90`): persistent blocks, alone or in clusters of two.

use super::variant::no_workspace;
use super::{Preference, Problem, Variant};
use crate::{
    Dtype, Gpu, Result,
    gpu::{Tensor, words},
    ptx::Module,
};
use contract::args::{GemmArgs, GemmSm90Args, TensorMap};
use contract::hopper_tile::{self, H128X128, H128X256, H256X128, HopperTile, Multicast, TILES};

/// One variant a tile configuration, in the order of `contract::hopper_tile::TILES`.
pub(super) const fn tiles(stems: [&'static str; 3], dtypes: &'static [Dtype]) -> [Variant; 3] {
    const fn tile<const TILE: usize>(stem: &'static str, dtypes: &'static [Dtype]) -> Variant {
        Variant {
            name: TILES[TILE].name,
            module: Module::GemmSm90,
            stem,
            dtypes,
            block: hopper_tile::THREADS,
            block_rows: 1,
            grid: |p| grid(&TILES[TILE], p),
            shared_bytes: TILES[TILE].shared_bytes(),
            workspace: no_workspace,
            cluster: |p| if in_pairs(&TILES[TILE], p) { 2 } else { 1 },
            legal: |p| legal(&TILES[TILE], p),
        }
    }
    [tile::<0>(stems[0], dtypes), tile::<1>(stems[1], dtypes), tile::<2>(stems[2], dtypes)]
}

/// Which of them a product prefers, where the GPU has them.
pub(super) const PREFERENCES: [Preference; 3] = [
    Preference {
        variant: H128X128.name,
        when: |p| p.k <= 2048 && tile_count(&H128X128, p, false) >= p.multiprocessors,
        why: "K is small: one warpgroup multiplies while the other stores",
    },
    Preference {
        variant: H256X128.name,
        when: |p| waves(&H256X128, p) < waves(&H128X256, p) && fills(&H256X128, p),
        why: "tiles of 256 rows take fewer waves",
    },
    Preference { variant: H128X256.name, when: |p| fills(&H128X256, p), why: "large tiles fill the GPU" },
];

fn tile_count(tile: &HopperTile, p: &Problem, in_pair: bool) -> u64 {
    let (down, across) = tile.cluster_tiles(p.m, p.n, in_pair);
    down.saturating_mul(across)
}

fn fills(tile: &HopperTile, p: &Problem) -> bool {
    tile_count(tile, p, false) >= p.multiprocessors
}

/// How often each multiprocessor has a tile.
fn waves(tile: &HopperTile, p: &Problem) -> u64 {
    tile_count(tile, p, false).div_ceil(p.multiprocessors.max(1))
}

/// Whether blocks go in pairs that share an operand. In one wave that saves nothing that L2 has not; and where the shared
/// side has an odd number of tiles, one block of the last pair has none: not more than one of nine.
fn in_pairs(tile: &HopperTile, p: &Problem) -> bool {
    let (down, across) = tile.cluster_tiles(p.m, p.n, false);
    let side = match tile.multicast {
        Multicast::W => down,
        Multicast::X => across,
    };
    p.multiprocessors >= 2 && down.saturating_mul(across) > p.multiprocessors && (side.is_multiple_of(2) || side >= 9)
}

/// A block for each multiprocessor, or for each tile where there are fewer.
fn grid(tile: &HopperTile, p: &Problem) -> u32 {
    let pair = in_pairs(tile, p);
    let blocks = if pair { 2 } else { 1 };
    (blocks * tile_count(tile, p, pair).min(p.multiprocessors / blocks).max(1)) as u32
}

/// Coordinates of tensor maps are i32, and so must be where the last tile ends; tiles are counted in 32 bits.
fn legal(tile: &HopperTile, p: &Problem) -> std::result::Result<(), String> {
    const MOST: u64 = i32::MAX as u64 - 1024;
    if p.m > MOST || p.n > MOST {
        return Err(format!("it takes M and N up to {MOST}, where TMA can count, got {} and {}", p.m, p.n));
    }
    let (tiles, most) = (tile_count(tile, p, false), hopper_tile::MAX_TILES);
    if tiles > most {
        return Err(format!("it takes {most} tiles at most, M = {} and N = {} make {tiles}", p.m, p.n));
    }
    Ok(())
}

/// The argument of a product's kernel: x and y as tensor maps, y only where TMA can take it.
pub(super) fn args(gpu: &Gpu, product: &GemmArgs, output: Dtype) -> Result<Vec<u64>> {
    let (x, y) = (&product.q_x, &product.y);
    let x_map = gpu.tensor_map(&Tensor {
        ptr: x.ptr,
        dtype: Dtype::I8,
        // Codes past K in a row stay unread: they may be anybody's.
        shape: [x.rows, x.cols],
        row_bytes: x.row_bytes,
        box_rows: hopper_tile::X_BOX_ROWS,
    })?;
    let row_bytes = y.row_stride * output.bytes();
    let y_by_map = Tensor::is_aligned(y.ptr, row_bytes);
    let y_map = if y_by_map {
        gpu.tensor_map(&Tensor {
            ptr: y.ptr,
            dtype: output,
            shape: [y.rows, y.cols],
            row_bytes,
            box_rows: hopper_tile::Y_BOX_ROWS,
        })?
    } else {
        log::info!("gemm: y at {:#x} with rows {row_bytes} bytes apart is stored without TMA", y.ptr);
        TensorMap([0; 16])
    };
    Ok(words(GemmSm90Args { x_map, y_map, product: *product, y_by_map: y_by_map.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx::ARCHS;

    fn problem(m: u64, n: u64, multiprocessors: u64) -> Problem {
        let (shared_limit, thread_limit) = (227 << 10, 1024);
        Problem {
            m,
            n,
            k: 64,
            multiprocessors,
            shared_limit,
            thread_limit,
            workspace_bytes: 0,
            arch: &ARCHS[0],
            version: (9, 0),
        }
    }

    #[test]
    fn grids_are_whole_clusters_and_no_larger_than_the_gpu() {
        for tile in TILES {
            for (m, n) in [(1, 1), (128, 8192), (8192, 8192), (8200, 300), (129, 100_000)] {
                for multiprocessors in [1, 2, 3, 114, 132] {
                    let p = problem(m, n, multiprocessors);
                    let (grid, pair) = (u64::from(grid(&tile, &p)), in_pairs(&tile, &p));
                    assert!(grid >= 1 && grid <= multiprocessors, "{tile:?} {p:?}: {grid}");
                    assert!(!pair || grid.is_multiple_of(2), "{tile:?} {p:?}: {grid}");
                }
            }
        }
        assert_eq!(grid(&H128X256, &problem(8192, 8192, 132)), 132);
        assert!(in_pairs(&H128X256, &problem(8192, 8192, 132)) && !in_pairs(&H128X256, &problem(1024, 1024, 132)));
        assert!(!in_pairs(&H128X256, &problem(300, 100_000, 132)), "a third of the pairs would be one block's");
    }

    #[test]
    fn what_tma_cannot_count_is_not_legal() {
        assert!(legal(&H128X128, &problem(1 << 20, 1 << 20, 132)).is_ok());
        assert!(legal(&H128X128, &problem(1 << 31, 1, 132)).unwrap_err().contains("where TMA can count"));
        assert!(legal(&H128X128, &problem(1 << 30, 1 << 12, 132)).is_ok());
        assert!(legal(&H128X128, &problem(1 << 30, 1 << 13, 132)).unwrap_err().contains("tiles at most"));
    }
}
