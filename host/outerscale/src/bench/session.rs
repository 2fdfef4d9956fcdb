//! One job after the other on the same data as the peers: what `outerscale bench --serve` answers with.

use super::{
    Measured, Shape,
    codes::{self, Data},
    least_bytes, operations, past_l2,
    timing::{Call, time},
};
use crate::{
    Activations, Error, Gpu, Launch, Layout, Output, OutputElement, PerChannel, PerToken, QuantizedTokens,
    QuantizedWeights, Result, Weights, Workspace,
    element::Element,
    memory::DeviceMemory,
    ops::{self, Choice, Product},
};
use half::bf16;
use serde::Deserialize;
use std::{cell::RefCell, rc::Rc};

/// What to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The product of codes that are there: y [M, N].
    Gemm,
    /// A layer from bf16 to bf16: tokens quantized, then the product.
    Layer,
    /// Tokens x bf16 [M, K] quantized.
    QuantizeToken,
    /// The driver's copy of M bytes: what memory can do.
    Copy,
}

/// One job.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Job {
    /// What to time.
    #[serde(rename = "op")]
    pub work: Work,
    /// The shape.
    #[serde(flatten)]
    pub shape: Shape,
    /// The distribution of the codes.
    pub data: Data,
    /// The type of y: bf16 or i32.
    #[serde(rename = "out")]
    pub output: OutputWord,
    /// Seconds that a measurement takes, about.
    pub seconds: f64,
}

/// The types of y that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputWord {
    /// Scaled, as a model takes it.
    Bf16,
    /// The sums alone, as cuBLASLt gives them.
    I32,
}

/// What was made ready.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Checksums of the codes of x and of w; none where there are none.
    pub sums: [Option<[i64; 2]>; 2],
    /// Sets of operands.
    pub sets: usize,
    /// The kernels of a call and why each was chosen.
    pub kernels: Vec<(String, String)>,
}

/// Rows of a product that are held against the oracle, and about how many columns of them.
const CHECKED: (u64, usize) = (3, 1024);

/// Weights on the device, kept for jobs that share them.
struct Kept {
    key: (u64, u64, Data),
    codes: Vec<i8>,
    sets: Vec<Rc<QuantizedWeights<PerChannel>>>,
}

/// Operands of the latest job.
pub struct Session {
    gpu: Gpu,
    weights: Option<Kept>,
    job: Option<(Job, Vec<Call>, Vec<Launch>)>,
}

impl Session {
    /// Nothing is ready yet.
    pub fn new(gpu: &Gpu) -> Session {
        Session { gpu: gpu.clone(), weights: None, job: None }
    }

    /// Makes the operands of a job and launches it once.
    ///
    /// # Errors
    /// A CUDA error; [`Error::Backend`] where the result is not the oracle's.
    pub fn prepare(&mut self, job: Job) -> Result<Prepared> {
        self.prepare_by(job, Choice::Auto)
    }

    /// As [`Session::prepare`], the product by a variant of choice.
    ///
    /// # Errors
    /// As [`Session::prepare`]; a variant that cannot be used.
    pub fn prepare_by(&mut self, job: Job, choice: Choice<'_>) -> Result<Prepared> {
        self.job = None;
        let sets = past_l2(&self.gpu, least_bytes(job)) as usize;
        let mut prepared = Prepared { sums: [None; 2], sets, kernels: Vec::new() };
        let (mut calls, mut launches) = (Vec::<Call>::new(), Vec::new());
        if job.work == Work::Copy {
            prepared.sets = 1;
            calls.push(self.copy(job.shape.m)?);
        } else {
            let codes_x = codes::matrix(job.data, 0, job.shape.m, job.shape.k);
            prepared.sums[0] = Some(codes::checksum(&codes_x));
            if job.work != Work::QuantizeToken {
                prepared.sums[1] = Some(codes::checksum(self.weights(job, sets)?));
            }
            let x = codes::values(&codes_x, 0);
            for set in 0..sets {
                let check = (set == 0).then_some(codes_x.as_slice());
                let steps = match job.output {
                    OutputWord::Bf16 => self.steps::<bf16>((job, choice), &x, set, check)?,
                    OutputWord::I32 => self.steps::<i32>((job, choice), &x, set, check)?,
                };
                if set == 0 {
                    let named = |launch: &Launch| (launch.entry.clone(), launch.why.to_string());
                    prepared.kernels = steps.iter().map(named).collect();
                    launches.clone_from(&steps);
                }
                calls.push(Box::new(move || steps.iter().try_for_each(Launch::again)));
            }
        }
        self.job = Some((job, calls, launches));
        Ok(prepared)
    }

    /// Times the job that was made ready.
    ///
    /// # Errors
    /// A CUDA error; [`Error::Backend`] where nothing is ready.
    pub fn time(&mut self) -> Result<Measured> {
        let Some((job, calls, launches)) = &mut self.job else {
            return Err(Error::Backend("no job was made ready: send {\"prepare\": job} first".to_owned()));
        };
        let times = time(&self.gpu, calls, job.seconds)?;
        let entry = launches.iter().map(|launch| launch.entry.as_str()).collect::<Vec<_>>().join(" + ");
        let bytes = least_bytes(*job);
        Ok(Measured {
            bench: job.work.name(),
            entry,
            shape: job.shape,
            equal: true,
            times,
            bytes,
            operations: operations(*job),
        })
    }

