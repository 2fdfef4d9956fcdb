//! The variants of products on Hopper (module `gemm_sm90`): persistent blocks, alone or in clusters of two, each with tiles of
//! its own or with a share of those of the last wave (stream-K, `contract::stream_k`).

use super::gemm::DTYPES;
use super::variant::no_workspace;
use super::{Preference, Problem, Variant, stream_k};
use crate::{
    Dtype, Gpu, Result,
    gpu::{Tensor, words},
    ptx::Module,
};
use contract::args::{GemmArgs, GemmSm90Args, TensorMap, Workspace};
use contract::hopper_tile::{self, H128X128, H128X256, H256X128, HopperTile, TILES};
use contract::stream_k::Deal;

/// Two variants a tile configuration, by the same kernels: of single blocks, and of pairs that share an operand. In the
/// order of `contract::hopper_tile::TILES`, first all of single blocks.
pub(super) const VARIANTS: [Variant; 6] = [
    alone::<0>("gemm_h128x256"),
    alone::<1>("gemm_h256x128"),
    alone::<2>("gemm_h128x128"),
    in_pairs::<0>("h128x256_pair", "gemm_h128x256"),
    in_pairs::<1>("h256x128_pair", "gemm_h256x128"),
    in_pairs::<2>("h128x128_pair", "gemm_h128x128"),
];

/// By the same kernels again, given a workspace in which clusters share the tiles of the last wave. Not of 256 rows: what such
/// tiles leave to the last wave smaller ones divide better.
pub(super) const SHARING: [Variant; 4] = [
    sharing::<0, false>("h128x256_streamk", VARIANTS[0]),
    sharing::<2, false>("h128x128_streamk", VARIANTS[2]),
    sharing::<0, true>("h128x256_pair_streamk", VARIANTS[3]),
    sharing::<2, true>("h128x128_pair_streamk", VARIANTS[5]),
];

const fn alone<const TILE: usize>(stem: &'static str) -> Variant {
    Variant {
        name: TILES[TILE].name,
        module: Module::GemmSm90,
        stem,
        dtypes: DTYPES,
        block: hopper_tile::THREADS,
        block_rows: 1,
        grid: |p| grid(tile_count(&TILES[TILE], p, false), p.multiprocessors, 1),
        shared_bytes: TILES[TILE].shared_bytes(),
        workspace: no_workspace,
        cluster: 1,
        legal: |p| legal(&TILES[TILE], p),
    }
}

const fn in_pairs<const TILE: usize>(name: &'static str, stem: &'static str) -> Variant {
    Variant {
        name,
        grid: |p| grid(tile_count(&TILES[TILE], p, true), p.multiprocessors, PAIR),
        cluster: PAIR,
        legal: |p| legal(&TILES[TILE], p).and_then(|()| has_room_for_a_pair(p)),
        ..alone::<TILE>(stem)
    }
}

const fn sharing<const TILE: usize, const IN_PAIR: bool>(name: &'static str, own: Variant) -> Variant {
    Variant {
        name,
        // Every multiprocessor, be the tiles as few as they may.
        grid: |p| grid(u64::MAX, p.multiprocessors, blocks_of_cluster(IN_PAIR)),
        workspace: |p| TILES[TILE].workspace_bytes(&deal(&TILES[TILE], p, IN_PAIR), IN_PAIR),
        ..own
    }
}

/// Who computes what, as the kernels reckon it.
fn deal(tile: &HopperTile, p: &Problem, in_pair: bool) -> Deal {
    let cluster = blocks_of_cluster(in_pair);
    let clusters = grid(u64::MAX, p.multiprocessors, cluster) / cluster;
    stream_k::deal(tile_count(tile, p, in_pair), p.k, clusters)
}

/// The most workspace that one of [`SHARING`] wants for any M up to that of the problem.
pub(super) fn workspace_up_to(p: &Problem) -> u64 {
    if p.arch.text(Module::GemmSm90).is_none() {
        return 0;
    }
    let kinds = [H128X256, H128X128].into_iter().flat_map(|tile| [(tile, false), (tile, true)]);
    let each = kinds.map(|(tile, in_pair)| {
        let (rows, _) = tile.cluster_tile(in_pair);
        stream_k::most(p, rows, p.multiprocessors, |p| tile.workspace_bytes(&deal(&tile, p, in_pair), in_pair))
    });
    each.max().unwrap_or(0)
}

const fn blocks_of_cluster(in_pair: bool) -> u32 {
    if in_pair { PAIR } else { 1 }
}

