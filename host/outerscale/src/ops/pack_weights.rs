//! Codes of weights, brought once into the layout that the products read.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant, check_cols};
use crate::memory::{DeviceMatrix, DeviceMemory};
use crate::operands::CodeMatrix;
use crate::{Dtype, Gpu, Int8Matrix, Launch, PackedWeights, Result, gpu::LaunchRequest, ptx::Module};
use contract::args::{Matrix, PackWeightsArgs};
use contract::{grid, packed, swizzle::CHUNK_BYTES};
use std::sync::Arc;

pub(crate) const PACK_WEIGHTS: Table = Table {
    op: "pack_weights",
    variants: &[Variant {
        name: "chunk",
        module: Module::Quantize,
        stem: "pack_weights",
        dtypes: &[],
        block: grid::THREADS,
        block_rows: 1,
        grid: |p| grid::row_blocks(packed::bytes(p.m, p.k) / CHUNK_BYTES as u64, grid::THREADS as u64),
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "chunk", when: always, why: "the only one" }],
};

/// int8 [N, K], any row stride and alignment → the same codes packed, for any number of products.
///
/// # Errors
/// `codes` where K is 0 or over the limit; a variant that cannot be used; a CUDA error.
pub fn pack_weights(gpu: &Gpu, codes: &Int8Matrix, choice: Choice<'_>) -> Result<(PackedWeights, Launch)> {
    let DeviceMatrix { memory, .. } = &codes.0;
    // Codes from elsewhere may hold -128.
    pack(gpu, (codes.0.as_arg(), memory), 128, choice)
}

/// The rows that a quantizer made.
pub(super) fn pack_codes(gpu: &Gpu, codes: &CodeMatrix) -> Result<(PackedWeights, Launch)> {
    let row_stride = codes.as_arg().row_bytes;
    let matrix = Matrix { ptr: codes.memory.ptr(), rows: codes.rows, cols: codes.cols, row_stride };
    pack(gpu, (matrix, &codes.memory), codes.magnitude, Choice::Auto)
}

fn pack(
    gpu: &Gpu,
    (x, memory): (Matrix, &Arc<DeviceMemory>),
    magnitude: u64,
    choice: Choice<'_>,
) -> Result<(PackedWeights, Launch)> {
    check_cols("pack_weights", "codes", x.cols)?;
    let problem = Problem::new(gpu, x.rows, 1, x.cols);
    let packed = PackedWeights::new(gpu, x.rows, x.cols, magnitude)?;
    let args = PackWeightsArgs { x, q: packed.as_arg() };
    let request = LaunchRequest::new(&PACK_WEIGHTS, problem, Dtype::I8, choice).keep([memory, &packed.memory]);
    // SAFETY: x describes its memory (`DeviceMatrix`, `CodeMatrix`), `packed` has room for all panels of as many rows
    // and codes; both live until the launch has ended (`keep`).
    let launch = unsafe { gpu.launch(request, args, x.rows) }?;
    Ok((packed, launch))
}
