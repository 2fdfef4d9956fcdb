//! Variants of `gemm` whose blocks share the tiles of the last wave (stream-K, `contract::stream_k`): by the kernels of
//! the tiles, which do so where the grid fills the GPU once and there is a workspace.

use super::gemm::{DTYPES, tile_variant};
use super::{Problem, Variant};
use contract::gemm_tile::{GemmTile, TILES};
use contract::stream_k::Deal;
use contract::{grid, packed};

macro_rules! stream_k_variant {
    ($tile:ident, $name:literal, $stem:literal) => {{
        use contract::gemm_tile::$tile;
        Variant {
            name: $name,
            grid: |p| residents(&$tile, p),
            workspace: |p| workspace(&$tile, p),
            ..tile_variant!($tile, $stem, DTYPES)
        }
    }};
}

/// One a tile configuration, in the order of `contract::gemm_tile::TILES`.
pub(super) const VARIANTS: [Variant; 10] = [
    stream_k_variant!(T128X256, "t128x256_streamk", "gemm_t128x256"),
    stream_k_variant!(T128X256S3, "t128x256s3_streamk", "gemm_t128x256s3"),
    stream_k_variant!(T160X192, "t160x192_streamk", "gemm_t160x192"),
    stream_k_variant!(T128X128, "t128x128_streamk", "gemm_t128x128"),
    stream_k_variant!(T96X128, "t96x128_streamk", "gemm_t96x128"),
    stream_k_variant!(T80X128, "t80x128_streamk", "gemm_t80x128"),
    stream_k_variant!(T48X128, "t48x128_streamk", "gemm_t48x128"),
    stream_k_variant!(T64X64, "t64x64_streamk", "gemm_t64x64"),
    stream_k_variant!(T32X64, "t32x64_streamk", "gemm_t32x64"),
    stream_k_variant!(T16X64, "t16x64_streamk", "gemm_t16x64"),
];

/// Blocks that the GPU holds at once.
fn residents(tile: &GemmTile, p: &Problem) -> u32 {
    grid::tile_blocks(p.multiprocessors.saturating_mul(tile.resident(p.shared_limit).into()))
}

fn workspace(tile: &GemmTile, p: &Problem) -> u64 {
    deal(tile.tiles(p.m, p.n), p.k, residents(tile, p)).workspace_bytes(tile.outputs())
}

/// Who computes what, as the kernels reckon it: `tiles` of K = `k` over `blocks` blocks or clusters.
pub(super) fn deal(tiles: u64, k: u64, blocks: u32) -> Deal {
    // No memory holds 2³² tiles, and no K that is multiplied has 2¹¹ k_blocks; where a problem is only asked about,
    // none is shared then.
    match (u32::try_from(tiles), u32::try_from(packed::k_blocks(k))) {
        (Ok(tiles), Ok(k_blocks)) if k_blocks < 1 << 11 => Deal::shared(tiles, k_blocks, blocks),
        _ => Deal::whole(u32::MAX, 1, blocks),
    }
}

/// The most workspace that one of [`VARIANTS`] wants for any M up to that of the problem.
pub(super) fn workspace_up_to(p: &Problem) -> u64 {
    let tiles = TILES.iter().filter(|tile| tile.shared_bytes() <= p.shared_limit);
    let each = tiles.map(|tile| most(p, tile.block_m.into(), residents(tile, p).into(), |p| workspace(tile, p)));
    each.max().unwrap_or(0)
}

/// The most that `workspace` gives for any M below that of the problem, for tiles of so many rows. What tiles leave to the last
/// wave repeats itself after as many rows of tiles as blocks are in a wave.
pub(super) fn most(p: &Problem, rows: u64, blocks: u64, workspace: impl Fn(&Problem) -> u64) -> u64 {
    let sizes = (1..=blocks).map(|tiles| tiles * rows).take_while(|m| *m < p.m);
    sizes.map(|m| workspace(&Problem { m, ..*p })).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::{Choice, choose, gemm::GEMM};
    use super::*;
    use crate::{Dtype, ptx::ARCHS};

    fn problem(m: u64, n: u64) -> Problem {
        Problem {
            m,
            n,
            k: 4096,
            multiprocessors: 132,
            shared_limit: 227 << 10,
            thread_limit: 1024,
            workspace_bytes: 1 << 30,
            arch: &ARCHS[0],
            version: (9, 0),
        }
    }

    fn workspace(name: &str, problem: &Problem) -> u64 {
        (VARIANTS.iter().find(|v| v.name == name).unwrap().workspace)(problem)
    }

    #[test]
    fn tiles_are_shared_where_the_last_wave_has_room() {
        // Eight tiles of 32 k_blocks for 132 blocks: shares of four.
        let few = workspace("t128x256s3_streamk", &problem(128, 2048));
        assert_eq!(few, 64 * (4 + 4 * 128 * 256));
        // Four whole waves; and one that is nearly full.
        assert_eq!(workspace("t128x256s3_streamk", &problem(128 * 16, 256 * 33)), 0);
        assert_eq!(workspace("t128x256s3_streamk", &problem(128 * 13, 256 * 10)), 0);
    }

    #[test]
    fn without_a_workspace_the_tiles_are_not_shared() {
        let none = Problem { workspace_bytes: 0, ..problem(128, 2048) };
        let refused = choose(&GEMM, &none, Dtype::F16, Choice::Named("t128x256s3_streamk")).unwrap_err().to_string();
        assert!(refused.contains("it needs a workspace of 8388864 bytes, the one given has 0"), "{refused}");
        assert!(choose(&GEMM, &none, Dtype::F16, Choice::Named("t128x256s3")).is_ok());
    }

    #[test]
    fn a_grid_fills_the_gpu_once_and_its_workspace_holds_a_tile_a_share() {
        let variant = VARIANTS.iter().find(|v| v.name == "t16x64_streamk").unwrap();
        let of = |p: &Problem| ((variant.grid)(p), (variant.workspace)(p));
        // 64 tiles of 32 k_blocks are 512 shares of four; a counter and 4 KiB of sums each.
        assert_eq!(of(&problem(1, 4096)), (528, 512 * (4 + 4096)));
        let small_shared = Problem { multiprocessors: 82, shared_limit: 99 << 10, ..problem(1, 4096) };
        assert_eq!(of(&small_shared).0, 164);
        assert_eq!(of(&Problem { k: u64::MAX, ..problem(1 << 30, 1 << 30) }), (528, 0));
    }
}
