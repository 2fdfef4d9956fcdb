//! Times of kernels: checked first, operands rotated past the L2 cache, median and spread.

mod codes;
mod ready;
mod session;
mod timing;

pub use codes::Data;
pub use session::{Job, OutputWord, Prepared, Session, Work};
pub use timing::Times;

use crate::{Gpu, Result, gpu::Driver, registry::Op};
use ready::{Check, ready};
use serde::Deserialize;
use timing::{Call, time};

/// The product that is benched: x [tokens, K] and w [N, K]; the quantizers take its x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Shape {
    /// Tokens.
    pub m: u64,
    /// Outputs.
    pub n: u64,
    /// Inputs.
    pub k: u64,
}

/// One kernel's times.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The bench, named as its op.
    pub bench: &'static str,
    /// The kernel's entry; of a layer, one after the other.
    pub entry: String,
    /// The shape.
    pub shape: Shape,
    /// Whether the results that were timed equal the oracle's.
    pub equal: bool,
    /// Its times.
    pub times: Times,
    /// Bytes that must move to and from memory at least.
    pub bytes: u64,
    /// Multiplications and additions; 0 for the quantizers, which memory bounds.
    pub operations: u64,
}

/// Seconds that a measurement takes, about.
const SECONDS: f64 = 0.2;

/// Times the preferred variant of an op for a shape, its results checked first.
///
/// # Errors
/// A CUDA error; shapes as the op says.
pub fn bench(gpu: &Gpu, op: &'static Op, shape: Shape) -> Result<Measured> {
    let bytes = op_bytes(op.name, shape);
    let first = ready(gpu, op.name, shape, Check::Yes)?;
    let mut launches = vec![first.launch.clone()];
    for _ in 1..past_l2(gpu, bytes) {
        launches.push(ready(gpu, op.name, shape, Check::No)?.launch);
    }
    gpu.synchronize()?;
    let mut calls: Vec<Call> = launches.into_iter().map(|launch| Box::new(move || launch.again()) as Call).collect();
    let times = time(gpu, &mut calls, SECONDS)?;
    let operations = if op.name.starts_with("gemm") { product_operations(shape) } else { 0 };
    Ok(Measured { bench: op.bench, entry: first.launch.entry, shape, equal: first.equal, times, bytes, operations })
}

/// How many sets of operands a measurement needs: reused ones would be read from L2, so as many as exceed it twice.
fn past_l2(gpu: &Gpu, bytes: u64) -> u64 {
    match gpu.driver() {
        Driver::Cuda => (2 + 2 * gpu.limits().l2_bytes / bytes.max(1)).min(64),
        Driver::Sim => 1,
    }
}

fn product_operations(Shape { m, n, k }: Shape) -> u64 {
    2 * m * n * k
}

/// Multiplications and additions of a job.
fn operations(job: Job) -> u64 {
    match job.work {
        Work::Gemm | Work::Layer => product_operations(job.shape),
        Work::QuantizeToken | Work::Copy => 0,
    }
}

/// Bytes that a job must read and write at least; scales are left out, they are few.
fn least_bytes(job: Job) -> u64 {
    let Shape { m, n, k } = job.shape;
    let output = match job.output {
        OutputWord::Bf16 => 2,
        OutputWord::I32 => 4,
    };
    match job.work {
        Work::Gemm => m * k + n * k + output * m * n,
        Work::Layer => 2 * m * k + n * k + output * m * n,
        Work::QuantizeToken => 3 * m * k,
        Work::Copy => 2 * m,
    }
}

/// Bytes that an op must read and write at least; scales are left out, they are few.
fn op_bytes(op: &str, Shape { m, n, k }: Shape) -> u64 {
    match op {
        "outlier_columns" | "row_absmax" | "tensor_absmax" => 2 * m * k,
        // The maxima that `tensor_absmax` left, and the state.
        "running_scale" => 4 * u64::from(contract::grid::partials(m, k)) + 36,
        // Masks of chunks; how long the list is, the data decides.
        "outlier_list" => 4 * (m.div_ceil(contract::grid::outlier_chunk_rows(m)) + 1) * k.div_ceil(32),
        "pack_rows" | "pack_weights" => 2 * m * k,
        "row_sums" => m * k,
        "gemm" | "gemm_asym" | "gemm_outliers" => m * k + n * k + 2 * m * n,
        _ => 3 * m * k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_bytes_of_the_product() {
        assert_eq!(op_bytes("gemm", Shape { m: 2, n: 3, k: 5 }), 10 + 15 + 12);
        assert_eq!(op_bytes("quantize_token", Shape { m: 2, n: 3, k: 5 }), 30);
        let (shape, data) = (Shape { m: 2, n: 3, k: 5 }, Data::Normal);
        let of = |work, output| least_bytes(Job { work, shape, data, output, seconds: 0.0 });
        // As bench/tests/test_report.py has them.
        assert_eq!((of(Work::Gemm, OutputWord::Bf16), of(Work::Gemm, OutputWord::I32)), (37, 49));
        assert_eq!((of(Work::Layer, OutputWord::Bf16), of(Work::QuantizeToken, OutputWord::Bf16)), (47, 30));
    }
}
