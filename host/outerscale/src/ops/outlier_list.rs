//! The outlier columns in order, and how many: on the device alone.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant};
use crate::{Dtype, Error, Gpu, Launch, OutlierColumns, OutlierMasks, Result, gpu::LaunchRequest, ptx::Module};
use contract::{args::OutlierListArgs, grid};

pub(crate) const OUTLIER_LIST: Table = Table {
    op: "outlier_list",
    variants: &[Variant {
        name: "block",
        module: Module::Reduce,
        stem: "outlier_list",
        dtypes: &[],
        block: grid::THREADS,
        block_rows: 1,
        grid: |_| 1,
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// The masks of chunks → one mask, the columns in ascending order and their number, all in device memory.
///
/// # Errors
/// A variant that cannot be used; a CUDA error.
pub fn outlier_list(gpu: &Gpu, masks: &OutlierMasks, choice: Choice<'_>) -> Result<(OutlierColumns, Launch)> {
    let mut columns = OutlierColumns::with_room(gpu, masks.cols)?;
    let launch = outlier_list_into(gpu, masks, &mut columns, choice)?;
    Ok((columns, launch))
}

/// As [`fn@outlier_list`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `columns` where they are of another K.
pub fn outlier_list_into(
    gpu: &Gpu,
    masks: &OutlierMasks,
    columns: &mut OutlierColumns,
    choice: Choice<'_>,
) -> Result<Launch> {
    if columns.cols != masks.cols {
        let rule = format!("K must be that of the masks, {}, got {}", masks.cols, columns.cols);
        return Err(Error::argument("outlier_list", "columns", rule));
    }
    if masks.chunks == 0 {
        // No tokens launch nothing, and have no outliers.
        gpu.fill_words(&columns.mask.memory, 0, columns.mask.len())?;
        gpu.fill_words(&columns.count, 0, 1)?;
    }
    let args = OutlierListArgs {
        masks: masks.masks.memory.ptr(),
        chunks: masks.chunks,
        cols: masks.cols,
        mask: columns.mask.memory.ptr(),
        columns: columns.columns.memory.ptr(),
        count: columns.count.ptr(),
    };
    let problem = Problem::new(gpu, masks.chunks, 1, masks.cols);
    let request = LaunchRequest::new(&OUTLIER_LIST, problem, Dtype::I8, choice).keep([
        &masks.masks.memory,
        &columns.mask.memory,
        &columns.columns.memory,
        &columns.count,
    ]);
    // SAFETY: `masks` has a word for each 32 columns of each chunk (`outlier_columns`), `mask` one for each 32
    // columns, `columns` a place for each column, `count` 4 bytes; all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, masks.chunks) }
}
