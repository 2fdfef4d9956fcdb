//! The int8 product of tokens that have zero points.

use super::Choice;
use super::gemm::{OTHER_PREFERENCES, Operands, launch_symmetric, max_k, tile_variant};
use super::variant::Table;
use crate::{
    AsymmetricTokens, Bias, Dtype, Error, Gpu, Launch, Output, OutputElement, QuantizedWeights, Result, WeightScale,
    WeightSums, Workspace, gpu::LaunchRequest,
};
use contract::args::GemmAsymArgs;

const DTYPES: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::Bf16];

pub(crate) const GEMM_ASYM: Table = Table {
    op: "gemm_asym",
    variants: &[
        tile_variant!(T128X128, "gemm_asym_t128x128", DTYPES),
        tile_variant!(T64X64, "gemm_asym_t64x64", DTYPES),
        tile_variant!(T16X64, "gemm_asym_t16x64", DTYPES),
    ],
    preferences: OTHER_PREFERENCES,
};

/// The largest magnitude of a code less its zero point: 127 + 128.
const X_MAGNITUDE: u64 = 255;

/// What is multiplied: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ − zero point · Σ q_w), bias)).
pub struct AsymmetricProduct<'a, W: WeightScale> {
    /// Tokens [M, K].
    pub x: &'a AsymmetricTokens,
    /// Weights [N, K].
    pub w: &'a QuantizedWeights<W>,
    /// The sums of these weights' rows, i32 `[N]`.
    pub w_sums: &'a WeightSums,
    /// Bias `[N]`, or +0.
    pub bias: Option<&'a Bias>,
}

impl<W: WeightScale> Clone for AsymmetricProduct<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: WeightScale> Copy for AsymmetricProduct<'_, W> {}

/// q_x [M, K] · q_w [N, K]ᵀ → y [M, N], the zero points taken out and the rest dequantized in the epilogue; i32 output
/// is q_x · q_wᵀ with the zero points still in, by the kernel of [`gemm`](fn@super::gemm).
///
/// # Errors
/// `x`, `w`, `w_sums`, `bias` or `y` where a shape does not fit or K could overflow int32; a variant that cannot be
/// used; a CUDA error.
pub fn gemm_asym<T: OutputElement, W: WeightScale>(
    gpu: &Gpu,
    product: AsymmetricProduct<'_, W>,
    y: &mut Output<T>,
    workspace: &mut Workspace,
    choice: Choice<'_>,
) -> Result<Launch> {
    let AsymmetricProduct { x, w, w_sums, bias } = product;
    let operands = Operands {
        op: "gemm_asym",
        x: (&x.codes, &x.scales.values, x.scales.as_arg()),
        w: (&w.codes, &w.scales.values, w.scales.as_arg()),
        bias,
        max_k: max_k(X_MAGNITUDE, w.codes.magnitude),
        workspace,
    };
    operands.check(y)?;
    if w_sums.0.len() != w.rows() {
        let rule = format!("there must be one for each of the {} rows of w, got {}", w.rows(), w_sums.0.len());
        return Err(Error::argument("gemm_asym", "w_sums", rule));
    }
    if T::DTYPE == Dtype::I32 {
        return launch_symmetric(gpu, &operands, y, choice);
    }
    let problem = operands.problem(gpu);
    let args = GemmAsymArgs {
        product: operands.args(y),
        zero_points: x.zero_points.0.memory.ptr(),
        w_sums: w_sums.0.memory.ptr(),
    };
    let request = LaunchRequest::new(&GEMM_ASYM, problem, T::DTYPE, choice).keep(operands.memory()).keep([
        &y.0.memory,
        &x.zero_points.0.memory,
        &w_sums.0.memory,
    ]);
    // SAFETY: as for `gemm`; there is a zero point for each token (`AsymmetricTokens`) and a sum for each row of w,
    // as was checked above.
    unsafe { gpu.launch(request, args, x.rows()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_limit() {
        assert_eq!(max_k(X_MAGNITUDE, 127), oracle::MAX_K_ASYM as u64);
    }
}
