//! The largest magnitude of each row.

use super::variant::Table;
use super::{Choice, Problem, check_cols, team};
use crate::{Activations, DeviceVector, Float, Gpu, Launch, Result, gpu::LaunchRequest, ptx::Module};
use contract::args::RowAbsmaxArgs;

pub(crate) const ROW_ABSMAX: Table =
    Table { op: "row_absmax", variants: &team::variants(Module::Reduce, "row_absmax"), preferences: team::PREFERENCES };

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
