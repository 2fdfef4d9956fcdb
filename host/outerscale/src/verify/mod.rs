//! Every kernel variant against the oracle, bit for bit.
//!
//! Shapes have edges one past a tile, data has ties, near ties, zeros, NaN, Inf, subnormals and values past
//! a scale's range; matrices lie at every alignment with gaps that must stay as they are. Codes near ±127
//! with K in the thousands make sums that f32 cannot hold. Everything follows from a seed.

mod check;
mod data;
mod product;
mod quantizers;
mod reductions;

pub use check::Check;
pub(crate) use product::gemm;
pub(crate) use quantizers::{pack_rows, quantize_static, quantize_tensor, quantize_token};
pub(crate) use reductions::{row_absmax, tensor_absmax};

use crate::{
    Dtype, Error, Gpu, Result,
    ops::{Problem, Variant},
    registry::{OPS, Op},
};

/// What to verify.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only kernels whose name holds this.
    pub only: Option<String>,
    /// Where the data comes from.
    pub seed: u64,
}

/// What came of one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every result has the oracle's bits.
    Equal,
    /// The first difference.
    Differs(String),
    /// The kernel could not be run to its end.
    Failed(String),
    /// The GPU cannot run this variant.
    Skipped(String),
}

/// One kernel's line of the report.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The op.
    pub op: &'static str,
    /// The kernel's entry.
    pub entry: String,
    /// Cases run.
    pub cases: u32,
    /// What came of them.
    pub verdict: Verdict,
}

impl Outcome {
    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Equal | Verdict::Skipped(_))
    }
}

/// One kernel to verify.
#[derive(Clone)]
struct Job {
    op: &'static Op,
    variant: &'static Variant,
    dtype: Dtype,
    entry: String,
}

fn jobs(only: Option<&str>) -> Result<Vec<Job>> {
    let all = OPS.iter().flat_map(|op| {
        op.table.variants.iter().flat_map(move |variant| {
            // A kernel without an element type in its name has one job.
            let dtypes = if variant.dtypes.is_empty() { &[Dtype::I8] } else { variant.dtypes };
            dtypes.iter().map(move |dtype| Job { op, variant, dtype: *dtype, entry: variant.entry(*dtype) })
        })
    });
    let chosen: Vec<Job> = match only {
        Some(name) => all.filter(|job| job.entry.contains(name) || job.op.name == name).collect(),
        None => all.collect(),
    };
    if chosen.is_empty() {
        let names: Vec<_> = OPS.iter().map(|op| op.name).collect();
        let rule = format!("no kernel's name holds {:?}; the ops are {}", only.unwrap_or_default(), names.join(", "));
        return Err(Error::argument("verify", "only", rule));
    }
    Ok(chosen)
}

/// Verifies kernels; `progress` is told each kernel's name before it runs, with its number and how many there are.
///
/// # Errors
/// `only` where no kernel's name holds it. What kernels do wrong is in the outcomes.
pub fn verify(gpu: &Gpu, options: &Options, progress: &mut dyn FnMut(&str, usize, usize)) -> Result<Vec<Outcome>> {
    let jobs = jobs(options.only.as_deref())?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    let mut broken_by = None;
    for (index, job) in jobs.iter().enumerate() {
        progress(&job.entry, index, jobs.len());
        let (cases, verdict) = match &broken_by {
            None => run(gpu, job, options.seed),
            // A fault ends the context: nothing that runs after it means anything.
            Some(entry) => (0, Verdict::Failed(format!("not run: {entry} broke the context"))),
        };
        if matches!(verdict, Verdict::Failed(_)) && gpu.synchronize().is_err() {
            broken_by.get_or_insert_with(|| job.entry.clone());
        }
        outcomes.push(Outcome { op: job.op.name, entry: job.entry.clone(), cases, verdict });
    }
    Ok(outcomes)
}

fn run(gpu: &Gpu, job: &Job, seed: u64) -> (u32, Verdict) {
    let shapeless = Problem::new(gpu, 1, 1, 1);
    if let Err(reason) = job.variant.eligible(&shapeless, job.dtype) {
        return (0, Verdict::Skipped(reason));
    }
    let mut check = Check::new(gpu, job.variant.name, job.dtype, &job.entry, seed);
    let verdict = match (job.op.verify)(&mut check) {
        Ok(()) => check.take_difference().map_or(Verdict::Equal, Verdict::Differs),
        Err(error) => Verdict::Failed(error.to_string()),
    };
    (check.cases(), verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_selects_by_op_variant_or_entry() {
        let names = |only| jobs(Some(only)).unwrap().iter().map(|job| job.entry.clone()).collect::<Vec<_>>();
        assert_eq!(names("quantize_token_warp_f16"), ["quantize_token_warp_f16"]);
        assert_eq!(names("pack_rows"), ["pack_rows"]);
        assert_eq!(names("t16x64").len(), 4);
        assert_eq!(names("quantize_token").len(), 6);
        let error = jobs(Some("gemv")).err().unwrap().to_string();
        assert!(error.starts_with("verify: only: no kernel's name holds \"gemv\""), "{error}");
    }

    #[test]
    fn every_kernel_of_every_op_is_a_job() {
        let jobs: Vec<_> = jobs(None).unwrap().into_iter().map(|job| job.entry).collect();
        let entries: Vec<_> = OPS.iter().flat_map(|op| op.entries()).collect();
        assert_eq!(jobs, entries);
    }
}
