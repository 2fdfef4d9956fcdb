//! The whole layer: quantize x and w, multiply the codes.

use crate::{
    Error, OutlierPart, Preset, RunningState, Type, Window, coded_weights, gemm_asym, gemm_i32, gemm_outliers,
    half_weights, outlier_columns, outlier_list, quantize_asym, quantize_outliers, quantize_preset,
    quantize_preset_static, quantize_static, quantize_tensor, quantize_token, row_sums, running_scale,
};

/// How x is quantized. w always has one scale for each output channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme {
    /// `w8a8-token`: one scale for each token, from the data.
    Token,
    /// `w8a8-tensor`: one scale for all of x, from the data.
    Tensor,
    /// `w8a8-static`: the given scale for all of x.
    Static(f32),
    /// `w8a8-running`: one scale for all of x, by the batches before it.
    Running(RunningState, Window),
    /// Another library's codes.
    Preset(PresetOf),
    /// `w8a8-asym`: one scale and one zero point for each token, from the data.
    Asym,
    /// `llm-int8`: one scale for each token, columns with any |x| ≥ the threshold in floating point.
    LlmInt8 {
        /// The threshold; infinity: none.
        threshold: f32,
        /// What the outlier columns are multiplied by.
        outlier_weights: OutlierWeights,
    },
}

/// What LLM.int8() multiplies its outlier columns by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlierWeights {
    /// w rounded to f16.
    F16,
    /// The values of the codes.
    Int8,
}

/// Whose codes, made of what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetOf {
    /// The library.
    pub preset: Preset,
    /// The types that x and w had before they were widened.
    pub types: [Type; 2],
    /// The scale of x, where it is given.
    pub given: Option<f32>,
}

/// Zero points of the tokens, and what is needed to take them out of a product.
#[derive(Clone, Debug, PartialEq)]
pub struct ZeroPoints {
    /// `i32 [m]`.
    pub zp_x: Vec<i32>,
    /// Sums of the rows of q_w, `i32 [n]`.
    pub w_sums: Vec<i32>,
}

/// Every intermediate value of a linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `i8 [m, k]`.
    pub q_x: Vec<i8>,
    /// `f32 [m]`, or `[1]` under a scheme with one scale for all of x.
    pub s_x: Vec<f32>,
    /// `i8 [n, k]`.
    pub q_w: Vec<i8>,
    /// `f32 [n]`.
    pub s_w: Vec<f32>,
    /// Σ_k q_x · q_w, `i32 [m, n]`.
    pub acc: Vec<i32>,
    /// Under [`Scheme::Asym`].
    pub zero_points: Option<ZeroPoints>,
    /// Under [`Scheme::LlmInt8`]: what is not in the codes.
    pub outliers: Option<OutlierPart>,
}

impl Linear {
    /// The layer's outputs f32 `[m, n]` before the cast to their type; `bias` f32 `[n]` or none.
    ///
    /// # Panics
    /// If a zero point takes an accumulator out of int32, which [`linear()`] saw that none does.
    pub fn outputs(&self, bias: Option<&[f32]>) -> Vec<f32> {
        let n = self.s_w.len();
        let corrected = self.zero_points.as_ref().map(|ZeroPoints { zp_x, w_sums }| {
            gemm_asym(&self.acc, zp_x, w_sums).expect("K is within the limit of products with zero points")
        });
        let (by, m) = (self.dequant(bias), self.acc.len() / n);
        match &self.outliers {
            Some(part) => gemm_outliers(&self.acc, m, n, &by, part),
            None => by.apply(corrected.as_ref().unwrap_or(&self.acc), m, n),
        }
    }

    /// The epilogue's operands for this layer.
    pub fn dequant<'a>(&'a self, bias: Option<&'a [f32]>) -> crate::Dequant<'a> {
        crate::Dequant { s_x: &self.s_x, s_w: &self.s_w, bias }
    }
}

/// x `f32 [m, k]`, w `f32 [n, k]`, widened from what they were; k ≥ 1 and n ≥ 1 follow from the lengths.
///
/// # Errors
/// Those of [`gemm_i32`], [`quantize_static()`] and [`gemm_asym()`].
pub fn linear(x: &[f32], w: &[f32], k: usize, scheme: Scheme) -> Result<Linear, Error> {
    assert!(k >= 1, "K must be at least 1");
    let (m, n) = (x.len() / k, w.len() / k);
    let (q_w, s_w) = match scheme {
        Scheme::Preset(of) => preset_weights(w, n, k, of),
        _ => quantize_token(w, n, k),
    };
    let mut zero_points = None;
    let mut outliers = None;
    let (q_x, s_x) = match scheme {
        Scheme::Token => quantize_token(x, m, k),
        Scheme::Tensor => {
            let (codes, scale) = quantize_tensor(x);
            (codes, vec![scale])
        }
        Scheme::LlmInt8 { threshold, outlier_weights } => {
            let is_outlier = outlier_columns(x, m, k, threshold);
            let w = match outlier_weights {
                OutlierWeights::F16 => half_weights(w),
                OutlierWeights::Int8 => coded_weights(&q_w, &s_w, k),
            };
            outliers = Some(OutlierPart { columns: outlier_list(&is_outlier), x: x.to_vec(), w });
            quantize_outliers(x, m, k, &is_outlier)
        }
        Scheme::Static(scale) => (quantize_static(x, scale)?.codes, vec![scale]),
        Scheme::Running(mut state, by) => {
            let scale = running_scale(x, &mut state, by);
            (quantize_static(x, scale)?.codes, vec![scale])
        }
        Scheme::Preset(PresetOf { preset, types: [of, _], given }) => match given {
            Some(scale) => {
                let codes = quantize_preset_static(x, scale, preset, of).expect("the library takes a given scale");
                // Where it computes in the type of x, the scale is of that type too.
                (codes, vec![if preset == Preset::CompressedTensors { of.round(scale) } else { scale }])
            }
            None => {
                let by_row = quantize_preset(x, m, k, preset, of).expect("the library has a scale a row");
                (by_row.codes, by_row.scales)
            }
        },
        Scheme::Asym => {
            let asym = quantize_asym(x, m, k);
            zero_points = Some(ZeroPoints { zp_x: asym.zero_points, w_sums: row_sums(&q_w, n, k) });
            (asym.codes, asym.scales)
        }
    };
    let acc = gemm_i32(&q_x, &q_w, m, n, k)?;
    if let Some(ZeroPoints { zp_x, w_sums }) = &zero_points {
        gemm_asym(&acc, zp_x, w_sums)?;
    }
    Ok(Linear { q_x, s_x, q_w, s_w, acc, zero_points, outliers })
}

/// Codes and scales of the weights: by the library's rule where it quantizes weights, else by the contract's.
fn preset_weights(w: &[f32], n: usize, k: usize, of: PresetOf) -> (Vec<i8>, Vec<f32>) {
    match of.preset {
        Preset::Vllm | Preset::TensorRtLlm | Preset::OnnxRuntime => quantize_token(w, n, k),
        Preset::CompressedTensors | Preset::Bitsandbytes | Preset::Torchao | Preset::Roundf => {
            let by_row = quantize_preset(w, n, k, of.preset, of.types[1]).expect("it has a scale a row");
            (by_row.codes, by_row.scales)
        }
    }
}
