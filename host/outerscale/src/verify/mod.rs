//! Every kernel variant against the oracle, bit for bit.
//!
//! Shapes have edges one past a tile, data has ties, near ties, zeros, NaN, Inf, subnormals and values past
//! a scale's range; matrices lie at every alignment with gaps that must stay as they are. Codes near ±127
//! with K in the thousands make sums that f32 cannot hold. Everything follows from a seed.

mod check;
mod data;
pub mod layer;
mod outliers;
mod presets;
mod product;
mod product_asym;
mod product_outliers;
mod quantizers;
mod reductions;
mod smoothing;

pub use check::Check;
pub(crate) use outliers::{outlier_columns, outlier_list, quantize_outliers};
pub(crate) use presets::quantize_preset;
pub(crate) use product::gemm;
pub(crate) use product_asym::gemm_asym;
pub(crate) use product_outliers::gemm_outliers;
pub(crate) use quantizers::{pack_rows, pack_weights, quantize_asym, quantize_static, quantize_tensor, quantize_token};
pub(crate) use reductions::{column_absmax, row_absmax, row_sums, running_scale, tensor_absmax};

pub(crate) use smoothing::{quantize_smooth_static, quantize_smooth_token};

use crate::{
    Error, Gpu, Result,
    gpu::Driver,
    ops::Problem,
    registry::{self, Kernel},
};
use ptx_sim::Schedule;

/// What to verify.
#[derive(Clone, Debug)]
pub struct Options {
    /// As [`registry::kernels`] takes it.
    pub only: Option<String>,
    /// Where the data comes from.
    pub seed: u64,
    /// Under how many schedules of the simulator each kernel runs: late, eager, then drawn ones. More than one on
    /// the simulator only.
    pub schedules: usize,
}

impl Default for Options {
    /// Every kernel, seed 0, the default schedule.
    fn default() -> Self {
        Options { only: None, seed: 0, schedules: 1 }
    }
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
    /// The simulator's schedule; late on a GPU, which knows none.
    pub schedule: Schedule,
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

/// Verifies kernels; `progress` is told each kernel's name before it runs, with its number and how many there are.
/// The outcomes come schedule by schedule. What the simulator notes besides is in `libcuda::simulator::notes`.
///
/// # Errors
/// As [`registry::kernels`]; [`Error::Backend`] where several schedules are asked of a GPU. What kernels do wrong is
/// in the outcomes.
pub fn verify(gpu: &Gpu, options: &Options, progress: &mut dyn FnMut(&str, usize, usize)) -> Result<Vec<Outcome>> {
    let jobs = registry::kernels(options.only.as_deref())?;
    if options.schedules > 1 && gpu.driver() != Driver::Sim {
        let rule = "a GPU has its own schedule: --schedules takes several on the simulator only (--backend sim)";
        return Err(Error::Backend(rule.to_owned()));
    }
    let schedules = Schedule::list(options.schedules.max(1));
    let total = schedules.len() * jobs.len();
    let mut outcomes = Vec::with_capacity(total);
    let mut broken_by = None;
    for schedule in schedules {
        libcuda::simulator::set_schedule(schedule);
        for job in &jobs {
            progress(&job.entry, outcomes.len(), total);
            let (cases, verdict) = match &broken_by {
                None => run(gpu, job, options.seed),
                // A fault ends the context: nothing that runs after it means anything.
                Some(entry) => (0, Verdict::Failed(format!("not run: {entry} broke the context"))),
            };
            if matches!(verdict, Verdict::Failed(_)) && gpu.synchronize().is_err() {
                broken_by.get_or_insert_with(|| job.entry.clone());
            }
            outcomes.push(Outcome { op: job.op.name, entry: job.entry.clone(), schedule, cases, verdict });
        }
    }
    libcuda::simulator::set_schedule(Schedule::default());
    Ok(outcomes)
}

fn run(gpu: &Gpu, job: &Kernel, seed: u64) -> (u32, Verdict) {
    let shapeless = Problem::new(gpu, 1, 1, 1);
    if let Err(reason) = job.variant.eligible(&shapeless, job.dtype) {
        return (0, Verdict::Skipped(reason));
    }
    let mut check = Check::new(gpu, job, seed);
    let verdict = match (job.op.verify)(&mut check) {
        Ok(()) => check.take_difference().map_or(Verdict::Equal, Verdict::Differs),
        Err(error) => Verdict::Failed(error.to_string()),
    };
    (check.cases(), verdict)
}
