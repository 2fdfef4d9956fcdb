//! Codes with a scale that is given.

use super::variant::{Table, always};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::operands::{CodeMatrix, check_scale};
use crate::{
    Activations, Dtype, Error, Float, Gpu, Launch, NonFiniteCounter, PerTensor, QuantizedTokens, Result, Scales,
    gpu::LaunchRequest, ptx::Module,
};
use contract::{args::QuantizeStaticArgs, grid};

pub(crate) const QUANTIZE_STATIC: Table = Table {
    op: "quantize_static",
    module: Module::Quantize,
    variants: &[Variant {
        name: "block",
        stem: "quantize_static",
        dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
        block: grid::THREADS,
        grid: |p| grid::row_blocks(p.m, 1),
        shared_bytes: 0,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// A scale from calibration.
#[derive(Clone, Copy)]
pub struct StaticScale<'a> {
    /// The scale, in [2⁻¹⁰⁰, 2¹⁰⁰].
    pub scale: f32,
    /// Where to count NaN and Inf inputs, which a given scale cannot carry.
    pub non_finite: Option<&'a NonFiniteCounter>,
}

/// x [tokens, K] and a given scale → codes int8 [tokens, K]; what is beyond ±127 · scale saturates.
///
/// # Errors
/// `x` where K is 0 or over the limit, `scale` where it is out of range; a variant that cannot be used;
/// a CUDA error.
pub fn quantize_static<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    with: StaticScale<'_>,
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerTensor>, Launch)> {
    check_cols("quantize_static", "x", x.cols())?;
    check_scale(with.scale).map_err(|rule| Error::argument("quantize_static", "scale", rule))?;
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let codes = CodeMatrix::new(gpu, x.rows(), x.cols(), 127)?;
    let scales = Scales::upload(gpu, &[with.scale])?;
    let args = QuantizeStaticArgs {
        x: x.0.as_arg(),
        q: codes.as_arg(),
        non_finite: with.non_finite.map_or(0, |counter| counter.0.ptr()),
        scale: with.scale,
        reserved: 0,
    };
    let request = LaunchRequest::new(&QUANTIZE_STATIC, problem, T::DTYPE, choice)
        .keep([&x.0.memory, &codes.memory])
        .keep(with.non_finite.map(|counter| &counter.0));
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, a counter
    // has 8 bytes; all live until the launch has ended (`keep`). The scale was checked above.
    let launch = unsafe { gpu.launch(request, args, x.rows()) }?;
    Ok((QuantizedTokens { codes, scales }, launch))
}
