//! Codes with one scale a row, the reduction fused: tokens, and weight rows.

use super::pack_weights::pack_codes;
use super::variant::{Table, always, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::memory::DeviceMatrix;
use crate::operands::CodeMatrix;
use crate::{
    Activations, Dtype, Float, Gpu, Launch, PerChannel, PerToken, QuantizedTokens, QuantizedWeights, Result, ScaleKind,
    Scales, Weights, gpu::LaunchRequest, ptx::Module,
};
use contract::{args::QuantizeTokenArgs, grid};

const WARP: Variant = Variant {
    name: "warp",
    module: Module::Quantize,
    stem: "quantize_token_warp",
    dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
    block: grid::THREADS,
    grid: |p| grid::row_blocks(p.m, grid::WARP_ROWS),
    shared_bytes: 0,
    workspace: no_workspace,
};

pub(crate) const QUANTIZE_TOKEN: Table = Table {
    op: "quantize_token",
    variants: &[
        WARP,
        Variant { name: "block", stem: "quantize_token_block", grid: |p| grid::row_blocks(p.m, 1), ..WARP },
    ],
    preferences: &[
        Preference { variant: "warp", when: |p| p.k <= grid::WARP_COLS, why: "short rows: one warp each, no barrier" },
        Preference { variant: "block", when: always, why: "long rows: one block each" },
    ],
};

/// x [tokens, K] → codes int8 [tokens, K], one scale a token.
///
/// # Errors
/// `x` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn quantize_token<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerToken>, Launch)> {
    let (codes, scales, launch) = quantize_rows(gpu, "x", &x.0, choice)?;
    Ok((QuantizedTokens { codes, scales }, launch))
}

/// w [N, K] → packed codes int8 [N, K], one scale an output channel: the same kernels as [`fn@quantize_token`], and
/// `pack_weights` after them.
///
/// # Errors
/// `w` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn quantize_weights<T: Float>(
    gpu: &Gpu,
    w: &Weights<T>,
    choice: Choice<'_>,
) -> Result<(QuantizedWeights<PerChannel>, Launch)> {
    let (codes, scales, launch) = quantize_rows(gpu, "w", &w.0, choice)?;
    let (codes, _) = pack_codes(gpu, &codes)?;
    Ok((QuantizedWeights { codes, scales }, launch))
}

fn quantize_rows<T: Float, S: ScaleKind>(
    gpu: &Gpu,
    argument: &'static str,
    x: &DeviceMatrix<T>,
    choice: Choice<'_>,
) -> Result<(CodeMatrix, Scales<S>, Launch)> {
    let (rows, cols) = (x.layout.rows, x.layout.cols);
    check_cols("quantize_token", argument, cols)?;
    let problem = Problem::new(gpu, rows, 1, cols);
    let codes = CodeMatrix::new(gpu, rows, cols, 127)?;
    let scales = Scales::<S>::for_rows(gpu, rows)?;
    let args = QuantizeTokenArgs { x: x.as_arg(), q: codes.as_arg(), scales: scales.as_arg().ptr };
    let request = LaunchRequest::new(&QUANTIZE_TOKEN, problem, T::DTYPE, choice).keep([
        &x.memory,
        &codes.memory,
        &scales.values.memory,
    ]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, `scales`
    // one f32 a row (both callers' kinds have stride 1); all live until the launch has ended (`keep`).
    let launch = unsafe { gpu.launch(request, args, rows) }?;
    Ok((codes, scales, launch))
}
