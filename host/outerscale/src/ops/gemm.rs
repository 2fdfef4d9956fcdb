//! The int8 product with the one epilogue of the numeric contract.

use super::variant::{Table, always};
use super::{Choice, Preference, Problem, decode, hopper, stream_k};
use crate::{
    Bias, DeviceVector, Dtype, Error, Gpu, Launch, Output, OutputElement, PackedWeights, QuantizedTokens,
    QuantizedWeights, Result, TokenScale, WeightScale, Workspace,
    gpu::{LaunchRequest, words},
    memory::DeviceMemory,
    operands::CodeMatrix,
    ptx::Module,
};
use contract::args::{self, GemmArgs};
use contract::gemm_tile::{T96X128, T128X128, T128X256};
use std::sync::Arc;

/// The variant of a product with one tile configuration: its kernels are called `stem`.
macro_rules! tile_variant {
    ($tile:ident, $stem:literal, $dtypes:expr) => {{
        use contract::gemm_tile::$tile;
        $crate::ops::Variant {
            name: $tile.name,
            module: $crate::ptx::Module::Gemm,
            stem: $stem,
            dtypes: $dtypes,
            block: $tile.threads(),
            block_rows: 1,
            grid: |p| contract::grid::tile_blocks($tile.tiles(p.m, p.n)),
            shared_bytes: $tile.shared_bytes(),
            workspace: $crate::ops::variant::no_workspace,
            cluster: 1,
            legal: $crate::ops::variant::any_problem,
        }
    }};
}
pub(super) use tile_variant;

/// Which tile a product with an epilogue of its own prefers.
pub(super) const OTHER_PREFERENCES: &[Preference] = &[
    Preference { variant: "t16x64", when: |p| p.m <= 16, why: "few tokens: no row of a tile is idle" },
    Preference {
        variant: "t128x128",
        when: |p| T128X128.tiles(p.m, p.n) >= p.multiprocessors,
        why: "large tiles fill the GPU",
    },
    Preference { variant: "t64x64", when: always, why: "large tiles would leave multiprocessors idle" },
];

pub(super) const DTYPES: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32];

pub(crate) const GEMM: Table = Table {
    op: "gemm",
    variants: &[
        decode::STREAMS[0],
        decode::STREAMS[1],
        tile_variant!(T128X256, "gemm_t128x256", DTYPES),
        tile_variant!(T128X256S3, "gemm_t128x256s3", DTYPES),
        tile_variant!(T160X192, "gemm_t160x192", DTYPES),
        tile_variant!(T128X128, "gemm_t128x128", DTYPES),
        tile_variant!(T96X128, "gemm_t96x128", DTYPES),
        tile_variant!(T80X128, "gemm_t80x128", DTYPES),
        tile_variant!(T48X128, "gemm_t48x128", DTYPES),
        tile_variant!(T64X64, "gemm_t64x64", DTYPES),
        tile_variant!(T32X64, "gemm_t32x64", DTYPES),
        tile_variant!(T16X64, "gemm_t16x64", DTYPES),
        hopper::VARIANTS[0],
        hopper::VARIANTS[1],
        hopper::VARIANTS[2],
        hopper::VARIANTS[3],
        hopper::VARIANTS[4],
        hopper::VARIANTS[5],
        decode::EXCHANGED[0],
        decode::EXCHANGED[1],
        decode::EXCHANGED[2],
        decode::EXCHANGED[3],
        decode::EXCHANGED[4],
        decode::EXCHANGED[5],
        decode::EXCHANGED[6],
        decode::EXCHANGED[7],
        decode::EXCHANGED[8],
        decode::EXCHANGED[9],
        stream_k::VARIANTS[0],
        stream_k::VARIANTS[1],
        stream_k::VARIANTS[2],
        stream_k::VARIANTS[3],
        stream_k::VARIANTS[4],
        stream_k::VARIANTS[5],
        stream_k::VARIANTS[6],
        stream_k::VARIANTS[7],
        stream_k::VARIANTS[8],
        stream_k::VARIANTS[9],
        hopper::SHARING[0],
        hopper::SHARING[1],
        hopper::SHARING[2],
        hopper::SHARING[3],
    ],
    preferences: &[
        decode::PREFERENCES[0],
        decode::PREFERENCES[1],
        decode::PREFERENCES[2],
        decode::PREFERENCES[3],
        decode::PREFERENCES[4],
        Preference { variant: "t16x64", when: |p| p.m <= 16, why: "few tokens: no row of a tile is idle" },
        Preference { variant: "t32x64", when: |p| p.m <= 32, why: "few tokens: no row of a tile is idle" },
        hopper::PREFERENCES[0],
        hopper::PREFERENCES[1],
        hopper::PREFERENCES[2],
        Preference {
            variant: "t128x256s3",
            when: |p| T128X256.tiles(p.m, p.n) >= p.multiprocessors,
            why: "the largest tiles fill the GPU, and it has room for three slots",
        },
        Preference {
            variant: "t128x256",
            when: |p| T128X256.tiles(p.m, p.n) >= p.multiprocessors,
            why: "the largest tiles fill the GPU",
        },
        Preference {
            variant: "t128x128",
            when: |p| T128X128.tiles(p.m, p.n) >= p.multiprocessors,
            why: "large tiles fill the GPU",
        },
        Preference {
            variant: "t96x128",
            when: |p| T96X128.tiles(p.m, p.n) >= p.multiprocessors,
            why: "larger tiles would leave multiprocessors idle",
        },
        Preference { variant: "t64x64", when: always, why: "larger tiles would leave multiprocessors idle" },
    ],
};

