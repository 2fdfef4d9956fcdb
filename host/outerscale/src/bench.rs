//! Times of kernels: checked first, operands rotated past the L2 cache, median and spread.

use crate::{
    Activations, Bias, Element, Gpu, Int8Matrix, Launch, Layout, Output, Result, Weights,
    gpu::Driver,
    ops::{self, Choice, Product, StaticScale},
    registry::Op,
};
use cust::event::{Event, EventFlags};
use half::f16;
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
/// Rows of a product that are held against the oracle: a token's result does not depend on the others.
const CHECKED_TOKENS: u64 = 3;

/// Operands of one launch, made ready and launched once.
struct Ready {
    launch: Launch,
    /// Whether the results have the oracle's bits; asked once.
    equal: bool,
}

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
    let operations = if op.name == "gemm" { 2 * shape.m * shape.n * shape.k } else { 0 };
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
        "row_absmax" | "tensor_absmax" => 2 * m * k,
        "pack_rows" => 2 * m * k,
        "gemm" => m * k + n * k + 2 * m * n,
        _ => 3 * m * k,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Yes,
    No,
}

/// Values that fill f16 evenly enough: their bits do not matter for time, their codes do for the check.
fn values(count: u64, salt: u64) -> Vec<f16> {
    let mix = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt) >> 40) as f32 / (1u64 << 23) as f32;
    (0..count).map(|i| f16::from_f32(mix(i + 1) - 1.0)).collect()
}

/// Makes the operands of an op and launches it once.
fn ready(gpu: &Gpu, op: &str, Shape { m, n, k }: Shape, check: Check) -> Result<Ready> {
    let layout = Layout::contiguous(m, k);
    let host = values(m * k, 1);
    let x = Activations::upload(gpu, &host, layout)?;
    let wide = || host.iter().map(|v| v.to_f32()).collect::<Vec<f32>>();
    let (rows, cols) = (m as usize, k as usize);
    let no = check == Check::No;
    let (launch, equal) = match op {
        "row_absmax" => {
            let (got, launch) = ops::row_absmax(gpu, &x, Choice::Auto)?;
            (launch, no || same(&got.download()?, &oracle::row_absmax(&wide(), rows, cols)))
        }
        "tensor_absmax" => {
            let (got, launch) = ops::tensor_absmax(gpu, &x, Choice::Auto)?;
            let largest = got.download()?.iter().map(|v| v.to_bits()).max().unwrap_or(0);
            (launch, no || largest == oracle::tensor_absmax(&wide()).to_bits())
        }
        "quantize_tensor" => {
            let (partials, _) = ops::tensor_absmax(gpu, &x, Choice::Auto)?;
            let (q, launch) = ops::quantize_tensor(gpu, &x, &partials, Choice::Auto)?;
            (launch, no || q.download_codes()? == oracle::quantize_tensor(&wide()).0)
        }
        "quantize_static" => {
            let scale = 1.0 / 127.0;
            let with = StaticScale { scale, non_finite: None };
            let (q, launch) = ops::quantize_static(gpu, &x, with, Choice::Auto)?;
            let codes = || oracle::quantize_static(&wide(), scale).map(|(codes, _)| codes);
            (launch, no || Ok(q.download_codes()?) == codes())
        }
        "pack_rows" => {
            let codes: Vec<i8> = host.iter().map(|v| v.bits() as i8).collect();
            let (packed, launch) = ops::pack_rows(gpu, &Int8Matrix::upload(gpu, &codes, layout)?, Choice::Auto)?;
            (launch, no || packed.download_codes()? == codes)
        }
        "gemm" => {
            let (q_x, _) = ops::quantize_token(gpu, &x, Choice::Auto)?;
            let w = Weights::upload(gpu, &values(n * k, 2), Layout::contiguous(n, k))?;
            let (q_w, _) = ops::quantize_weights(gpu, &w, Choice::Auto)?;
            let bias: Vec<f32> = values(n, 3).iter().map(|v| v.to_f32()).collect();
            let device_bias = Bias::upload(gpu, &bias)?;
            let mut y = Output::<f16>::new(gpu, Layout::contiguous(m, n))?;
            let product = Product { x: &q_x, w: &q_w, bias: Some(&device_bias) };
            let launch = ops::gemm(gpu, product, &mut y, Choice::Auto)?;
            (launch, no || product_is_right(&q_x, &q_w, &bias, &y)?)
        }
        _ => {
            let (q, launch) = ops::quantize_token(gpu, &x, Choice::Auto)?;
            let equal = no || {
                let (codes, scales) = oracle::quantize_token(&wide(), rows, cols);
                q.download_codes()? == codes && same(&q.scales().download()?, &scales)
            };
            (launch, equal)
        }
    };
    Ok(Ready { launch, equal })
}

/// Some tokens of a product against the oracle: first, middle and last.
fn product_is_right(
    x: &crate::QuantizedTokens<crate::PerToken>,
    w: &crate::QuantizedWeights<crate::PerChannel>,
    bias: &[f32],
    y: &Output<f16>,
) -> Result<bool> {
    let (m, n, k) = (x.rows(), w.rows() as usize, x.cols() as usize);
    let (q_x, q_w, s_x, s_w) =
        (x.download_codes()?, w.download_codes()?, x.scales().download()?, w.scales().download()?);
    let got = y.download()?;
    let mut equal = true;
    for index in 0..CHECKED_TOKENS.min(m) {
        let row = (index * (m - 1) / (CHECKED_TOKENS - 1)) as usize;
        let acc = oracle::gemm_i32(&q_x[row * k..][..k], &q_w, 1, n, k);
        let Ok(acc) = acc else { return Ok(false) };
        let by = oracle::Dequant { s_x: &s_x[row..=row], s_w: &s_w, bias: Some(bias) };
        let want = oracle::dequant_f16(&acc, 1, n, &by);
        equal &= got[row * n..][..n].iter().zip(&want).all(|(got, want)| got.bits() == want.bits());
    }
    Ok(equal)
}

fn same(got: &[f32], want: &[f32]) -> bool {
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| got.bits() == want.bits())
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
