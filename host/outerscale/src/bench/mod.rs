//! Times of kernels: checked first, operands rotated past the L2 cache, median and spread.

mod ready;

use crate::{Gpu, Launch, Result, gpu::Driver, registry::Op};
use cust::event::{Event, EventFlags};
use ready::{Check, ready};
use std::time::Instant;

/// The product that is benched: x [tokens, K] and w [N, K], both f16; the quantizers take its x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The kernel's entry.
    pub entry: String,
    /// The shape.
    pub shape: Shape,
    /// Whether the results that were timed equal the oracle's.
    pub equal: bool,
    /// Seconds of each launch: GPU time by events, or wall time of the simulation.
    pub seconds: Vec<f64>,
    /// Bytes that must move to and from memory at least.
    pub bytes: u64,
    /// Multiplications and additions; 0 for the quantizers, which memory bounds.
    pub operations: u64,
}

impl Measured {
    /// Quantile `q` (0 to 1) of the seconds.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(((sorted.len().max(1) - 1) as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Launches that are timed.
const SAMPLES: usize = 50;
/// Times the preferred variant of an op for a shape, its results checked first.
///
/// # Errors
/// A CUDA error; shapes as the op says.
pub fn bench(gpu: &Gpu, op: &'static Op, shape: Shape) -> Result<Measured> {
    let bytes = least_bytes(op.name, shape);
    let first = ready(gpu, op.name, shape, Check::Yes)?;
    // Reused operands would be read from L2: as many sets as exceed it twice.
    let sets = match gpu.driver() {
        Driver::Cuda => (2 * gpu.limits().l2_bytes / bytes.max(1) + 2).min(64),
        Driver::Sim => 1,
    };
    let mut launches = vec![first.launch.clone()];
    for _ in 1..sets {
        launches.push(ready(gpu, op.name, shape, Check::No)?.launch);
    }
    gpu.synchronize()?;
    let seconds = match gpu.driver() {
        Driver::Cuda => by_events(gpu, &launches)?,
        Driver::Sim => by_wall_clock(gpu, &launches)?,
    };
    let operations = if op.name.starts_with("gemm") { 2 * shape.m * shape.n * shape.k } else { 0 };
    Ok(Measured { bench: op.bench, entry: first.launch.entry, shape, equal: first.equal, seconds, bytes, operations })
}

fn by_events(gpu: &Gpu, launches: &[Launch]) -> Result<Vec<f64>> {
    let call = |name: &'static str| move |e: cust::error::CudaError| gpu.cuda_error(name, String::new(), e);
    let event = || Event::new(EventFlags::DEFAULT).map_err(call("cuEventCreate"));
    // Once through all sets: clocks rise, code and translations are cached.
    for launch in launches {
        launch.again()?;
    }
    let mut pairs = Vec::with_capacity(SAMPLES);
    for index in 0..SAMPLES {
        let (start, end) = (event()?, event()?);
        start.record(gpu.stream()).map_err(call("cuEventRecord"))?;
        launches[index % launches.len()].again()?;
        end.record(gpu.stream()).map_err(call("cuEventRecord"))?;
        pairs.push((start, end));
    }
    gpu.synchronize()?;
    let seconds = |(start, end): &(Event, Event)| {
        end.elapsed_time_f32(start).map(|ms| f64::from(ms) / 1e3).map_err(call("cuEventElapsedTime"))
    };
    pairs.iter().map(seconds).collect()
}

fn by_wall_clock(gpu: &Gpu, launches: &[Launch]) -> Result<Vec<f64>> {
    let mut seconds = Vec::new();
    for launch in launches.iter().cycle().take(3) {
        let start = Instant::now();
        launch.again()?;
        gpu.synchronize()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// Bytes that an op must read and write at least; scales are left out, they are few.
fn least_bytes(op: &str, Shape { m, n, k }: Shape) -> u64 {
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
    fn quantiles_are_of_the_sorted_times() {
        let shape = Shape { m: 1, n: 1, k: 1 };
        let seconds = vec![3.0, 1.0, 2.0];
        let measured =
            Measured { bench: "gemm", entry: String::new(), shape, equal: true, seconds, bytes: 0, operations: 0 };
        assert_eq!((measured.quantile(0.0), measured.quantile(0.5), measured.quantile(1.0)), (1.0, 2.0, 3.0));
    }

    #[test]
    fn least_bytes_of_the_product() {
        assert_eq!(least_bytes("gemm", Shape { m: 2, n: 3, k: 5 }), 10 + 15 + 12);
        assert_eq!(least_bytes("quantize_token", Shape { m: 2, n: 3, k: 5 }), 30);
    }
}
