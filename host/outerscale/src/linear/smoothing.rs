//! What smoothing keeps of a layer between batches: the factors.

use super::{Calibration, Scheme, Step, TokenCodes, Tokens, quantized::given_scale_room};
use crate::{
    Activations, Float, Gpu, PerInputChannel, PerTensor, QuantizedTokens, Result, Scales,
    host::HostMatrix,
    ops::{self, Choice, StaticScale},
    smooth::{Alpha, Factors},
};

/// Factors on both sides: x is divided by them in the quantizer, w was multiplied before it was quantized.
pub(super) struct Smoothing {
    pub(super) factors: Factors,
    on_gpu: Scales<PerInputChannel>,
    /// The scale of x / s, where calibration gives it; else each token has its own.
    pub(super) scale: Option<Scales<PerTensor>>,
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
            Scheme::SmoothStatic { .. } => Some(calibration.smooth_scale(&factors)?),
            _ => None,
        };
        Smoothing::given(gpu, factors, scale)
    }

    /// Given factors, and a given scale of x / s or one a token.
    pub(super) fn given(gpu: &Gpu, factors: Factors, scale: Option<f32>) -> Result<Self> {
        let scale = scale.map(|scale| Scales::upload(gpu, &[scale])).transpose()?;
        let on_gpu = Scales::upload(gpu, factors.values())?;
        Ok(Smoothing { factors, on_gpu, scale })
    }

    pub(super) fn room(&self, gpu: &Gpu, most: u64, k: u64) -> Result<Tokens> {
        let tokens = match self.scale {
            None => Tokens::with_room(TokenCodes::ByToken(QuantizedTokens::with_room(gpu, most, k)?)),
            Some(_) => given_scale_room(gpu, most, k)?,
        };
        Ok(Tokens { divided_by: Some(self.factors.clone()), ..tokens })
    }

    /// x [tokens, K] → codes of x / s.
    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>, tokens: &mut Tokens) -> Result<Vec<Step>> {
        let Some(scale) = &self.scale else {
            let codes = tokens.codes.by_token()?;
            let launch = ops::quantize_smooth_token_into(gpu, x, &self.on_gpu, codes, Choice::Auto)?;
            return Ok(vec![Step { op: "quantize_smooth_token", made: "q_x, s_x", launch }]);
        };
        let (with, codes) = (StaticScale { scale, counters: tokens.counters.as_ref() }, tokens.codes.by_tensor()?);
        let launch = ops::quantize_smooth_static_into(gpu, x, &self.on_gpu, with, codes, Choice::Auto)?;
        Ok(vec![Step { op: "quantize_smooth_static", made: "q_x", launch }])
    }
}
