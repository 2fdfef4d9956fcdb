//! What was learnt of a layer's input before it runs.

use super::{Hybrid, PresetScale, Scheme};
use crate::ops::Preset;
use crate::{
    Error, Result,
    files::Layer,
    host::HostMatrix,
    operands::check_scale,
    smooth::{Alpha, Factors, not_searched, weight_absmax},
};
use contract::limits::CODE_MAX;

/// What calibration knows of the input of one linear.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The largest |x| of each input channel, f32 `[K]`.
    pub channel_absmax: Vec<f32>,
    /// The absmax that a static scale is made of, where an observer chose another than the largest of all.
    ///
    /// Smoothing does without it: it is of x, and there is no telling what it would be of x / s.
    pub tensor_absmax: Option<f32>,
    /// By how much the noise of one static scale exceeds that of a scale a token
    /// ([`Statistics::spread`](crate::calibration::Statistics::spread)), where that is known.
    pub spread: Option<f64>,
    /// The largest |w| of each input channel, f32 `[K]`, over all linears that read this input, so that smoothing gives
    /// them the same factors and x is quantized once; where it is not known, a layer counts as the only one.
    pub weight_absmax: Option<Vec<f32>>,
}

impl Calibration {
    /// From the largest |x| of each input channel.
    pub fn from_channel_absmax(channel_absmax: Vec<f32>) -> Self {
        Calibration { channel_absmax, tensor_absmax: None, spread: None, weight_absmax: None }
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
    /// `calib_absmax` where it has no scale, no spread or no factors for a scheme that needs them.
    pub fn check(&self, scheme: Scheme) -> Result<()> {
        match scheme {
            Scheme::Token | Scheme::Tensor | Scheme::Asym | Scheme::LlmInt8 { .. } => Ok(()),
            Scheme::Static | Scheme::Running(_) => self.static_scale().map(drop),
            Scheme::Preset(_, PresetScale::Token) => Ok(()),
            Scheme::Preset(preset, PresetScale::Static) => self.preset_scale(preset).map(drop),
            Scheme::Hybrid => self.check(Hybrid::choose(self)?.scheme),
            Scheme::SmoothToken { .. } | Scheme::SmoothStatic { .. } => {
                // Whatever the weights and α are, the magnitudes must be such, and under a static scale not all zero.
                let factors = Factors::new(&self.channel_absmax, &vec![1.0; self.channel_absmax.len()], 0.5)?;
                let is_static = matches!(scheme, Scheme::SmoothStatic { .. });
                is_static.then(|| self.smooth_scale(&factors)).transpose().map(drop)
            }
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

    /// The static scale of a preset: absmax / 127 or 127.5.
    ///
    /// # Errors
    /// As [`Calibration::static_scale`].
    pub fn preset_scale(&self, preset: Preset) -> Result<f32> {
        let scale = self.absmax() / preset.static_divisor();
        check_scale(scale).map_err(|rule| {
            let how = format!("its maximum / {} is the scale, and {rule}", preset.static_divisor());
            Error::argument(preset.name(), "calib_absmax", how)
        })?;
        Ok(scale)
    }

    /// Also knowing the weights [N_i, K] of every linear that reads this input.
    ///
    /// # Errors
    /// `w` where their K differ.
    pub fn with_consumers(self, consumers: &[&HostMatrix]) -> Result<Self> {
        Ok(Calibration { weight_absmax: Some(weight_absmax(consumers)?), ..self })
    }

    /// The smoothing factors for w [N, K] and the other linears that read this input; ones where `alpha` is off.
    ///
    /// # Errors
    /// As [`Factors::new`]; `alpha` where it is still to be searched for.
    pub(crate) fn factors(&self, w: &HostMatrix, alpha: Alpha, scheme: Scheme) -> Result<Factors> {
        let alpha = match alpha {
            Alpha::Auto => return Err(not_searched(scheme.name())),
            Alpha::Fixed(alpha) => alpha,
            Alpha::Off => return Factors::given(vec![1.0; w.cols as usize]),
        };
        match &self.weight_absmax {
            Some(of_all) => Factors::new(&self.channel_absmax, of_all, alpha),
            None => Factors::new(&self.channel_absmax, &weight_absmax(&[w])?, alpha),
        }
    }

    /// The static scale of x / s: max_j(absmax_j / s_j) / 127.
    ///
    /// # Errors
    /// As [`Calibration::static_scale`].
    pub(crate) fn smooth_scale(&self, factors: &Factors) -> Result<f32> {
        let scale = factors.absmax(&self.channel_absmax) / CODE_MAX;
        check_scale(scale).map_err(|rule| {
            Error::argument(
                "smooth-static",
                "calib_absmax",
                format!("the largest over s, / 127, is the scale, and {rule}"),
            )
        })?;
        Ok(scale)
    }
}

/// A calibrated scheme without calibration.
pub(crate) fn missing(scheme: Scheme) -> Error {
    Error::argument(scheme.name(), "calib_absmax", "is missing; add it to the file or take w8a8-token")
}
