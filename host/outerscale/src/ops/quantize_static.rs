//! Codes with a scale that is given.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::{
    Activations, Dtype, Float, Gpu, InputCounters, Launch, PerTensor, QuantizedTokens, Result, Scales,
    gpu::LaunchRequest, ptx::Module,
};
use contract::{args::QuantizeStaticArgs, grid};

pub(crate) const QUANTIZE_STATIC: Table = Table {
    op: "quantize_static",
    variants: &[Variant {
        name: "block",
        module: Module::Quantize,
        stem: "quantize_static",
        dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
        block: grid::THREADS,
        block_rows: 1,
        grid: |p| grid::row_blocks(p.m, 1),
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// A scale that was there before the batch: from calibration, or from the batches before.
#[derive(Clone, Copy)]
pub struct StaticScale<'a> {
    /// The scale, on the device.
    pub scale: &'a Scales<PerTensor>,
    /// Where to count the inputs that it does not fit.
    pub counters: Option<&'a InputCounters>,
}

/// x [tokens, K] and a given scale → codes int8 [tokens, K]; what is beyond ±127 · scale saturates.
///
/// # Errors
/// `x` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn quantize_static<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    with: StaticScale<'_>,
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerTensor>, Launch)> {
    check_cols("quantize_static", "x", x.cols())?;
    let mut tokens = QuantizedTokens::with_room(gpu, x.rows(), x.cols())?;
    let launch = quantize_static_into(gpu, x, with, &mut tokens, choice)?;
    Ok((tokens, launch))
}

/// As [`fn@quantize_static`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` where they have no room for x.
pub fn quantize_static_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    with: StaticScale<'_>,
    tokens: &mut QuantizedTokens<PerTensor>,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("quantize_static", "x", x.cols())?;
    tokens.reshape_under("quantize_static", (x.rows(), x.cols()), 127, with.scale)?;
    let codes = &tokens.codes;
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let args = QuantizeStaticArgs {
        x: x.0.as_arg(),
        q: codes.as_arg(),
        scale: with.scale.as_arg().ptr,
        counts: with.counters.map_or(0, |counters| counters.0.ptr()),
    };
    let request = LaunchRequest::new(&QUANTIZE_STATIC, problem, T::DTYPE, choice)
        .keep([&x.0.memory, &codes.memory, &with.scale.values.memory])
        .keep(with.counters.map(|counters| &counters.0));
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, a per-tensor
    // scale is one f32, counters have 16 bytes; all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}
