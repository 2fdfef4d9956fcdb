//! Codes with one scale a row, the reduction fused: tokens, and weight rows.

use super::pack_weights::pack_codes;
use super::variant::Table;
use super::{Choice, Problem, check_cols, team};
use crate::memory::DeviceMatrix;
use crate::operands::CodeMatrix;
use crate::{
    Activations, Float, Gpu, Launch, PerChannel, PerToken, QuantizedTokens, QuantizedWeights, Result, ScaleKind,
    Scales, Weights, gpu::LaunchRequest, ptx::Module,
};
use contract::args::QuantizeTokenArgs;

pub(crate) const QUANTIZE_TOKEN: Table = Table {
    op: "quantize_token",
    variants: &team::variants(Module::Quantize, "quantize_token"),
    preferences: team::PREFERENCES,
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
    check_cols("quantize_token", "x", x.cols())?;
    let mut tokens = QuantizedTokens::with_room(gpu, x.rows(), x.cols())?;
    let launch = quantize_token_into(gpu, x, &mut tokens, choice)?;
    Ok((tokens, launch))
}

/// As [`fn@quantize_token`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` where they have no room for x.
pub fn quantize_token_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    tokens: &mut QuantizedTokens<PerToken>,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("quantize_token", "x", x.cols())?;
    tokens.reshape("quantize_token", (x.rows(), x.cols()), 127)?;
    launch(gpu, &x.0, &tokens.codes, &tokens.scales, choice)
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
    check_cols("quantize_token", "w", w.cols())?;
    let codes = CodeMatrix::new(gpu, w.rows(), w.cols(), 127)?;
    let scales = Scales::for_rows(gpu, w.rows())?;
    let launch = launch(gpu, &w.0, &codes, &scales, choice)?;
    let (codes, _) = pack_codes(gpu, &codes)?;
    Ok((QuantizedWeights { codes, scales }, launch))
}

/// Codes and scales have the rows and columns of x.
fn launch<T: Float, S: ScaleKind>(
    gpu: &Gpu,
    x: &DeviceMatrix<T>,
    codes: &CodeMatrix,
    scales: &Scales<S>,
    choice: Choice<'_>,
) -> Result<Launch> {
    let (rows, cols) = (x.layout.rows, x.layout.cols);
    let problem = Problem::new(gpu, rows, 1, cols);
    let args = QuantizeTokenArgs { x: x.as_arg(), q: codes.as_arg(), scales: scales.as_arg().ptr };
    let request = LaunchRequest::new(&QUANTIZE_TOKEN, problem, T::DTYPE, choice).keep([
        &x.memory,
        &codes.memory,
        &scales.values.memory,
    ]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, `scales`
    // one f32 a row (both callers' kinds have stride 1); all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, rows) }
}
