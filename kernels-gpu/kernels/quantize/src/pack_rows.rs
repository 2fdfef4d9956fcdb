//! `pack_rows`: int8 codes from elsewhere, with any row stride and alignment → the same codes in rows as the GEMM
//! reads them.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `pack_rows` | `PackRowsArgs` | 256 threads | 0 | none |
//!
//! Who may diverge: every thread.

use contract::args::PackRowsArgs;
use contract::grid::THREADS;
use cuda_std::kernel;

use crate::encode_rows::encode_rows;

/// The bytes of x, moved; -128 stays what it is.
///
/// # Safety
/// The launch keeps to this file's contract and `args` describes live memory of these shapes.
#[kernel(launch_bounds(THREADS, 4))]
pub unsafe fn pack_rows(args: PackRowsArgs) {
    // SAFETY: the caller's.
    unsafe { encode_rows::<i8>(&args.x, &args.q, |window, _| window) }
}
