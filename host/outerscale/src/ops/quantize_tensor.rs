//! Codes with one scale for the tensor, from the partial maxima: no host synchronisation between the two.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::{
    Activations, Dtype, Float, Gpu, Launch, PartialAbsmax, PerTensor, QuantizedTokens, Result, gpu::LaunchRequest,
    ptx::Module,
};
use contract::{args::QuantizeTensorArgs, grid};

pub(crate) const QUANTIZE_TENSOR: Table = Table {
    op: "quantize_tensor",
    variants: &[Variant {
        name: "block",
        module: Module::Quantize,
        stem: "quantize_tensor",
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

/// x [tokens, K] and its partial maxima → codes int8 [tokens, K], one scale for all; 1 where there are no tokens.
///
/// # Errors
/// `x` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn quantize_tensor<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    absmax: &PartialAbsmax,
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerTensor>, Launch)> {
    check_cols("quantize_tensor", "x", x.cols())?;
    let mut tokens = QuantizedTokens::with_room(gpu, x.rows(), x.cols())?;
    let launch = quantize_tensor_into(gpu, x, absmax, &mut tokens, choice)?;
    Ok((tokens, launch))
}

/// As [`fn@quantize_tensor`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` where they have no room for x.
pub fn quantize_tensor_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    absmax: &PartialAbsmax,
    tokens: &mut QuantizedTokens<PerTensor>,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("quantize_tensor", "x", x.cols())?;
    tokens.reshape("quantize_tensor", (x.rows(), x.cols()), 127)?;
    let QuantizedTokens { codes, scales, .. } = tokens;
    if x.rows() == 0 {
        // Nothing is launched for no tokens: the scale of nothing is 1 (NUMERICS.md).
        gpu.fill_words(&scales.values.memory, 1f32.to_bits(), 1)?;
    }
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let args = QuantizeTensorArgs {
        x: x.0.as_arg(),
        q: codes.as_arg(),
        partials: absmax.0.memory.ptr(),
        partial_count: absmax.0.len(),
        scale: scales.as_arg().ptr,
    };
    let request = LaunchRequest::new(&QUANTIZE_TENSOR, problem, T::DTYPE, choice).keep([
        &x.0.memory,
        &codes.memory,
        &absmax.0.memory,
        &scales.values.memory,
    ]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows,
    // `partials` has `partial_count` f32, `scales` one; all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}