    /// A copy of `bytes` bytes within the device.
    fn copy(&self, bytes: u64) -> Result<Call> {
        let from = DeviceMemory::filled(&self.gpu, bytes, 1)?;
        let to = RefCell::new(DeviceMemory::filled(&self.gpu, bytes, 0)?);
        Ok(Box::new(move || to.borrow_mut().copy_in_stream(&from)))
    }

    /// The weights of a job in at least `sets` copies; their codes.
    fn weights(&mut self, job: Job, sets: usize) -> Result<&[i8]> {
        let Shape { n, k, .. } = job.shape;
        let key = (n, k, job.data);
        if self.weights.as_ref().is_none_or(|kept| kept.key != key) {
            // The old ones go first: two sets of the largest need not fit.
            self.weights = None;
            self.weights = Some(Kept { key, codes: codes::matrix(job.data, 1, n, k), sets: Vec::new() });
        }
        let kept = self.weights.get_or_insert_with(|| Kept { key, codes: Vec::new(), sets: Vec::new() });
        if kept.sets.len() < sets {
            let values = Weights::upload(&self.gpu, &codes::values(&kept.codes, 1), Layout::contiguous(n, k))?;
            while kept.sets.len() < sets {
                kept.sets.push(Rc::new(ops::quantize_weights(&self.gpu, &values, Choice::Auto)?.0));
            }
            // The values are freed with the stream empty: nothing reads them any more.
            self.gpu.synchronize()?;
        }
        Ok(&kept.codes)
    }

    /// The launches of a job on one set of operands; `check` has the codes of x where the result is to be checked.
    fn steps<T: OutputElement + Timed>(
        &self,
        (job, choice): (Job, Choice<'_>),
        x: &[bf16],
        set: usize,
        check: Option<&[i8]>,
    ) -> Result<Vec<Launch>> {
        let Shape { m, n, k } = job.shape;
        let values = Activations::upload(&self.gpu, x, Layout::contiguous(m, k))?;
        let (tokens, quantized) = ops::quantize_token(&self.gpu, &values, Choice::Auto)?;
        if let Some(codes) = check {
            right(tokens.download_codes()? == codes, job, "the codes")?;
        }
        if job.work == Work::QuantizeToken {
            return Ok(vec![quantized]);
        }
        let Some(kept) = &self.weights else {
            return Err(Error::Backend("no weights were made ready".to_owned()));
        };
        let mut y = Output::<T>::new(&self.gpu, Layout::contiguous(m, n))?;
        let product = Product { x: &tokens, w: &*kept.sets[set], bias: None };
        let mut workspace = Workspace::new(&self.gpu, ops::workspace_bytes(&self.gpu, m, n, k))?;
        let launch = ops::gemm(&self.gpu, product, &mut y, &mut workspace, choice)?;
        if let Some(codes) = check {
            right(product_is_right(&tokens, (codes, &kept.codes), &y)?, job, "the product")?;
        }
        Ok(if job.work == Work::Layer { vec![quantized, launch] } else { vec![launch] })
    }
}

impl Work {
    /// As the bench is called.
    pub fn name(self) -> &'static str {
        match self {
            Work::Gemm => "gemm",
            Work::Layer => "layer",
            Work::QuantizeToken => "quantize_token",
            Work::Copy => "copy",
        }
    }
}

fn right(equal: bool, job: Job, what: &str) -> Result<()> {
    let Shape { m, n, k } = job.shape;
    let wrong = || Error::Backend(format!("{} {m},{n},{k}: {what} differ from the oracle's", job.work.name()));
    if equal { Ok(()) } else { Err(wrong()) }
}

/// A type of y with its oracle.
trait Timed: Element + PartialEq {
    /// One element of y from its sum and scales.
    fn oracle(acc: &[i32], by: &oracle::Dequant<'_>) -> Vec<Self>;
}

impl Timed for i32 {
    fn oracle(acc: &[i32], _: &oracle::Dequant<'_>) -> Vec<i32> {
        acc.to_vec()
    }
}

impl Timed for bf16 {
    fn oracle(acc: &[i32], by: &oracle::Dequant<'_>) -> Vec<bf16> {
        oracle::dequant_bf16(acc, 1, acc.len(), by)
    }
}

/// Some rows of a product, of columns spread over all of them, against the oracle, bit for bit.
fn product_is_right<T: OutputElement + Timed>(
    tokens: &QuantizedTokens<PerToken>,
    (codes_x, codes_w): (&[i8], &[i8]),
    y: &Output<T>,
) -> Result<bool> {
    let (m, n, k) = (y.rows(), y.cols() as usize, tokens.cols() as usize);
    // An odd step meets every place within a tile.
    let columns: Vec<usize> = (0..n).step_by((n / CHECKED.1).max(1) | 1).chain([n - 1]).collect();
    let s_w = vec![codes::UNITS[1]; columns.len()];
    let w: Vec<i8> = columns.iter().flat_map(|&col| &codes_w[col * k..][..k]).copied().collect();
    let mut equal = true;
    for index in 0..CHECKED.0.min(m) {
        let row = index * (m - 1) / (CHECKED.0 - 1);
        let got = y.download_row(row)?;
        let x = &codes_x[row as usize * k..][..k];
        let Ok(acc) = oracle::gemm_i32(x, &w, 1, columns.len(), k) else { return Ok(false) };
        let want = T::oracle(&acc, &oracle::Dequant { s_x: &codes::UNITS[..1], s_w: &s_w, bias: None });
        equal &= columns.iter().zip(want).all(|(&col, want)| got[col] == want);
    }
    Ok(equal)
}
