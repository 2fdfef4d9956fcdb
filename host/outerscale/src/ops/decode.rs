//! Variants of `gemm` for few tokens, where what counts is how fast w is read, and of the same kernels for more of them, where
//! what counts is that no row of a tile is idle.
//!
//! All divide their work into steps of which every block has as many as any other (`contract::split`), so that a product
//! of any shape keeps the whole GPU busy; blocks that share a tile of y meet in the workspace.

use super::hopper::{PAIR, has_room_for_a_pair};
use super::variant::{any_problem, no_workspace};
use super::{Preference, Problem, Variant};
use crate::{
    Dtype, Gpu, Result,
    gpu::{Tensor, words},
    ptx::Module,
};
use contract::args::{GemmArgs, GemmDecodeArgs};
use contract::decode_tile::{self, DecodeTile, TILES};
use contract::split;
use contract::stream::{self, STREAM8, STREAM16, Stream};

/// Types of y.
const OUTPUTS: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32];

/// The variants that stream w through registers, in the order of `contract::stream::STREAMS`.
pub(super) const STREAMS: [Variant; 2] = [
    Variant { grid: |p| grid(STREAM8, p), workspace: |p| workspace(STREAM8, p), ..streaming(STREAM8, "gemm_stream8") },
    Variant {
        grid: |p| grid(STREAM16, p),
        workspace: |p| workspace(STREAM16, p),
        ..streaming(STREAM16, "gemm_stream16")
    },
];

const fn streaming(stream: Stream, stem: &'static str) -> Variant {
    Variant {
        name: stream.name,
        module: Module::Gemm,
        stem,
        dtypes: OUTPUTS,
        block: stream::THREADS,
        block_rows: 1,
        grid: |_| 0,
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }
}

fn grid(stream: Stream, p: &Problem) -> u32 {
    stream.grid((p.m, p.n, p.k), p.multiprocessors)
}

/// Room for a tile a block; none where a tile is one step, which no two blocks share.
fn workspace(stream: Stream, p: &Problem) -> u64 {
    if stream::steps_a_tile(p.k) <= 1 {
        return 0;
    }
    split::bytes(grid(stream, p) as u64, stream::sums(stream.tile_tokens(p.m)) as u64)
}

/// The variants on Hopper whose tensor cores have w on their M side, in the order of `contract::decode_tile::TILES`; then those
/// of the same kernels in pairs of blocks, which share w.
pub(super) const EXCHANGED: [Variant; 10] = [
    exchanged::<0>("gemm_d128x8"),
    exchanged::<1>("gemm_d128x16"),
    exchanged::<2>("gemm_d128x32"),
    exchanged::<3>("gemm_d128x64"),
    exchanged::<4>("gemm_d128x96"),
    exchanged::<5>("gemm_d128x144"),
    exchanged::<6>("gemm_d128x192"),
    in_pairs::<4>("d128x96_pair", "gemm_d128x96"),
    in_pairs::<5>("d128x144_pair", "gemm_d128x144"),
    in_pairs::<6>("d128x192_pair", "gemm_d128x192"),
];

const fn exchanged<const TILE: usize>(stem: &'static str) -> Variant {
    Variant {
        name: TILES[TILE].name,
        module: Module::GemmSm90,
        stem,
        dtypes: OUTPUTS,
        block: decode_tile::THREADS,
        block_rows: 1,
        grid: |p| TILES[TILE].grid((p.m, p.n, p.k), p.multiprocessors, false),
        shared_bytes: TILES[TILE].shared_bytes(),
        workspace: |p| TILES[TILE].workspace_bytes((p.m, p.n, p.k), p.multiprocessors, false),
        cluster: 1,
        legal: |p| legal(p),
    }
}

const fn in_pairs<const TILE: usize>(name: &'static str, stem: &'static str) -> Variant {
    Variant {
        name,
        grid: |p| TILES[TILE].grid((p.m, p.n, p.k), p.multiprocessors, true),
        workspace: |p| TILES[TILE].workspace_bytes((p.m, p.n, p.k), p.multiprocessors, true),
        cluster: PAIR,
        legal: |p| legal(p).and_then(|()| has_room_for_a_pair(p)),
        ..exchanged::<TILE>(stem)
    }
}

/// Coordinates of tensor maps are i32, and so must be where the last tile ends.
fn legal(p: &Problem) -> std::result::Result<(), String> {
    const MOST: u64 = i32::MAX as u64 - 1024;
    if p.m > MOST { Err(format!("it takes M up to {MOST}, where TMA can count, got {}", p.m)) } else { Ok(()) }
}

