//! Codes with one scale a row that the outlier columns have no part in.

use super::variant::Table;
use super::{Choice, Problem, check_cols, team};
use crate::{
    Activations, Error, Float, Gpu, Launch, OutlierColumns, PerToken, QuantizedTokens, Result, gpu::LaunchRequest,
    ptx::Module,
};
use contract::args::{QuantizeOutliersArgs, QuantizeTokenArgs};

pub(crate) const QUANTIZE_OUTLIERS: Table = Table {
    op: "quantize_outliers",
    variants: &team::variants(Module::Quantize, "quantize_outliers"),
    preferences: team::PREFERENCES,
};

/// x [tokens, K] → codes int8 [tokens, K], one scale a token; `outliers` are left out of it and coded 0.
///
/// # Errors
/// `x` where K is 0 or over the limit, `outliers` where their K is another; a variant that cannot be used; a CUDA
/// error.
pub fn quantize_outliers<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    outliers: &OutlierColumns,
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerToken>, Launch)> {
    check_cols("quantize_outliers", "x", x.cols())?;
    let mut tokens = QuantizedTokens::with_room(gpu, x.rows(), x.cols())?;
    let launch = quantize_outliers_into(gpu, x, outliers, &mut tokens, choice)?;
    Ok((tokens, launch))
}

/// As [`fn@quantize_outliers`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` where they have no room for x.
pub fn quantize_outliers_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    outliers: &OutlierColumns,
    tokens: &mut QuantizedTokens<PerToken>,
    choice: Choice<'_>,
) -> Result<Launch> {
    let (rows, cols) = (x.rows(), x.cols());
    check_cols("quantize_outliers", "x", cols)?;
    if outliers.cols != cols {
        let rule = format!("K must be that of x, {cols}, got {}", outliers.cols);
        return Err(Error::argument("quantize_outliers", "outliers", rule));
    }
    tokens.reshape("quantize_outliers", (rows, cols), 127)?;
    let QuantizedTokens { codes, scales, .. } = tokens;
    let problem = Problem::new(gpu, rows, 1, cols);
    let args = QuantizeOutliersArgs {
        rows: QuantizeTokenArgs { x: x.0.as_arg(), q: codes.as_arg(), scales: scales.as_arg().ptr },
        mask: outliers.mask.memory.ptr(),
    };
    let request = LaunchRequest::new(&QUANTIZE_OUTLIERS, problem, T::DTYPE, choice).keep([
        &x.0.memory,
        &codes.memory,
        &scales.values.memory,
        &outliers.mask.memory,
    ]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, `scales` one f32
    // a row, the mask a bit a column (`OutlierColumns`); all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, rows) }
}
