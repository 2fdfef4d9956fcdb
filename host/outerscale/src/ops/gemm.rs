//! The int8 product with the one epilogue of the numeric contract.

use super::variant::{Table, always};
use super::{Choice, Preference, Problem, Variant};
use crate::{
    Bias, Dtype, Error, Gpu, Launch, Output, OutputElement, QuantizedTokens, QuantizedWeights, Result, TokenScale,
    WeightScale, gpu::LaunchRequest, ptx::Module,
};
use contract::args::GemmArgs;
use contract::gemm_tile::{GemmTile, T16X64, T64X64, T128X128};
use contract::grid;

const DTYPES: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32];

const fn tile(tile: &'static GemmTile, stem: &'static str, grid: fn(&Problem) -> u32) -> Variant {
    Variant { name: tile.name, stem, dtypes: DTYPES, block: tile.threads(), grid, shared_bytes: tile.shared_bytes() }
}

pub(crate) const GEMM: Table = Table {
    op: "gemm",
    module: Module::Gemm,
    variants: &[
        tile(&T128X128, "gemm_t128x128", |p| grid::tile_blocks(T128X128.tiles(p.m, p.n))),
        tile(&T64X64, "gemm_t64x64", |p| grid::tile_blocks(T64X64.tiles(p.m, p.n))),
        tile(&T16X64, "gemm_t16x64", |p| grid::tile_blocks(T16X64.tiles(p.m, p.n))),
    ],
    preferences: &[
        Preference { variant: "t16x64", when: |p| p.m <= 16, why: "few tokens: no row of a tile is idle" },
        Preference {
            variant: "t128x128",
            when: |p| T128X128.tiles(p.m, p.n) >= p.multiprocessors,
            why: "large tiles fill the GPU",
        },
        Preference { variant: "t64x64", when: always, why: "large tiles would leave multiprocessors idle" },
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

impl<X: TokenScale, W: WeightScale> Product<'_, X, W> {
    fn check(&self, y_rows: u64, y_cols: u64) -> Result<()> {
        let refuse = |argument, rule| Err(Error::argument("gemm", argument, rule));
        let (m, n, k) = (self.x.rows(), self.w.rows(), self.x.cols());
        let most = max_k(self.x.codes.magnitude, self.w.codes.magnitude);
        if k == 0 || k > most {
            return refuse("x", format!("K must be 1 to {most}, where int32 cannot overflow, got {k}"));
        }
        if self.w.cols() != k {
            return refuse("w", format!("K must be that of x, {k}, got {}", self.w.cols()));
        }
        if n == 0 {
            return refuse("w", "N must be at least 1, got 0".to_owned());
        }
        if let Some(bias) = self.bias.filter(|bias| bias.0.len() != n) {
            return refuse("bias", format!("its length must be N = {n}, got {}", bias.0.len()));
        }
        if (y_rows, y_cols) != (m, n) {
            return refuse("y", format!("must be [{m}, {n}], got [{y_rows}, {y_cols}]"));
        }
        Ok(())
    }
}

/// q_x [M, K] · q_w [N, K]ᵀ → y [M, N], dequantized in the epilogue; i32 output is the accumulators themselves.
///
/// # Errors
/// `x`, `w`, `bias` or `y` where a shape does not fit or K could overflow int32; a variant that cannot be
/// used; a CUDA error.
pub fn gemm<T: OutputElement, X: TokenScale, W: WeightScale>(
    gpu: &Gpu,
    product: Product<'_, X, W>,
    y: &mut Output<T>,
    choice: Choice<'_>,
) -> Result<Launch> {
    product.check(y.rows(), y.cols())?;
    let Product { x, w, bias } = product;
    let problem = Problem::new(gpu, x.rows(), w.rows(), x.cols());
    let args = GemmArgs {
        q_x: x.codes.as_arg(),
        q_w: w.codes.as_arg(),
        s_x: x.scales.as_arg(),
        s_w: w.scales.as_arg(),
        bias: bias.map_or(0, |bias| bias.0.memory.ptr()),
        y: y.0.as_arg(),
    };
    let request = LaunchRequest::new(&GEMM, problem, T::DTYPE, choice)
        .keep([&x.codes.memory, &w.codes.memory, &x.scales.values.memory, &w.scales.values.memory, &y.0.memory])
        .keep(bias.map(|bias| &bias.0.memory));
    // SAFETY: `check` held the shapes against each other; codes have padded rows (`CodeMatrix`), scales one
    // f32 a row or one for all as their stride says (`Scales`), y spans its layout (`DeviceMatrix`) and is
    // borrowed mutably; all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::choose;

    fn chosen(m: u64, n: u64) -> &'static str {
        let problem = Problem { m, n, k: 64, multiprocessors: 132, shared_limit: 227 << 10, thread_limit: 1024 };
        choose(&GEMM, &problem, Dtype::F16, Choice::Auto).unwrap().variant.name
    }

    #[test]
    fn tiles_follow_the_shape() {
        assert_eq!(chosen(1, 4096), "t16x64");
        assert_eq!(chosen(17, 4096), "t64x64");
        assert_eq!(chosen(4096, 4096), "t128x128");
    }

    #[test]
    fn overflow_limits() {
        assert_eq!(max_k(127, 127), contract::limits::MAX_K);
        assert_eq!(max_k(128, 128), 131_071);
    }

    #[test]
    fn variants_are_the_compiled_tiles() {
        let names: Vec<_> = GEMM.variants.iter().map(|v| v.name).collect();
        let tiles: Vec<_> = contract::gemm_tile::TILES.iter().map(|t| t.name).collect();
        assert_eq!(names, tiles);
        for variant in GEMM.variants {
            assert_eq!(variant.stem, format!("gemm_{}", variant.name));
        }
    }
}