/// The largest K whose int32 accumulator cannot overflow, for codes of these largest magnitudes.
pub const fn max_k(x_magnitude: u64, w_magnitude: u64) -> u64 {
    i32::MAX as u64 / (x_magnitude * w_magnitude)
}

/// What is multiplied: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ), bias)).
pub struct Product<'a, X: TokenScale, W: WeightScale> {
    /// Tokens [M, K].
    pub x: &'a QuantizedTokens<X>,
    /// Weights [N, K].
    pub w: &'a QuantizedWeights<W>,
    /// Bias `[N]`, or +0.
    pub bias: Option<&'a Bias>,
}

impl<X: TokenScale, W: WeightScale> Clone for Product<'_, X, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<X: TokenScale, W: WeightScale> Copy for Product<'_, X, W> {}

/// What every product has, whatever its epilogue: codes and scales of tokens and weights, the bias.
pub(super) struct Operands<'a> {
    /// The op, for messages.
    pub(super) op: &'static str,
    /// Tokens.
    pub(super) x: (&'a CodeMatrix, &'a DeviceVector<f32>, contract::args::Scales),
    /// Weights.
    pub(super) w: (&'a PackedWeights, &'a DeviceVector<f32>, contract::args::Scales),
    /// Bias `[N]`, or +0.
    pub(super) bias: Option<&'a Bias>,
    /// The largest K that cannot overflow int32.
    pub(super) max_k: u64,
    /// Where blocks meet.
    pub(super) workspace: &'a mut Workspace,
}

