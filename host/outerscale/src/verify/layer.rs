//! A whole layer against the oracle: what each kernel of a scheme made.

use super::presets::{oracle_preset, oracle_type};
use crate::{
    Dtype, Element, Error, Result,
    files::Layer,
    host::Values,
    linear::{Calibration, Hybrid, LinearResult, OutlierWeights, PresetScale, Scheme, Step, missing},
    smooth::{Alpha, not_searched},
};

/// What the oracle makes of a layer under a scheme.
pub struct Expected {
    /// Codes, scales and accumulators.
    pub linear: oracle::Linear,
    /// The layer's output [T, N].
    pub y: Values,
    /// The smoothing factors, where the scheme smooths.
    pub smooth: Option<Vec<f32>>,
    /// The largest |x|.
    absmax: f32,
}

/// The oracle's way through the layer; y has the type `out` (f32, f16 or bf16).
///
/// # Errors
/// `calib_absmax` as [`linear`](crate::linear::linear()) says.
///
/// # Panics
/// Where the oracle refuses what [`Layer`] and the scheme allowed.
pub fn expected(layer: &Layer, scheme: Scheme, out: Dtype) -> Result<Expected> {
    expected_calibrated(layer, scheme, Calibration::given(layer, scheme)?.as_ref(), out)
}

/// As [`expected`], with a calibration from elsewhere.
///
/// # Errors
/// `calib_absmax` as [`linear_calibrated`](crate::linear::linear_calibrated) says; `alpha` where it is still to be
/// searched for: the scheme of a [`LinearResult`] has the one that was chosen.
///
/// # Panics
/// As [`expected`].
pub fn expected_calibrated(
    layer: &Layer,
    scheme: Scheme,
    calibration: Option<&Calibration>,
    out: Dtype,
) -> Result<Expected> {
    let (mut x, mut w) = (layer.x.values.widen(), layer.w.values.widen());
    let absmax = oracle::tensor_absmax(&x);
    let calibrated = || calibration.ok_or_else(|| missing(scheme));
    let scheme = match scheme {
        Scheme::Hybrid => Hybrid::choose(calibrated()?)?.scheme,
        scheme => scheme,
    };
    let smooth = match scheme.alpha() {
        None => None,
        Some(Alpha::Auto) => return Err(not_searched(scheme.name())),
        Some(Alpha::Off) => Some(vec![1.0; layer.x.cols as usize]),
        Some(Alpha::Fixed(alpha)) => {
            let known = calibrated()?;
            // The largest weights of the other linears that read x are as good as one more row of w.
            let others = known.weight_absmax.as_deref().unwrap_or(&[]);
            let factors = oracle::smooth_factors(&known.channel_absmax, &[&w, others], alpha);
            Some(factors.map_err(|e| Error::argument("smoothing", "w", e.to_string()))?)
        }
    };
    if let Some(factors) = &smooth {
        (x, w) = (oracle::smooth_tokens(&x, factors), oracle::smooth_weights(&w, factors));
    }
    let by = match scheme {
        Scheme::Tensor => oracle::Scheme::Tensor,
        Scheme::Asym => oracle::Scheme::Asym,
        Scheme::Preset(preset, scale) => oracle::Scheme::Preset(oracle::PresetOf {
            preset: oracle_preset(preset),
            types: [&layer.x, &layer.w].map(|matrix| oracle_type(matrix.values.dtype())),
            given: match scale {
                PresetScale::Token => None,
                PresetScale::Static => Some(calibrated()?.preset_scale(preset)?),
            },
        }),
        Scheme::Static | Scheme::SmoothStatic { alpha: Alpha::Off } => {
            oracle::Scheme::Static(calibrated()?.static_scale()?)
        }
        Scheme::LlmInt8 { threshold, outlier_weights } => oracle::Scheme::LlmInt8 {
            threshold,
            outlier_weights: match outlier_weights {
                OutlierWeights::F16 => oracle::OutlierWeights::F16,
                OutlierWeights::Int8 => oracle::OutlierWeights::Int8,
            },
        },
        Scheme::Running(by) => {
            let average = calibration.map_or(0.0, Calibration::absmax);
            let state = oracle::RunningState { average, ..Default::default() };
            oracle::Scheme::Running(state, oracle::Window { every: by.every, momentum: by.momentum })
        }
        Scheme::SmoothStatic { .. } => {
            let divided = oracle::smooth_tokens(&calibrated()?.channel_absmax, smooth.as_deref().unwrap_or(&[1.0]));
            oracle::Scheme::Static(oracle::tensor_absmax(&divided) / 127.0)
        }
        Scheme::Token | Scheme::Hybrid | Scheme::SmoothToken { .. } => oracle::Scheme::Token,
    };
    let linear =
        oracle::linear(&x, &w, layer.x.cols as usize, by).expect("Layer and the scheme checked what it refuses");
    let y = linear.outputs(layer.bias());
    let y = match out {
        Dtype::F16 => Values::F16(y.into_iter().map(oracle::float::narrow_f16).collect()),
        Dtype::Bf16 => Values::Bf16(y.into_iter().map(oracle::float::narrow_bf16).collect()),
        _ => Values::F32(y.into_iter().map(oracle::canonical).collect()),
    };
    Ok(Expected { linear, y, smooth, absmax })
}

impl Expected {
    /// Whether what a step made has the oracle's bits.
    pub fn equals(&self, step: &Step, got: &LinearResult) -> bool {
        let want = &self.linear;
        match (step.op, step.made) {
            (_, "q_w, s_w") => {
                let factors = [&got.smooth, &self.smooth].map(|smooth| smooth.as_deref().unwrap_or(&[]));
                same(factors[0], factors[1]) && got.q_w == want.q_w && same(&got.s_w, &want.s_w)
            }
            ("tensor_absmax", _) => {
                got.partial_absmax.iter().flatten().map(|v| v.to_bits()).max() == Some(self.absmax.to_bits())
            }
            ("row_sums", _) => got.w_sums.as_ref() == want.zero_points.as_ref().map(|zero| &zero.w_sums),
            ("outlier_columns" | "outlier_list", _) => {
                let columns = got.outlier_columns.iter().flatten().map(|col| *col as usize);
                want.outliers.as_ref().is_some_and(|part| columns.eq(part.columns.iter().copied()))
            }
            ("gemm", "acc") => got.acc == want.acc,
            (_, "y") => got.y.bits() == self.y.bits(),
            _ => {
                let zp_x = want.zero_points.as_ref().map(|zero| &zero.zp_x);
                got.q_x == want.q_x && same(&got.s_x, &want.s_x) && got.zp_x.as_ref() == zp_x
            }
        }
    }
}

/// Whether two vectors have the same bits.
fn same(got: &[f32], want: &[f32]) -> bool {
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| got.bits() == want.bits())
}
