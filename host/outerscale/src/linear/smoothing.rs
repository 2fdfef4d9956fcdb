//! What smoothing keeps of a layer between batches: the factors.

use super::{Calibration, Scheme, Step, TokenCodes, Tokens};
use crate::{
    Activations, Float, Gpu, InputCounters, PerInputChannel, PerTensor, Result, Scales,
    host::HostMatrix,
    ops::{self, Choice, StaticScale},
    smooth::{Alpha, Factors},
};

/// Factors on both sides: x is divided by them in the quantizer, w was multiplied before it was quantized.
pub(super) struct Smoothing {
    pub(super) factors: Factors,
    on_gpu: Scales<PerInputChannel>,
    /// The scale of x / s, where calibration gives it; else each token has its own.
    scale: Option<Scales<PerTensor>>,
}

impl Smoothing {
    /// The factors for w [N, K] and all other linears that `calibration` knows of.
    ///
    /// # Errors
    /// As [`Calibration::factors`], and `calib_absmax` where the static scale is out of its range; a CUDA error.
    pub(super) fn new(
        gpu: &Gpu,
        w: &HostMatrix,
        alpha: Alpha,
        scheme: Scheme,
        calibration: &Calibration,
    ) -> Result<Self> {
        let factors = calibration.factors(w, alpha, scheme)?;
        let scale = match scheme {
            Scheme::SmoothStatic { .. } => Some(Scales::upload(gpu, &[calibration.smooth_scale(&factors)?])?),
            _ => None,
        };
        let on_gpu = Scales::upload(gpu, factors.values())?;
        Ok(Smoothing { factors, on_gpu, scale })
    }

    /// x [tokens, K] → codes of x / s.
    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>) -> Result<Tokens> {
        let tokens = match &self.scale {
            None => {
                let (codes, launch) = ops::quantize_smooth_token(gpu, x, &self.on_gpu, Choice::Auto)?;
                let steps = vec![Step { op: "quantize_smooth_token", made: "q_x, s_x", launch }];
                Tokens::new(TokenCodes::ByToken(codes), steps)
            }
            Some(scale) => {
                let counters = InputCounters::new(gpu)?;
                let with = StaticScale { scale, counters: Some(&counters) };
                let (codes, launch) = ops::quantize_smooth_static(gpu, x, &self.on_gpu, with, Choice::Auto)?;
                let steps = vec![Step { op: "quantize_smooth_static", made: "q_x", launch }];
                Tokens { counters: Some(counters), ..Tokens::new(TokenCodes::ByTensor(codes), steps) }
            }
        };
        Ok(Tokens { divided_by: Some(self.factors.clone()), ..tokens })
    }
}
