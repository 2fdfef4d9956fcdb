//! One scale for a batch, from a moving average over the batches before it: nothing of it waits for the host.

use super::variant::{Table, always, any_problem, no_workspace};
use super::{Choice, Preference, Problem, Variant};
use crate::{
    Dtype, Error, Gpu, Launch, PartialAbsmax, PerTensor, Result, RunningState, Scales, gpu::LaunchRequest, ptx::Module,
};
use contract::{args::RunningScaleArgs, grid};

pub(crate) const RUNNING_SCALE: Table = Table {
    op: "running_scale",
    variants: &[Variant {
        name: "block",
        module: Module::Reduce,
        stem: "running_scale",
        dtypes: &[],
        block: grid::THREADS,
        block_rows: 1,
        grid: |_| 1,
        shared_bytes: 0,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    }],
    preferences: &[Preference { variant: "block", when: always, why: "the only one" }],
};

/// When and how a running scale is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Samples (batches) from one update to the next, at least 1.
    pub every: u32,
    /// What an update keeps of the average, in [0, 1).
    pub momentum: f32,
}

impl Window {
    /// Every 32 samples, nine tenths of the average kept.
    pub const DEFAULT: Window = Window { every: 32, momentum: 0.9 };

    /// # Errors
    /// `every` where it is 0; `momentum` where it is outside [0, 1) or NaN.
    pub fn check(self) -> Result<()> {
        if self.every == 0 {
            return Err(Error::argument("running_scale", "every", "must be at least 1 sample, got 0"));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            let rule = format!("must lie in [0, 1), got {}: at 1 nothing new would count", self.momentum);
            return Err(Error::argument("running_scale", "momentum", rule));
        }
        Ok(())
    }
}

/// The partial maxima of a batch → the scale it is quantized with, by the batches before it; `state` then takes the
/// batch in. The first batch that is not all zeros begins the average where calibration did not. The scale of no
/// tokens is 1, and they are no sample. A batch of NaN or Inf, or of an absmax over 2¹⁰⁶, is left out and counted.
///
/// # Errors
/// `every` and `momentum` as [`Window::check`]; a variant that cannot be used; a CUDA error.
pub fn running_scale(
    gpu: &Gpu,
    absmax: &PartialAbsmax,
    state: &RunningState,
    by: Window,
    choice: Choice<'_>,
) -> Result<(Scales<PerTensor>, Launch)> {
    let mut scale = Scales::with_room(gpu, 1)?;
    let launch = running_scale_into(gpu, absmax, state, by, &mut scale, choice)?;
    Ok((scale, launch))
}

/// As [`fn@running_scale`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there.
pub fn running_scale_into(
    gpu: &Gpu,
    absmax: &PartialAbsmax,
    state: &RunningState,
    by: Window,
    scale: &mut Scales<PerTensor>,
    choice: Choice<'_>,
) -> Result<Launch> {
    by.check()?;
    let count = absmax.0.len();
    let problem = Problem::new(gpu, count, 1, 1);
    if count == 0 {
        gpu.fill_words(&scale.values.memory, 1f32.to_bits(), 1)?;
    }
    let args = RunningScaleArgs {
        partials: absmax.0.memory.ptr(),
        partial_count: count,
        state: state.0.ptr(),
        scale: scale.as_arg().ptr,
        every: by.every,
        momentum: by.momentum,
    };
    let request = LaunchRequest::new(&RUNNING_SCALE, problem, Dtype::I8, choice).keep([
        &absmax.0.memory,
        &state.0,
        &scale.values.memory,
    ]);
    // SAFETY: `partials` has `partial_count` f32, `state` is a `RunningState`'s 16 bytes, `scale` one f32; all live
    // until the launch has ended (`keep`), and launches on the one stream do not overlap in the state.
    unsafe { gpu.launch(request, args, count) }
}
