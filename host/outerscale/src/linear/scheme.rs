//! The schemes: how tokens become codes.

use super::{OutlierWeights, PresetScale};
use crate::{
    Error, Result,
    ops::{Preset, Window},
    smooth::Alpha,
};

/// How x is quantized, and what a layer needs for it; w has one scale an output channel in every scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Scheme {
    /// One scale a token, from the data.
    #[default]
    Token,
    /// One scale for all tokens, from the data.
    Tensor,
    /// One scale for all tokens, from calibration.
    Static,
    /// One scale for all tokens of a batch, a moving average over the batches before it; calibration or the first
    /// batch begins it.
    Running(Window),
    /// One scale and one zero point a token, from the data.
    Asym,
    /// The codes and scales of another library, bit for bit.
    Preset(Preset, PresetScale),
    /// As [`Scheme::Static`] where the spread that calibration saw allows it, else as [`Scheme::Token`].
    Hybrid,
    /// One scale a token; columns in which any |x| reaches the threshold are multiplied in floating point instead.
    LlmInt8 {
        /// The threshold, at least 0; infinity: no column.
        threshold: f32,
        /// What those columns are multiplied by.
        outlier_weights: OutlierWeights,
    },
    /// SmoothQuant, one scale a token of x / s, from the data; the factors s from calibration.
    SmoothToken {
        /// The exponent of the factors.
        alpha: Alpha,
    },
    /// SmoothQuant, one scale for all tokens of x / s; it and the factors s from calibration.
    SmoothStatic {
        /// The exponent of the factors.
        alpha: Alpha,
    },
}

impl Scheme {
    /// Every scheme, its parameters the defaults; presets are two of them by other rules.
    pub const ALL: [Scheme; 9] = [
        Scheme::Token,
        Scheme::Tensor,
        Scheme::Static,
        Scheme::Running(Window::DEFAULT),
        Scheme::Asym,
        Scheme::Hybrid,
        Scheme::LLM_INT8,
        Scheme::SmoothToken { alpha: Alpha::Auto },
        Scheme::SmoothStatic { alpha: Alpha::Auto },
    ];

    /// LLM.int8() as its paper has it.
    pub const LLM_INT8: Scheme = Scheme::LlmInt8 { threshold: 6.0, outlier_weights: OutlierWeights::F16 };

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Token | Scheme::Preset(_, PresetScale::Token) => "w8a8-token",
            Scheme::Tensor => "w8a8-tensor",
            Scheme::Static | Scheme::Preset(_, PresetScale::Static) => "w8a8-static",
            Scheme::Running(_) => "w8a8-running",
            Scheme::Asym => "w8a8-asym",
            Scheme::Hybrid => "w8a8-hybrid",
            Scheme::LlmInt8 { .. } => "llm-int8",
            Scheme::SmoothToken { .. } => "smooth-token",
            Scheme::SmoothStatic { .. } => "smooth-static",
        }
    }

    /// Whether a layer cannot do without a [`Calibration`](super::Calibration) for it.
    pub const fn is_calibrated(self) -> bool {
        match self {
            Scheme::Token | Scheme::Tensor | Scheme::Running(_) | Scheme::Asym | Scheme::LlmInt8 { .. } => false,
            Scheme::Preset(_, scale) => matches!(scale, PresetScale::Static),
            Scheme::Static | Scheme::Hybrid | Scheme::SmoothToken { .. } | Scheme::SmoothStatic { .. } => true,
        }
    }

    /// Whose codes they are, where they are another library's.
    pub const fn preset(self) -> Option<Preset> {
        match self {
            Scheme::Preset(preset, _) => Some(preset),
            _ => None,
        }
    }

    /// The scheme with another library's codes.
    ///
    /// # Errors
    /// `preset` where the library has no codes of this scheme.
    pub fn with_preset(self, preset: Preset) -> Result<Scheme> {
        let scale = match self {
            Scheme::Token => PresetScale::Token,
            Scheme::Static => PresetScale::Static,
            other => {
                let rule = format!("there is none for {}: take w8a8-token or w8a8-static", other.name());
                return Err(Error::argument("preset", "preset", rule));
            }
        };
        preset.check(scale)?;
        Ok(Scheme::Preset(preset, scale))
    }

    /// The exponent of a scheme that smooths.
    pub const fn alpha(self) -> Option<Alpha> {
        match self {
            Scheme::SmoothToken { alpha } | Scheme::SmoothStatic { alpha } => Some(alpha),
            _ => None,
        }
    }

    /// The scheme with another exponent; one that does not smooth is as it was.
    pub const fn with_alpha(self, alpha: Alpha) -> Scheme {
        match self {
            Scheme::SmoothToken { .. } => Scheme::SmoothToken { alpha },
            Scheme::SmoothStatic { .. } => Scheme::SmoothStatic { alpha },
            other => other,
        }
    }
}
