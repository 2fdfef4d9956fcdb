//! Other libraries' codes as schemes: their rules for tokens, and for weights where they have one.

use super::{Calibration, Step, TokenCodes, Tokens, tokens::other_room};
use crate::{
    Activations, DeviceVector, Error, Float, Gpu, PerChannel, QuantizedTokens, QuantizedWeights, Result, Weights,
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
    pub(super) preset: Preset,
    /// The scale, where it is given.
    pub(super) given: Option<f32>,
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

    pub(super) fn room(&self, gpu: &Gpu, most: u64, k: u64) -> Result<Tokens> {
        if self.given.is_some() {
            return Ok(Tokens::with_room(TokenCodes::ByTensor(QuantizedTokens::with_room(gpu, most, k)?)));
        }
        let absmax = Some(DeviceVector::with_room(gpu, most)?);
        Ok(Tokens { absmax, ..Tokens::with_room(TokenCodes::ByToken(QuantizedTokens::with_room(gpu, most, k)?)) })
    }

    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>, tokens: &mut Tokens) -> Result<Vec<Step>> {
        if let Some(scale) = self.given {
            let codes = tokens.codes.by_tensor()?;
            let launch = ops::quantize_preset_static_into(gpu, x, (self.preset, scale), codes, Choice::Auto)?;
            return Ok(vec![Step { op: "quantize_preset", made: "q_x", launch }]);
        }
        let absmax = tokens.absmax.as_mut().ok_or_else(other_room)?;
        let launch = ops::quantize_preset_into(gpu, x, self.preset, (tokens.codes.by_token()?, absmax), Choice::Auto)?;
        Ok(vec![Step { op: "quantize_preset", made: "q_x, s_x", launch }])
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
