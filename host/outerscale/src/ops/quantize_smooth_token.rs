//! Codes with one scale a row of x divided by smoothing factors, in one pass.

use super::variant::Table;
use super::{Choice, Problem, check_cols, team};
use crate::{
    Activations, Error, Float, Gpu, Launch, PerInputChannel, PerToken, QuantizedTokens, Result, Scales,
    gpu::LaunchRequest, ptx::Module,
};
use contract::args::{QuantizeSmoothTokenArgs, QuantizeTokenArgs};

pub(crate) const QUANTIZE_SMOOTH_TOKEN: Table = Table {
    op: "quantize_smooth_token",
    variants: &team::variants(Module::Quantize, "quantize_smooth_token"),
    preferences: team::PREFERENCES,
};

/// x [tokens, K] and smoothing factors s `[K]` → codes int8 [tokens, K] and one scale a token of x'_ij = f32(x_ij / s_j).
///
/// # Errors
/// `x` where K is 0 or over the limit, `factors` where there is not one a column; a variant that cannot be used; a CUDA
/// error.
pub fn quantize_smooth_token<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    factors: &Scales<PerInputChannel>,
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerToken>, Launch)> {
    check_cols("quantize_smooth_token", "x", x.cols())?;
    let mut tokens = QuantizedTokens::with_room(gpu, x.rows(), x.cols())?;
    let launch = quantize_smooth_token_into(gpu, x, factors, &mut tokens, choice)?;
    Ok((tokens, launch))
}

/// As [`fn@quantize_smooth_token`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` where they have no room for x.
pub fn quantize_smooth_token_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    factors: &Scales<PerInputChannel>,
    tokens: &mut QuantizedTokens<PerToken>,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("quantize_smooth_token", "x", x.cols())?;
    check_factors("quantize_smooth_token", factors, x.cols())?;
    tokens.reshape("quantize_smooth_token", (x.rows(), x.cols()), 127)?;
    let QuantizedTokens { codes, scales, .. } = tokens;
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let token = QuantizeTokenArgs { x: x.0.as_arg(), q: codes.as_arg(), scales: scales.as_arg().ptr };
    let args = QuantizeSmoothTokenArgs { token, factors: factors.as_arg().ptr };
    let request = LaunchRequest::new(&QUANTIZE_SMOOTH_TOKEN, problem, T::DTYPE, choice).keep([
        &x.0.memory,
        &codes.memory,
        &scales.values.memory,
        &factors.values.memory,
    ]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, `scales` one f32 a
    // row, `factors` one a column (checked above) from an allocation's start; all live until the launch has ended.
    unsafe { gpu.launch(request, args, x.rows()) }
}

/// One factor a column.
pub(super) fn check_factors(op: &'static str, factors: &Scales<PerInputChannel>, cols: u64) -> Result<()> {
    if factors.values.len() == cols {
        return Ok(());
    }
    let rule = format!("must be one for each of the {cols} columns of x, there are {}", factors.values.len());
    Err(Error::argument(op, "factors", rule))
}
