//! The outlier columns in order, and how many: on the device alone.

use super::variant::{Table, always, no_workspace};
use super::{Choice, Preference, Problem, Variant};
use crate::{
    DeviceVector, Dtype, Gpu, Launch, OutlierColumns, OutlierMasks, Result, gpu::LaunchRequest, memory::DeviceMemory,
    ptx::Module,
};
use contract::{args::OutlierListArgs, grid};
use std::sync::Arc;

pub(crate) const OUTLIER_LIST: Table = Table {
    op: "outlier_list",
    variants: &[Variant {
        name: "block",
        module: Module::Reduce,
        stem: "outlier_list",
        dtypes: &[],
        block: grid::THREADS,
        grid: |_| 1,
        shared_bytes: 0,
        workspace: no_workspace,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// The masks of chunks → one mask, the columns in ascending order and their number, all in device memory.
///
/// # Errors
/// A variant that cannot be used; a CUDA error.
pub fn outlier_list(gpu: &Gpu, masks: &OutlierMasks, choice: Choice<'_>) -> Result<(OutlierColumns, Launch)> {
    if masks.chunks == 0 {
        // No tokens launch nothing, and have no outliers.
        let request = LaunchRequest::new(&OUTLIER_LIST, Problem::new(gpu, 0, 1, masks.cols), Dtype::I8, choice);
        // SAFETY: nothing is launched for no rows.
        let launch = unsafe { gpu.launch(request, (), 0) }?;
        return Ok((OutlierColumns::upload(gpu, &[], masks.cols)?, launch));
    }
    let columns = OutlierColumns {
        mask: DeviceVector::uninitialized(gpu, masks.cols.div_ceil(32))?,
        columns: DeviceVector::uninitialized(gpu, masks.cols)?,
        count: Arc::new(DeviceMemory::uninitialized(gpu, 4)?),
        cols: masks.cols,
    };
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
    let launch = unsafe { gpu.launch(request, args, masks.chunks) }?;
    Ok((columns, launch))
}
