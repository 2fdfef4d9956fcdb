//! A layer that is ready, as data: to be kept in a file and made ready again without the weights that it came from.

mod check;
mod file;
mod header;

pub use check::Broken;

use super::{
    QuantizedLinear, Scheme, asym::Asym, llm_int8::LlmInt8, presets::Presets, quantized::Method, running::Running,
    smoothing::Smoothing,
};
use crate::{
    Bias, DeviceVector, Error, Gpu, HalfWeights, PackedWeights, QuantizedWeights, Result, Scales,
    host::{Values, with_values},
    smooth::Factors,
};
use contract::packed;
use half::f16;

/// All that a [`QuantizedLinear`] is made of, on the host: weights as the products read them, and what the scheme needs.
/// It is the same for every GPU. Codes from elsewhere become a layer by way of it too ([`PackedLayer::packed`]).
#[derive(Clone, Debug, PartialEq)]
pub struct PackedLayer {
    /// N: output channels.
    pub rows: u64,
    /// K: input channels.
    pub cols: u64,
    /// The scheme that was chosen: never [`Scheme::Hybrid`], nor one that leaves its exponent open.
    pub scheme: Scheme,
    /// The codes of w, packed as `contract::packed` says.
    pub q_w: Vec<i8>,
    /// Their scales, f32 `[N]`, each in [2⁻¹⁰⁰, 2¹⁰⁰].
    pub s_w: Vec<f32>,
    /// `[N]`.
    pub bias: Option<Values>,
    /// The scale of x, where calibration gave it.
    pub s_x: Option<f32>,
    /// What a running scale begins with: its moving average when the layer was packed, where it had begun.
    pub average: Option<f32>,
    /// Smoothing factors, f32 `[K]`.
    pub smooth: Option<Vec<f32>>,
    /// f16 `[K, N up to a multiple of 4]`: the weights that outlier columns are multiplied by.
    pub half_w: Option<Vec<f16>>,
    /// f32 `[N]`: what a preset stores in place of the scales of w.
    pub absmax_w: Option<Vec<f32>>,
}

impl PackedLayer {
    /// Codes [N, K], row-major without gaps, as `q_w` has them.
    ///
    /// # Panics
    /// Unless there are N · K codes.
    pub fn packed(codes: &[i8], rows: u64, cols: u64) -> Vec<i8> {
        assert_eq!(codes.len() as u64, rows * cols, "w must have {rows} × {cols} codes");
        let mut all = vec![0; packed::bytes(rows, cols) as usize];
        let k_blocks = packed::k_blocks(cols);
        for (row, codes) in (0..rows).zip(codes.chunks_exact(cols.max(1) as usize)) {
            for (col, code) in (0..cols).zip(codes) {
                all[packed::offset(row, col, k_blocks) as usize] = *code;
            }
        }
        all
    }
}

impl QuantizedLinear {
    /// Copies the layer to the host, as its products have it.
    ///
    /// # Errors
    /// `s_w` where a scale is outside [2⁻¹⁰⁰, 2¹⁰⁰], as NaN, Inf or the largest numbers in a row of w make it; a CUDA
    /// error.
    pub fn pack(&self) -> Result<PackedLayer> {
        let weights = self.weights();
        let mut layer = PackedLayer {
            rows: weights.rows(),
            cols: weights.cols(),
            scheme: self.scheme,
            q_w: weights.codes().download_packed()?,
            s_w: weights.scales().download()?,
            bias: self.bias.as_ref().map(Bias::download).transpose()?,
            s_x: None,
            average: None,
            smooth: None,
            half_w: None,
            absmax_w: None,
        };
        match &self.method {
            Method::Token | Method::Tensor | Method::Asym(_) => {}
            Method::Static { scale } => layer.s_x = Some(scale.download()?[0]),
            Method::Running(running) => {
                layer.average = Some(running.state.read()?.average).filter(|average| *average > 0.0);
            }
            Method::LlmInt8(llm_int8) => {
                layer.half_w = llm_int8.half_w.as_ref().map(|half_w| half_w.values.download()).transpose()?;
            }
            Method::Smoothed(smoothing) => {
                layer.smooth = Some(smoothing.factors.values().to_vec());
                layer.s_x = smoothing.scale.as_ref().map(|scale| scale.download()).transpose()?.map(|scale| scale[0]);
            }
            Method::Preset(presets) => {
                layer.s_x = presets.given;
                layer.absmax_w = presets.w_absmax.as_ref().map(DeviceVector::download).transpose()?;
            }
        }
        layer.check().map_err(|(part, rule)| Error::argument("pack", part, rule))?;
        Ok(layer)
    }

    /// A layer that was packed, made ready on any GPU.
    ///
    /// # Errors
    /// What [`PackedLayer::check`] says; a CUDA error.
    pub fn from_packed(gpu: &Gpu, layer: &PackedLayer) -> Result<Self> {
        layer.check().map_err(|(part, rule)| Error::argument("from_packed", part, rule))?;
        let (rows, cols) = (layer.rows, layer.cols);
        let codes = PackedWeights::from_host(gpu, &layer.q_w, rows, cols)?;
        let weights = QuantizedWeights::from_packed(codes, Scales::upload(gpu, &layer.s_w)?)?;
        let s_x = || layer.s_x.ok_or_else(|| Error::argument("from_packed", "layer", "lacks s_x"));
        let mut steps = Vec::new();
        let method = match layer.scheme {
            Scheme::Token | Scheme::Hybrid => Method::Token,
            Scheme::Tensor => Method::Tensor,
            Scheme::Static => Method::Static { scale: Scales::upload(gpu, &[s_x()?])? },
            Scheme::Running(by) => Method::Running(Running::begun(gpu, by, layer.average)?),
            Scheme::Asym => {
                let (asym, step) = Asym::new(gpu, &weights)?;
                steps.push(step);
                Method::Asym(asym)
            }
            Scheme::LlmInt8 { threshold, .. } => {
                let half_w = layer.half_w.as_ref().map(|values| HalfWeights::from_columns(gpu, values, rows, cols));
                Method::LlmInt8(LlmInt8 { threshold, half_w: half_w.transpose()? })
            }
            Scheme::SmoothToken { .. } | Scheme::SmoothStatic { .. } => {
                let factors = Factors::given(layer.smooth.clone().unwrap_or_default())?;
                Method::Smoothed(Smoothing::given(gpu, factors, layer.s_x)?)
            }
            Scheme::Preset(preset, _) => {
                let w_absmax = layer.absmax_w.as_ref().map(|absmax| DeviceVector::upload(gpu, absmax)).transpose()?;
                Method::Preset(Presets { preset, given: layer.s_x, w_absmax })
            }
        };
        let bias = layer.bias.as_ref().map(|bias| with_values!(bias, bias => Bias::upload(gpu, bias))).transpose()?;
        Ok(QuantizedLinear { weights, bias, method, steps, scheme: layer.scheme })
    }
}
