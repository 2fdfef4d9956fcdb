//! Codes from elsewhere, brought into the shape that the product relies on.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::operands::CodeMatrix;
use crate::{Dtype, Gpu, Int8Matrix, Launch, PackedCodes, Result, gpu::LaunchRequest, ptx::Module};
use contract::{args::PackRowsArgs, grid, limits::ROW_ALIGN_BYTES};

pub(crate) const PACK_ROWS: Table = Table {
    op: "pack_rows",
    variants: &[Variant {
        name: "block",
        module: Module::Quantize,
        stem: "pack_rows",
        dtypes: &[],
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

/// Tokens from elsewhere as the product takes them: as they lie where it can read them so
/// ([`PackedCodes::as_they_lie`]), else copied by [`fn@pack_rows`]. The log says which, and why.
///
/// # Errors
/// As [`fn@pack_rows`].
pub fn rows_for_product(gpu: &Gpu, codes: &Int8Matrix) -> Result<(PackedCodes, Option<Launch>)> {
    let layout = codes.0.layout;
    check_cols("rows_for_product", "codes", layout.cols)?;
    match PackedCodes::as_they_lie(codes) {
        Ok(rows) => {
            log::info!("int8 [{}, {}] from elsewhere is read as it lies", layout.rows, layout.cols);
            Ok((rows, None))
        }
        Err(reason) => {
            log::info!("int8 [{}, {}] from elsewhere has to be copied: {reason}", layout.rows, layout.cols);
            pack_rows(gpu, codes, Choice::Auto).map(|(rows, launch)| (rows, Some(launch)))
        }
    }
}

/// int8 [rows, K], any row stride and alignment → the same codes in rows zero-padded to 128 bytes.
///
/// # Errors
/// `codes` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn pack_rows(gpu: &Gpu, codes: &Int8Matrix, choice: Choice<'_>) -> Result<(PackedCodes, Launch)> {
    let layout = codes.0.layout;
    check_cols("pack_rows", "codes", layout.cols)?;
    log::info!(
        "pack_rows: int8 [{}, {}] from elsewhere, row stride {}, is copied into rows padded to {ROW_ALIGN_BYTES} bytes",
        layout.rows,
        layout.cols,
        layout.row_stride
    );
    let problem = Problem::new(gpu, layout.rows, 1, layout.cols);
    // Codes from elsewhere may hold -128.
    let packed = CodeMatrix::new(gpu, layout.rows, layout.cols, 128)?;
    let args = PackRowsArgs { x: codes.0.as_arg(), q: packed.as_arg() };
    let request = LaunchRequest::new(&PACK_ROWS, problem, Dtype::I8, choice).keep([&codes.0.memory, &packed.memory]);
    // SAFETY: `codes` spans its layout (`DeviceMatrix`), `packed` has padded rows for each of its rows; both
    // live until the launch has ended (`keep`).
    let launch = unsafe { gpu.launch(request, args, layout.rows) }?;
    Ok((PackedCodes(packed), launch))
}
