//! The sum of each row of the weights' codes, which products with zero points need.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::{
    DeviceVector, Dtype, Gpu, Launch, QuantizedWeights, Result, WeightScale, WeightSums, gpu::LaunchRequest,
    ptx::Module,
};
use contract::{args::RowSumsArgs, grid};

pub(crate) const ROW_SUMS: Table = Table {
    op: "row_sums",
    variants: &[Variant {
        name: "warp",
        module: Module::Reduce,
        stem: "row_sums",
        dtypes: &[],
        block: grid::THREADS,
        block_rows: 1,
        grid: |p| grid::row_blocks(p.m, grid::WARP_ROWS),
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "warp", when: always, why: "the only one" }],
};

/// Codes of weights [N, K] → Σ_k of each row, i32 `[N]`; made once a weight.
///
/// # Errors
/// `w` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn row_sums<W: WeightScale>(
    gpu: &Gpu,
    w: &QuantizedWeights<W>,
    choice: Choice<'_>,
) -> Result<(WeightSums, Launch)> {
    check_cols("row_sums", "w", w.cols())?;
    let problem = Problem::new(gpu, w.rows(), 1, w.cols());
    let sums = DeviceVector::uninitialized(gpu, w.rows())?;
    let args = RowSumsArgs { q: w.codes.as_arg(), sums: sums.memory.ptr() };
    let request = LaunchRequest::new(&ROW_SUMS, problem, Dtype::I8, choice).keep([&w.codes.memory, &sums.memory]);
    // SAFETY: codes are whole panels (`PackedWeights`), `sums` one i32 a row; both live until the launch has ended
    // (`keep`).
    let launch = unsafe { gpu.launch(request, args, w.rows()) }?;
    Ok((WeightSums(sums), launch))
}
