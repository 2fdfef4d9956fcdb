//! `running_scale`: one scale for a batch, from a moving average over the batches before it.

use crate::{scale_from_absmax, tensor_absmax};

/// 2¹⁰⁶: a batch of a larger absmax is left out.
pub const RUNNING_ABSMAX_MAX: f32 = f32::from_bits((127 + 106) << 23);

/// What is known of the batches so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunningState {
    /// Moving average of the windows' absmax; 0: not begun.
    pub average: f32,
    /// absmax of the batches since the last update.
    pub window: f32,
    /// Batches since the last update.
    pub samples: u32,
    /// Batches left out.
    pub left_out: u32,
}

/// When and how the average is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Samples (batches) from one update to the next, at least 1.
    pub every: u32,
    /// What an update keeps of the average, in [0, 1).
    pub momentum: f32,
}

/// A batch of any shape, or the partial maxima of one → the scale it is quantized with; the state is updated after.
///
/// A batch whose absmax is over [`RUNNING_ABSMAX_MAX`], Inf or NaN is counted and else left out. The first other one
/// that is not all zeros begins the average, unless calibration did. Nothing is no sample, and its scale is 1.
pub fn running_scale(batch: &[f32], state: &mut RunningState, by: Window) -> f32 {
    if batch.is_empty() {
        return 1.0;
    }
    let absmax = tensor_absmax(batch);
    if absmax.is_nan() || absmax > RUNNING_ABSMAX_MAX {
        state.left_out = state.left_out.saturating_add(1);
        return scale_from_absmax(state.average);
    }
    if state.average == 0.0 {
        state.average = absmax;
    }
    let scale = scale_from_absmax(state.average);
    state.window = state.window.max(absmax);
    state.samples += 1;
    if state.samples >= by.every {
        let fresh = (1.0 - by.momentum) * state.window;
        state.average = by.momentum.mul_add(state.average, fresh);
        (state.window, state.samples) = (0.0, 0);
    }
    scale
}