impl Operands<'_> {
    /// Holds the shapes against each other and against y.
    pub(super) fn check<T: OutputElement>(&self, y: &Output<T>) -> Result<()> {
        let refuse = |argument, rule| Err(Error::argument(self.op, argument, rule));
        let (m, n, k, most) = (self.x.0.rows, self.w.0.rows, self.x.0.cols, self.max_k);
        if k == 0 || k > most {
            return refuse("x", format!("K must be 1 to {most}, where int32 cannot overflow, got {k}"));
        }
        if self.w.0.cols != k {
            return refuse("w", format!("K must be that of x, {k}, got {}", self.w.0.cols));
        }
        if n == 0 {
            return refuse("w", "N must be at least 1, got 0".to_owned());
        }
        if let Some(bias) = self.bias.filter(|bias| bias.len() != n) {
            return refuse("bias", format!("its length must be N = {n}, got {}", bias.len()));
        }
        if (y.rows(), y.cols()) != (m, n) {
            return refuse("y", format!("must be [{m}, {n}], got [{}, {}]", y.rows(), y.cols()));
        }
        Ok(())
    }

    /// As the kernels take them.
    pub(super) fn args<T: OutputElement>(&self, y: &Output<T>) -> GemmArgs {
        GemmArgs {
            q_x: self.x.0.as_arg(),
            q_w: self.w.0.as_arg(),
            s_x: self.x.2,
            s_w: self.w.2,
            bias: self.bias.map_or(args::Bias::NONE, Bias::as_arg),
            y: y.0.as_arg(),
            workspace: self.workspace.as_arg(),
        }
    }

    /// The problem, for a choice of variant.
    pub(super) fn problem(&self, gpu: &Gpu) -> Problem {
        let workspace_bytes = self.workspace.bytes();
        Problem { workspace_bytes, ..Problem::new(gpu, self.x.0.rows, self.w.0.rows, self.x.0.cols) }
    }

    /// All memory that the kernels read, and the workspace.
    pub(super) fn memory(&self) -> impl Iterator<Item = &Arc<DeviceMemory>> {
        let always = [&self.x.0.memory, &self.w.0.memory, &self.x.1.memory, &self.w.1.memory];
        always.into_iter().chain(self.bias.map(|bias| &bias.memory)).chain(self.workspace.memory())
    }
}

/// The kernels of `gemm`. With i32 output they read the codes alone, so that other ops have their accumulators here.
pub(super) fn launch_symmetric<T: OutputElement>(
    gpu: &Gpu,
    operands: &Operands<'_>,
    y: &mut Output<T>,
    choice: Choice<'_>,
) -> Result<Launch> {
    let (m, problem) = (operands.x.0.rows, operands.problem(gpu));
    let request = LaunchRequest::new(&GEMM, problem, T::DTYPE, choice).keep(operands.memory()).keep([&y.0.memory]);
    // SAFETY: the caller checked the shapes (`Operands::check`); codes have padded rows (`CodeMatrix`) or whole panels
    // (`PackedWeights`), scales one f32 a row or one for all as their stride says (`Scales`), y spans its layout
    // (`DeviceMatrix`), and it and the workspace, which is zero, are borrowed mutably; all live until the launch has
    // ended (`keep`).
    unsafe {
        let args = operands.args(y);
        gpu.launch_with(request, m, |variant| match variant.module {
            Module::GemmSm90 => {
                decode::args(gpu, variant, &args).unwrap_or_else(|| hopper::args(gpu, variant, &args, T::DTYPE))
            }
            _ => Ok(words(args)),
        })
    }
}

/// The bytes of workspace with which every variant that runs a product of M = `m`, N = `n`, K = `k` can be chosen.
pub fn workspace_bytes(gpu: &Gpu, m: u64, n: u64, k: u64) -> u64 {
    workspace_of(&Problem::new(gpu, m, n, k))
}

/// The bytes with which that is so for every M up to `most`: of some M in between more than of the largest.
pub fn workspace_bytes_up_to(gpu: &Gpu, most: u64, n: u64, k: u64) -> u64 {
    workspace_up_to(&Problem::new(gpu, most, n, k))
}

fn workspace_of(problem: &Problem) -> u64 {
    let problem = Problem { workspace_bytes: u64::MAX, ..*problem };
    let runs = GEMM.variants.iter().filter(|v| v.eligible(&problem, v.dtypes[0]).is_ok());
    runs.map(|variant| (variant.workspace)(&problem)).max().unwrap_or(0)
}

/// As [`workspace_bytes_up_to`], `problem` being the largest.
fn workspace_up_to(problem: &Problem) -> u64 {
    // What few tokens take grows with them; what tiles of the last wave take comes and goes.
    let sizes = (1..=problem.m.min(64)).chain([problem.m]);
    let each = sizes.map(|m| workspace_of(&Problem { m, ..*problem }));
    let tiles = stream_k::workspace_up_to(problem).max(hopper::workspace_up_to(problem));
    each.max().unwrap_or(0).max(tiles)
}

