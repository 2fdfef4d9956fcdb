//! One scale for all tokens of a batch that follows the batches before it, on the device.
//!
//! A batch is quantized with what the batches before it left, not with a scale that has already taken it in: a token's
//! codes then do not depend on the other tokens of its batch, as under a static scale, and the reduction may as well
//! run after the quantizer. Only the first batch, where calibration gave no beginning, has a scale made from itself.

use super::{
    Calibration, Step, Tokens,
    quantized::{given_scale, given_scale_room},
    tokens::other_room,
};
use crate::{
    Activations, Float, Gpu, PartialAbsmax, Result, RunningState,
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
        // The rule of a static scale, which names the tensor that breaks it.
        begun.map(Calibration::static_scale).transpose()?;
        Running::begun(gpu, by, begun.map(Calibration::absmax))
    }

    /// Begins with an absmax, or with the first batch.
    pub(super) fn begun(gpu: &Gpu, by: Window, absmax: Option<f32>) -> Result<Self> {
        by.check()?;
        Ok(Running { state: RunningState::new(gpu, absmax)?, by })
    }

    pub(super) fn room(gpu: &Gpu, most: u64, k: u64) -> Result<Tokens> {
        let partials = PartialAbsmax::with_room(gpu, most, k)?;
        Ok(Tokens { partial_absmax: Some(partials), ..given_scale_room(gpu, most, k)? })
    }

    /// x [tokens, K] → codes; x counts for the batches after it.
    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>, tokens: &mut Tokens) -> Result<Vec<Step>> {
        let partials = tokens.partial_absmax.as_mut().ok_or_else(other_room)?;
        let absmax = ops::tensor_absmax_into(gpu, x, partials, Choice::Auto)?;
        let mut scale = tokens.codes.by_tensor()?.own_scales.clone();
        let launch = ops::running_scale_into(gpu, partials, &self.state, self.by, &mut scale, Choice::Auto)?;
        Ok(vec![
            Step { op: "tensor_absmax", made: "maxima of x", launch: absmax },
            Step { op: "running_scale", made: "s_x", launch },
            given_scale(gpu, x, &scale, tokens)?,
        ])
    }
}
