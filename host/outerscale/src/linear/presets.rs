//! Other libraries' codes as schemes: their rules for tokens, and for weights where they have one.

use super::{Calibration, Step, TokenCodes, Tokens};
use crate::{
    Activations, DeviceVector, Error, Float, Gpu, PerChannel, QuantizedWeights, Result, Weights,
    ops::{self, Choice, Preset},
};

/// Where the scale of a preset's tokens comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresetScale {
    /// A scale a token, from the data.
    Token,
    /// One scale for all tokens, from calibration.
    Static,
}

/// What a preset keeps between batches.
pub(super) struct Presets {
    preset: Preset,
    /// The scale, where it is given.
    given: Option<f32>,
    /// What bitsandbytes stores in place of the scales of w.
    pub(super) w_absmax: Option<DeviceVector<f32>>,
}

impl Presets {
    /// # Errors
    /// `preset` where the library has no scale of this kind; `calib_absmax` where the scale that it gives is out of
    /// range.
    pub(super) fn new(preset: Preset, calibration: Option<&Calibration>) -> Result<Self> {
        preset.check(if calibration.is_some() { PresetScale::Static } else { PresetScale::Token })?;
        let given = calibration.map(|known| known.preset_scale(preset)).transpose()?;
        Ok(Presets { preset, given, w_absmax: None })
    }

    /// w [N, K] → codes, by the library's rule where it has one.
    pub(super) fn weights<T: Float>(
        &mut self,
        gpu: &Gpu,
        w: &Weights<T>,
    ) -> Result<(QuantizedWeights<PerChannel>, Step)> {
        if !self.preset.has_weights() {
            let (weights, launch) = ops::quantize_weights(gpu, w, Choice::Auto)?;
            return Ok((weights, Step { op: "quantize_token", made: "q_w, s_w", launch }));
        }
        let (weights, absmax, launch) = ops::quantize_preset_weights(gpu, w, self.preset, Choice::Auto)?;
        self.w_absmax = self.preset.stores_absmax().then_some(absmax);
        Ok((weights, Step { op: "quantize_preset", made: "q_w, s_w", launch }))
    }

    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>) -> Result<Tokens> {
        if let Some(scale) = self.given {
            let (codes, launch) = ops::quantize_preset_static(gpu, x, (self.preset, scale), Choice::Auto)?;
            let steps = vec![Step { op: "quantize_preset", made: "q_x", launch }];
            return Ok(Tokens::new(TokenCodes::ByTensor(codes), steps));
        }
        let (codes, absmax, launch) = ops::quantize_preset(gpu, x, self.preset, Choice::Auto)?;
        let steps = vec![Step { op: "quantize_preset", made: "q_x, s_x", launch }];
        let tokens = Tokens::new(TokenCodes::ByToken(codes), steps);
        Ok(Tokens { absmax: self.preset.stores_absmax().then_some(absmax), ..tokens })
    }
}

impl Preset {
    /// Whether the library has scales of this kind.
    ///
    /// # Errors
    /// `preset` where it has not, and which it has.
    pub fn check(self, scale: PresetScale) -> Result<()> {
        let (has, other) = match scale {
            PresetScale::Token => (self.of_rows(crate::Dtype::F32).is_some(), "w8a8-static"),
            PresetScale::Static => (self.of_given_scale().is_some(), "w8a8-token"),
        };
        if has {
            return Ok(());
        }
        let rule = format!("{} has no codes of this scheme: take {other}", self.name());
        Err(Error::argument("preset", "preset", rule))
    }
}
