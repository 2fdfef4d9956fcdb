//! Codes with one scale and one zero point a token, the reduction fused.

use super::variant::Table;
use super::{Choice, Problem, check_cols, team};
use crate::{Activations, AsymmetricTokens, Float, Gpu, Launch, Result, gpu::LaunchRequest, ptx::Module};
use contract::args::QuantizeAsymArgs;

pub(crate) const QUANTIZE_ASYM: Table = Table {
    op: "quantize_asym",
    variants: &team::variants(Module::Quantize, "quantize_asym"),
    preferences: team::PREFERENCES,
};

/// x [tokens, K] → codes int8 [tokens, K], one scale and one zero point a token.
///
/// # Errors
/// `x` where K is 0 or over the limit of a symmetric product (that of the product with zero points is lower, and
/// checked there); a variant that cannot be used; a CUDA error.
pub fn quantize_asym<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    choice: Choice<'_>,
) -> Result<(AsymmetricTokens, Launch)> {
    check_cols("quantize_asym", "x", x.cols())?;
    let mut tokens = AsymmetricTokens::with_room(gpu, x.rows(), x.cols())?;
    let launch = quantize_asym_into(gpu, x, &mut tokens, choice)?;
    Ok((tokens, launch))
}

/// As [`fn@quantize_asym`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` where they have no room for x.
pub fn quantize_asym_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    tokens: &mut AsymmetricTokens,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("quantize_asym", "x", x.cols())?;
    let AsymmetricTokens { codes, scales, zero_points } = tokens;
    codes.reshape(("quantize_asym", "tokens"), (x.rows(), x.cols()), 128)?;
    scales.values.resize("quantize_asym", "tokens", x.rows())?;
    zero_points.0.resize("quantize_asym", "tokens", x.rows())?;
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let args = QuantizeAsymArgs {
        x: x.0.as_arg(),
        q: codes.as_arg(),
        scales: scales.as_arg().ptr,
        zero_points: zero_points.0.memory.ptr(),
    };
    let request = LaunchRequest::new(&QUANTIZE_ASYM, problem, T::DTYPE, choice).keep([
        &x.0.memory,
        &codes.memory,
        &scales.values.memory,
        &zero_points.0.memory,
    ]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, scales and zero
    // points four bytes a row; all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}
