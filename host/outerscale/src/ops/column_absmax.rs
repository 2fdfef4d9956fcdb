//! The largest magnitude of each column, over any number of batches.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::{Activations, ColumnAbsmax, Dtype, Error, Float, Gpu, Launch, Result, gpu::LaunchRequest, ptx::Module};
use contract::{args::ColumnAbsmaxArgs, grid};

pub(crate) const COLUMN_ABSMAX: Table = Table {
    op: "column_absmax",
    variants: &[Variant {
        name: "warp",
        module: Module::Reduce,
        stem: "column_absmax",
        dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
        block: grid::THREADS,
        block_rows: 1,
        grid: |p| grid::column_blocks(p.m, p.k),
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "warp", when: always, why: "the only one" }],
};

/// x [rows, K] → the largest |x| of each column, met with what `absmax` `[K]` has of batches before; any NaN in a column
/// makes it NaN from then on. Nothing waits for the device.
///
/// # Errors
/// `x` where K is 0 or over the limit, `absmax` where it has another K; a variant that cannot be used; a CUDA error.
pub fn column_absmax<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    absmax: &ColumnAbsmax,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("column_absmax", "x", x.cols())?;
    if absmax.0.len() != x.cols() {
        let rule = format!("must have a maximum for each of the {} columns, has {}", x.cols(), absmax.0.len());
        return Err(Error::argument("column_absmax", "absmax", rule));
    }
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let args = ColumnAbsmaxArgs { x: x.0.as_arg(), absmax: absmax.0.memory.ptr() };
    let request = LaunchRequest::new(&COLUMN_ABSMAX, problem, T::DTYPE, choice).keep([&x.0.memory, &absmax.0.memory]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `absmax` has one u32 a column, which kernels access by atomics
    // alone; both live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}