/// q_x [M, K] · q_w [N, K]ᵀ → y [M, N], dequantized in the epilogue; i32 output is the accumulators themselves. The
/// `workspace` may be none: then only variants whose blocks do not meet are eligible.
///
/// # Errors
/// `x`, `w`, `bias` or `y` where a shape does not fit or K could overflow int32; a variant that cannot be
/// used; a CUDA error.
pub fn gemm<T: OutputElement, X: TokenScale, W: WeightScale>(
    gpu: &Gpu,
    product: Product<'_, X, W>,
    y: &mut Output<T>,
    workspace: &mut Workspace,
    choice: Choice<'_>,
) -> Result<Launch> {
    let Product { x, w, bias } = product;
    let operands = Operands {
        op: "gemm",
        x: (&x.codes, &x.scales.values, x.scales.as_arg()),
        w: (&w.codes, &w.scales.values, w.scales.as_arg()),
        bias,
        max_k: max_k(x.codes.magnitude, w.codes.magnitude),
        workspace,
    };
    operands.check(y)?;
    launch_symmetric(gpu, &operands, y, choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some M far beyond the first waves leaves the last one most room.
    #[test]
    fn a_workspace_for_up_to_so_many_tokens_serves_each_of_them() {
        let h200 = |m, n, k| Problem {
            m,
            n,
            k,
            multiprocessors: 132,
            shared_limit: 227 << 10,
            thread_limit: 1024,
            workspace_bytes: 0,
            arch: crate::ptx::ARCHS.iter().find(|arch| arch.own(Module::GemmSm90).is_some()).unwrap(),
            version: (9, 0),
        };
        for (most, n, k) in [(171_369, 63, 564), (300, 5000, 4096), (40_000, 384, 1536)] {
            let bytes = workspace_up_to(&h200(most, n, k));
            for m in
                (1..=most).step_by(if most > 1000 { 61 } else { 1 }).chain([164_486].into_iter().filter(|m| *m <= most))
            {
                assert!(workspace_of(&h200(m, n, k)) <= bytes, "M = {m} of {most}, N = {n}, K = {k}");
            }
        }
        assert!(workspace_up_to(&h200(u64::MAX, u64::MAX, 4096)) > 0, "no memory holds it, but it may be asked about");
    }

    #[test]
    fn overflow_limits() {
        assert_eq!(max_k(127, 127), contract::limits::MAX_K);
        assert_eq!(max_k(128, 128), 131_071);
    }

    #[test]
    fn variants_are_the_compiled_tiles() {
        let names: Vec<_> = GEMM.variants.iter().map(|v| v.name).collect();
        let streams = contract::stream::STREAMS.iter().map(|stream| stream.name.to_owned());
        let tiles = || contract::gemm_tile::TILES.iter().map(|tile| tile.name.to_owned());
        let hopper = || contract::hopper_tile::TILES.iter().map(|tile| tile.name.to_owned());
        let pairs = hopper().map(|name| format!("{name}_pair"));
        let exchanged = contract::decode_tile::TILES.iter().map(|tile| tile.name.to_owned());
        let exchanged_pairs = ["d128x96", "d128x144", "d128x192"].map(|name| format!("{name}_pair"));
        let own = ["h128x256", "h128x128", "h128x256_pair", "h128x128_pair"].map(str::to_owned);
        let shared = tiles().chain(own).map(|name| format!("{name}_streamk"));
        let on_hopper = hopper().chain(pairs).chain(exchanged).chain(exchanged_pairs);
        let compiled: Vec<_> = streams.chain(tiles()).chain(on_hopper).chain(shared).collect();
        assert_eq!(names, compiled);
        for variant in GEMM.variants {
            let tile = variant.name.trim_end_matches("_streamk").trim_end_matches("_pair");
            assert_eq!(variant.stem, format!("gemm_{tile}"));
        }
    }
}