/// Blocks of a cluster that share an operand.
pub(super) const PAIR: u32 = 2;

/// Which of them a product prefers, where the GPU has them and nothing is known of what they take.
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

/// A block for each multiprocessor, or for each tile where there are fewer: whole clusters, at least one.
fn grid(cluster_tiles: u64, multiprocessors: u64, cluster: u32) -> u32 {
    // No more than there are multiprocessors, but for a cluster that nothing has room for.
    (cluster_tiles.min(multiprocessors / u64::from(cluster)).max(1) * u64::from(cluster)) as u32
}

/// The blocks of a cluster run at the same time, each on a multiprocessor of its own as shared memory holds one.
pub(super) fn has_room_for_a_pair(p: &Problem) -> std::result::Result<(), String> {
    match p.multiprocessors {
        0 | 1 => Err(format!("a pair of blocks needs 2 multiprocessors, it may have {}", p.multiprocessors)),
        _ => Ok(()),
    }
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

/// The argument of a product's kernel: x and y as tensor maps, y only where TMA can take it; the workspace only for a variant
/// that shares tiles, as the kernels do so wherever it has room.
pub(super) fn args(gpu: &Gpu, variant: &Variant, product: &GemmArgs, output: Dtype) -> Result<Vec<u64>> {
    let shares = SHARING.iter().any(|sharing| sharing.name == variant.name);
    let product = &GemmArgs { workspace: if shares { product.workspace } else { Workspace::NONE }, ..*product };
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
    fn variants_are_each_tile_alone_and_in_pairs_by_the_same_kernels() {
        for (at, tile) in TILES.iter().enumerate() {
            let (alone, paired) = (VARIANTS[at], VARIANTS[TILES.len() + at]);
            assert_eq!((alone.name, alone.cluster), (tile.name, 1));
            assert_eq!((paired.name, paired.cluster), (format!("{}_pair", tile.name).as_str(), PAIR));
            assert_eq!((alone.stem, alone.stem), (paired.stem, format!("gemm_{}", tile.name).as_str()));
            assert_eq!((alone.shared_bytes, paired.shared_bytes), (tile.shared_bytes(), tile.shared_bytes()));
        }
    }

    #[test]
    fn grids_are_whole_clusters_and_no_larger_than_the_gpu() {
        for variant in VARIANTS {
            for (m, n) in [(1, 1), (128, 8192), (8192, 8192), (8200, 300), (129, 100_000)] {
                for multiprocessors in [1, 2, 3, 114, 131, 132] {
                    let p = problem(m, n, multiprocessors);
                    let grid = (variant.grid)(&p);
                    assert!(grid >= 1 && grid.is_multiple_of(variant.cluster), "{} {p:?}: {grid}", variant.name);
                    let runs = (variant.legal)(&p).is_ok();
                    assert!(!runs || u64::from(grid) <= multiprocessors, "{} {p:?}: {grid}", variant.name);
                }
            }
        }
        let grids = |m, n| VARIANTS.map(|variant| (variant.grid)(&problem(m, n, 131)));
        assert_eq!(grids(8192, 8192), [131, 131, 131, 130, 130, 130]);
        // Tiles, and tiles of pairs: of the last pair one block may have none.
        assert_eq!(grids(300, 300), [6, 6, 9, 8, 8, 12]);
    }

    #[test]
    fn a_pair_needs_two_multiprocessors_and_nothing_else() {
        for variant in VARIANTS {
            let legal = |m, n, multiprocessors| (variant.legal)(&problem(m, n, multiprocessors));
            assert_eq!(legal(8192, 8192, 1).is_ok(), variant.cluster == 1, "{}", variant.name);
            assert!(legal(1, 1, 2).is_ok() && legal(300, 100_000, 132).is_ok(), "{}", variant.name);
        }
        let refused = (VARIANTS[3].legal)(&problem(1, 1, 1)).unwrap_err();
        assert_eq!(refused, "a pair of blocks needs 2 multiprocessors, it may have 1");
    }

    #[test]
    fn what_tma_cannot_count_is_not_legal() {
        assert!(legal(&H128X128, &problem(1 << 20, 1 << 20, 132)).is_ok());
        assert!(legal(&H128X128, &problem(1 << 31, 1, 132)).unwrap_err().contains("where TMA can count"));
        assert!(legal(&H128X128, &problem(1 << 30, 1 << 12, 132)).is_ok());
        assert!(legal(&H128X128, &problem(1 << 30, 1 << 13, 132)).unwrap_err().contains("tiles at most"));
    }
}
