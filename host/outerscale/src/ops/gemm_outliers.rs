//! The int8 product of tokens whose outlier columns are multiplied in f32.

use super::Choice;
use super::gemm::{OTHER_PREFERENCES, Operands, launch_symmetric, max_k, tile_variant};
use super::variant::Table;
use crate::{
    Bias, Dtype, Error, Gpu, HalfWeights, Launch, OutlierTokens, Output, OutputElement, QuantizedWeights, Result,
    WeightScale, Workspace, gpu::LaunchRequest,
};
use contract::args::GemmOutliersArgs;

const DTYPES: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::Bf16];

pub(crate) const GEMM_OUTLIERS: Table = Table {
    op: "gemm_outliers",
    variants: &[
        tile_variant!(T128X128, "gemm_outliers_t128x128", DTYPES),
        tile_variant!(T64X64, "gemm_outliers_t64x64", DTYPES),
        tile_variant!(T16X64, "gemm_outliers_t16x64", DTYPES),
    ],
    preferences: OTHER_PREFERENCES,
};

/// What is multiplied: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ), o)), o the bias and the products of the outlier
/// columns.
pub struct OutlierProduct<'a, W: WeightScale> {
    /// Tokens [M, K].
    pub x: &'a OutlierTokens,
    /// Weights [N, K].
    pub w: &'a QuantizedWeights<W>,
    /// The same weights in f16, for the outlier columns; without them, the codes' values.
    pub half_w: Option<&'a HalfWeights>,
    /// Bias `[N]`, or +0.
    pub bias: Option<&'a Bias>,
}

impl<W: WeightScale> Clone for OutlierProduct<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: WeightScale> Copy for OutlierProduct<'_, W> {}

/// q_x [M, K] · q_w [N, K]ᵀ and, in f32, the outlier columns → y [M, N]; i32 output is the accumulators of the codes,
/// by the kernel of [`gemm`](fn@super::gemm).
///
/// # Errors
/// `x`, `w`, `half_w`, `bias` or `y` where a shape does not fit or K could overflow int32; a variant that cannot be
/// used; a CUDA error.
pub fn gemm_outliers<T: OutputElement, W: WeightScale>(
    gpu: &Gpu,
    product: OutlierProduct<'_, W>,
    y: &mut Output<T>,
    workspace: &mut Workspace,
    choice: Choice<'_>,
) -> Result<Launch> {
    let OutlierProduct { x, w, half_w, bias } = product;
    let codes = &x.codes;
    let operands = Operands {
        op: "gemm_outliers",
        x: (&codes.codes, &codes.scales.values, codes.scales.as_arg()),
        w: (&w.codes, &w.scales.values, w.scales.as_arg()),
        bias,
        max_k: max_k(codes.codes.magnitude, w.codes.magnitude),
        workspace,
    };
    operands.check(y)?;
    if let Some(half_w) = half_w.filter(|half_w| (half_w.rows, half_w.cols) != (w.rows(), w.cols())) {
        let rule = format!("must be [{}, {}] as w, got [{}, {}]", w.rows(), w.cols(), half_w.rows, half_w.cols);
        return Err(Error::argument("gemm_outliers", "half_w", rule));
    }
    if T::DTYPE == Dtype::I32 {
        return launch_symmetric(gpu, &operands, y, choice);
    }
    let problem = operands.problem(gpu);
    let args = GemmOutliersArgs {
        product: operands.args(y),
        x: x.x.matrix,
        columns: x.columns.columns.memory.ptr(),
        count: x.columns.count.ptr(),
        w: half_w.map_or(0, |half_w| half_w.values.memory.ptr()),
        w_stride: half_w.map_or(0, HalfWeights::stride),
        x_type: x.x.dtype.input_type(),
        reserved: 0,
    };
    let request = LaunchRequest::new(&GEMM_OUTLIERS, problem, T::DTYPE, choice)
        .keep(operands.memory())
        .keep([&y.0.memory, &x.x.memory, &x.columns.columns.memory, &x.columns.count])
        .keep(half_w.map(|half_w| &half_w.values.memory));
    // SAFETY: as for `gemm`; x spans its layout and has the shape of the codes (`OutlierTokens`), the list holds
    // columns below K (`OutlierColumns`), the f16 weights have the shape of w, as was checked above.
    unsafe { gpu.launch(request, args, codes.rows()) }
}
