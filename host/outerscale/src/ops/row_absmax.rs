//! The largest magnitude of each row.

use super::variant::{Table, always, any_problem, no_workspace, one_block};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::{Activations, DeviceVector, Dtype, Float, Gpu, Launch, Result, gpu::LaunchRequest, ptx::Module};
use contract::{args::RowAbsmaxArgs, grid};

pub(crate) const ROW_ABSMAX: Table = Table {
    op: "row_absmax",
    variants: &[Variant {
        name: "block",
        module: Module::Reduce,
        stem: "row_absmax",
        dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
        block: grid::THREADS,
        grid: |p| grid::row_blocks(p.m, 1),
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: one_block,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// x [rows, K] → the largest |x| of each row, f32 `[rows]`; any NaN in a row makes its maximum NaN.
///
/// # Errors
/// `x` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn row_absmax<T: Float>(gpu: &Gpu, x: &Activations<T>, choice: Choice<'_>) -> Result<(DeviceVector<f32>, Launch)> {
    check_cols("row_absmax", "x", x.cols())?;
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let absmax = DeviceVector::uninitialized(gpu, x.rows())?;
    let args = RowAbsmaxArgs { x: x.0.as_arg(), absmax: absmax.memory.ptr() };
    let request = LaunchRequest::new(&ROW_ABSMAX, problem, T::DTYPE, choice).keep([&x.0.memory, &absmax.memory]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `absmax` has one f32 a row; both live until the launch
    // has ended (`keep`).
    let launch = unsafe { gpu.launch(request, args, x.rows()) }?;
    Ok((absmax, launch))
}
