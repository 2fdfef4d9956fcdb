//! Variants of `gemm` for few tokens, where what counts is how fast w is read.
//!
//! All divide their work into steps of which every block has as many as any other (`contract::split`), so that a product
//! of any shape keeps the whole GPU busy; blocks that share a tile of y meet in the workspace.

use super::variant::{any_problem, no_workspace, one_block};
use super::{Preference, Problem, Variant};
use crate::{Dtype, ptx::Module};
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
        grid: |_| 0,
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: one_block,
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

/// Up to how many tokens each is preferred: as many as it does at once, so that w is read once.
pub(super) const PREFERENCES: [Preference; 2] = [
    Preference { variant: "stream8", when: |p| p.m <= 8, why: "up to 8 tokens: w streams through registers" },
    Preference { variant: "stream16", when: |p| p.m <= 16, why: "up to 16 tokens: w streams through registers" },
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
    fn the_workspace_grows_with_the_grid_and_not_with_n() {
        let bytes = |m, n, k| (STREAMS[0].workspace)(&problem(m, n, k));
        assert_eq!(bytes(1, 4096, 512), 0, "a tile is one step");
        assert_eq!(bytes(1, 4096, 4096), bytes(1, 1 << 30, 4096));
        assert_eq!(bytes(8, 4096, 4096), 1792 + 396 * 8 * 64 * 4);
        assert_eq!(bytes(8, 4096, 4096), bytes(64, 4096, 4096));
    }
}