/// The tile configuration of one of [`EXCHANGED`].
fn tile(variant: &Variant) -> Option<&'static DecodeTile> {
    let own = variant.name.strip_suffix("_pair").unwrap_or(variant.name);
    TILES.iter().find(|tile| tile.name == own)
}

/// The argument of one of [`EXCHANGED`]: x also as a tensor map. None for any other variant.
pub(super) fn args(gpu: &Gpu, variant: &Variant, product: &GemmArgs) -> Option<Result<Vec<u64>>> {
    let x = &product.q_x;
    let tensor = Tensor {
        ptr: x.ptr,
        dtype: Dtype::I8,
        // Codes past K in a row stay unread: they may be anybody's.
        shape: [x.rows, x.cols],
        row_bytes: x.row_bytes,
        box_rows: tile(variant)?.tokens,
    };
    Some(gpu.tensor_map(&tensor).map(|x_map| words(GemmDecodeArgs { x_map, product: *product })))
}

/// Up to how many tokens each is preferred: as many as it does at once, so that w is read once. Where the GPU has both,
/// registers for up to 8 tokens: they need no slots to be filled and drained, and read 1.6 to 12.5 per cent of x besides w
/// through L2. From 9 on the ring: it has x for 128 rows at a time, half as many bytes.
pub(super) const PREFERENCES: [Preference; 5] = [
    Preference { variant: "stream8", when: |p| p.m <= 8, why: "up to 8 tokens: w streams through registers" },
    Preference { variant: "d128x16", when: |p| p.m <= 16, why: "up to 16 tokens: w streams through a ring" },
    Preference { variant: "stream16", when: |p| p.m <= 16, why: "up to 16 tokens: w streams through registers" },
    Preference { variant: "d128x32", when: |p| p.m <= 32, why: "up to 32 tokens: w streams through a ring" },
    Preference { variant: "d128x64", when: |p| p.m <= 64, why: "up to 64 tokens: w streams through a ring" },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx::ARCHS;

    fn problem(m: u64, n: u64, k: u64) -> Problem {
        Problem {
            m,
            n,
            k,
            multiprocessors: 132,
            shared_limit: 227 << 10,
            thread_limit: 1024,
            workspace_bytes: u64::MAX,
            arch: &ARCHS[0],
            version: (8, 0),
        }
    }

    #[test]
    fn variants_are_the_compiled_configurations() {
        for (variant, stream) in STREAMS.iter().zip(stream::STREAMS) {
            assert_eq!((variant.name, variant.stem), (stream.name, format!("gemm_{}", stream.name).as_str()));
            assert_eq!(variant.block, stream::THREADS);
        }
    }

    #[test]
    fn exchanged_variants_are_the_compiled_tiles() {
        for (variant, compiled) in EXCHANGED.iter().zip(TILES) {
            assert_eq!((variant.name, variant.stem), (compiled.name, format!("gemm_{}", compiled.name).as_str()));
            assert_eq!((variant.block, variant.shared_bytes), (288, compiled.shared_bytes()));
            assert_eq!(tile(variant), Some(&compiled));
        }
        for paired in &EXCHANGED[TILES.len()..] {
            let alone = EXCHANGED.iter().find(|alone| alone.stem == paired.stem).unwrap();
            assert_eq!((paired.name, paired.cluster), (format!("{}_pair", alone.name).as_str(), 2));
            assert_eq!(tile(paired), tile(alone));
            assert!((paired.legal)(&Problem { multiprocessors: 1, ..problem(1, 1, 1) }).is_err());
        }
        assert_eq!(tile(&STREAMS[0]), None);
        assert!(legal(&problem(1 << 31, 1, 1)).unwrap_err().contains("where TMA can count"));
    }

    #[test]
    fn the_workspace_grows_with_the_grid_and_not_with_n() {
        let bytes = |m, n, k| (STREAMS[0].workspace)(&problem(m, n, k));
        assert_eq!(bytes(1, 4096, 512), 0, "a tile is one step");
        assert_eq!(bytes(1, 4096, 4096), bytes(1, 1 << 30, 4096));
        assert_eq!(bytes(8, 4096, 4096), 1792 + 396 * 8 * 64 * 4);
        assert_eq!(bytes(8, 4096, 4096), bytes(64, 4096, 4096));
    }
}
