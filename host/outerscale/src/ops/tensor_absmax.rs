//! The largest magnitude of a tensor, up to one reduction of the blocks' maxima.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::{Activations, Dtype, Float, Gpu, Launch, PartialAbsmax, Result, gpu::LaunchRequest, ptx::Module};
use contract::{args::TensorAbsmaxArgs, grid};

pub(crate) const TENSOR_ABSMAX: Table = Table {
    op: "tensor_absmax",
    variants: &[Variant {
        name: "block",
        module: Module::Reduce,
        stem: "tensor_absmax",
        dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
        block: grid::THREADS,
        block_rows: 1,
        grid: |p| grid::partials(p.m, p.k),
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// x [rows, K] → the largest |x| of each block's share, f32 [[`grid::partials`](contract::grid::partials)(rows, K)];
/// none where there are no rows. Any NaN makes a maximum NaN.
///
/// # Errors
/// `x` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn tensor_absmax<T: Float>(gpu: &Gpu, x: &Activations<T>, choice: Choice<'_>) -> Result<(PartialAbsmax, Launch)> {
    check_cols("tensor_absmax", "x", x.cols())?;
    let mut absmax = PartialAbsmax::with_room(gpu, x.rows(), x.cols())?;
    let launch = tensor_absmax_into(gpu, x, &mut absmax, choice)?;
    Ok((absmax, launch))
}

/// As [`fn@tensor_absmax`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `absmax` where it has no room for the maxima.
pub fn tensor_absmax_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    absmax: &mut PartialAbsmax,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("tensor_absmax", "x", x.cols())?;
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let blocks = if x.rows() == 0 { 0 } else { u64::from(choice.limit(grid::partials(x.rows(), x.cols()))) };
    let partials = &mut absmax.0;
    partials.resize("tensor_absmax", "absmax", blocks)?;
    let args = TensorAbsmaxArgs { x: x.0.as_arg(), partials: partials.memory.ptr() };
    let request = LaunchRequest::new(&TENSOR_ABSMAX, problem, T::DTYPE, choice).keep([&x.0.memory, &partials.memory]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `partials` has one f32 a block of the variant's grid,
    // the same function of shape and choice; both live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}
