//! One scale for all tokens of a batch that follows the batches before it, on the device.
//!
//! A batch is quantized with what the batches before it left, not with a scale that has already taken it in: a token's
//! codes then do not depend on the other tokens of its batch, as under a static scale, and the reduction may as well
//! run after the quantizer. Only the first batch, where calibration gave no beginning, has a scale made from itself.

use super::{Calibration, Step, Tokens, quantized::given_scale};
use crate::{
    Activations, Float, Gpu, Result, RunningState,
    ops::{self, Choice, Window},
};

/// What the scheme keeps between batches.
pub(super) struct Running {
    pub(super) state: RunningState,
    by: Window,
}

impl Running {
    /// Begins with what calibration knows, or with the first batch.
    pub(super) fn new(gpu: &Gpu, by: Window, begun: Option<&Calibration>) -> Result<Self> {
        by.check()?;
        // The rule of a static scale, which names the tensor that breaks it.
        begun.map(Calibration::static_scale).transpose()?;
        Ok(Running { state: RunningState::new(gpu, begun.map(Calibration::absmax))?, by })
    }

    /// x [tokens, K] → codes; x counts for the batches after it.
    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>) -> Result<Tokens> {
        let (partials, absmax) = ops::tensor_absmax(gpu, x, Choice::Auto)?;
        let (scale, launch) = ops::running_scale(gpu, &partials, &self.state, self.by, Choice::Auto)?;
        let mut steps = vec![
            Step { op: "tensor_absmax", made: "maxima of x", launch: absmax },
            Step { op: "running_scale", made: "s_x", launch },
        ];
        let tokens = given_scale(gpu, x, &scale)?;
        steps.extend(tokens.steps);
        Ok(Tokens { partial_absmax: Some(partials), steps, ..tokens })
    }
}
