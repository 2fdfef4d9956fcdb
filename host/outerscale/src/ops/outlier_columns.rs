//! Which columns have an element of at least a threshold's magnitude.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::{Activations, Dtype, Error, Float, Gpu, Launch, OutlierMasks, Result, gpu::LaunchRequest, ptx::Module};
use contract::{args::OutlierColumnsArgs, grid};

pub(crate) const OUTLIER_COLUMNS: Table = Table {
    op: "outlier_columns",
    variants: &[Variant {
        name: "block",
        module: Module::Reduce,
        stem: "outlier_columns",
        dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
        block: grid::THREADS,
        block_rows: 1,
        grid: |p| grid::outlier_blocks(p.m, p.k),
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// x [tokens, K] → which columns have any |x| ≥ `threshold`, by chunks of tokens. A NaN is no outlier; under an
/// infinite threshold nothing is one.
///
/// # Errors
/// `x` where K is 0 or over the limit, `threshold` where it is negative or NaN; a variant that cannot be used; a
/// CUDA error.
pub fn outlier_columns<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    threshold: f32,
    choice: Choice<'_>,
) -> Result<(OutlierMasks, Launch)> {
    check_cols("outlier_columns", "x", x.cols())?;
    let mut masks = OutlierMasks::with_room(gpu, x.rows(), x.cols())?;
    let launch = outlier_columns_into(gpu, x, threshold, &mut masks, choice)?;
    Ok((masks, launch))
}

/// As [`fn@outlier_columns`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `masks` where they have no room for those of x.
pub fn outlier_columns_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    threshold: f32,
    masks: &mut OutlierMasks,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("outlier_columns", "x", x.cols())?;
    check_threshold(threshold).map_err(|rule| Error::argument("outlier_columns", "threshold", rule))?;
    let chunk_rows = grid::outlier_chunk_rows(x.rows());
    (masks.chunks, masks.cols) = (x.rows().div_ceil(chunk_rows), x.cols());
    masks.masks.resize("outlier_columns", "masks", masks.chunks * masks.cols.div_ceil(32))?;
    let args = OutlierColumnsArgs {
        x: x.0.as_arg(),
        masks: masks.masks.memory.ptr(),
        chunk_rows,
        // To the kernel, which compares with ≥, infinity would mean the infinities.
        threshold: if threshold == f32::INFINITY { f32::NAN } else { threshold },
        reserved: 0,
    };
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let request =
        LaunchRequest::new(&OUTLIER_COLUMNS, problem, T::DTYPE, choice).keep([&x.0.memory, &masks.masks.memory]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `masks` has a word for each 32 columns of each chunk; both live
    // until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}

/// The rule for a threshold.
///
/// # Errors
/// The rule, with the threshold.
pub fn check_threshold(threshold: f32) -> std::result::Result<(), String> {
    if threshold >= 0.0 { Ok(()) } else { Err(format!("must be a number of at least 0, or inf, got {threshold}")) }
}
