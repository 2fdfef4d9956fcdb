//! What was learnt of a layer's input before it runs.

use super::{Hybrid, Scheme};
use crate::{Error, Result, files::Layer, operands::check_scale};
use contract::limits::CODE_MAX;

/// What calibration knows of the input of one linear.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The largest |x| of each input channel, f32 `[K]`.
    pub channel_absmax: Vec<f32>,
    /// The absmax that a static scale is made of, where an observer chose another than the largest of all.
    pub tensor_absmax: Option<f32>,
    /// By how much the noise of one static scale exceeds that of a scale a token
    /// ([`Statistics::spread`](crate::calibration::Statistics::spread)), where that is known.
    pub spread: Option<f64>,
}

impl Calibration {
    /// From the largest |x| of each input channel.
    pub fn from_channel_absmax(channel_absmax: Vec<f32>) -> Self {
        Calibration { channel_absmax, tensor_absmax: None, spread: None }
    }

    /// What a layer's file knows, `calib_absmax`, for a scheme that cannot do without.
    ///
    /// # Errors
    /// `calib_absmax` where the file has none.
    pub fn of(layer: &Layer, scheme: Scheme) -> Result<Self> {
        match layer.calib_absmax.clone() {
            Some(absmax) => Ok(Calibration::from_channel_absmax(absmax)),
            None => Err(missing(scheme)),
        }
    }

    /// What a layer's file knows, for any scheme: an error only where the scheme cannot do without.
    ///
    /// # Errors
    /// As [`Calibration::of`].
    pub fn given(layer: &Layer, scheme: Scheme) -> Result<Option<Self>> {
        match &layer.calib_absmax {
            None if !scheme.is_calibrated() => Ok(None),
            _ => Calibration::of(layer, scheme).map(Some),
        }
    }

    /// Whether a scheme can do with it.
    ///
    /// # Errors
    /// `calib_absmax` where it has no scale, or no spread, for a scheme that needs one.
    pub fn check(&self, scheme: Scheme) -> Result<()> {
        match scheme {
            Scheme::Token | Scheme::Tensor | Scheme::Asym | Scheme::LlmInt8 { .. } => Ok(()),
            Scheme::Static | Scheme::Running(_) => self.static_scale().map(drop),
            Scheme::Hybrid => self.check(Hybrid::choose(self)?.scheme),
        }
    }

    /// The absmax that one scale for all tokens is made of.
    pub fn absmax(&self) -> f32 {
        self.tensor_absmax.unwrap_or_else(|| self.channel_absmax.iter().copied().fold(0.0, f32::max))
    }

    /// The static scale: absmax / 127.
    ///
    /// # Errors
    /// `calib_absmax` where it is out of [2⁻¹⁰⁰, 2¹⁰⁰], as that of zeros is.
    pub fn static_scale(&self) -> Result<f32> {
        let scale = self.absmax() / CODE_MAX;
        check_scale(scale).map_err(|rule| {
            Error::argument("w8a8-static", "calib_absmax", format!("its maximum / 127 is the scale, and {rule}"))
        })?;
        Ok(scale)
    }
}

/// A calibrated scheme without calibration.
pub(crate) fn missing(scheme: Scheme) -> Error {
    Error::argument(scheme.name(), "calib_absmax", "is missing; add it to the file or take w8a8-token")
}
