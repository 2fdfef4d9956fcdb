//! `quantize_preset`: the codes and scales of other libraries, each in its own words.
//!
//! All arithmetic is f32 unless it says otherwise. A row with NaN or an infinity gets a scale that is not finite and
//! codes of 0, whatever the library makes of it.

use crate::{SCALE_MIN, assert_shape, canonical, float, row_absmax};

/// A library whose codes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// vLLM's CUDA kernels.
    Vllm,
    /// compressed-tensors, and llm-compressor, which uses it.
    CompressedTensors,
    /// bitsandbytes, its CPU backend.
    Bitsandbytes,
    /// TensorRT-LLM's CUDA kernels.
    TensorRtLlm,
    /// torchao's `Int8Tensor`.
    Torchao,
    /// ONNX Runtime's QuantizeLinear.
    OnnxRuntime,
    /// The kernel of the CUDA tutorials, with C's `roundf`.
    Roundf,
}

/// The type that x had before it was widened: torch computes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// binary32.
    F32,
    /// binary16.
    F16,
    /// bfloat16.
    Bf16,
}

impl Type {
    /// v rounded to the type.
    pub(crate) fn round(self, v: f32) -> f32 {
        match self {
            Type::F32 => v,
            Type::F16 => float::narrow_f16(v).to_f32(),
            Type::Bf16 => float::narrow_bf16(v).to_f32(),
        }
    }

    /// torch.finfo(type).eps.
    fn epsilon(self) -> f32 {
        match self {
            Type::F32 => 2f32.powi(-23),
            Type::F16 => 2f32.powi(-10),
            Type::Bf16 => 2f32.powi(-7),
        }
    }
}

/// Codes, and what belongs to each row.
#[derive(Clone, Debug, PartialEq)]
pub struct PresetCodes {
    /// `i8 [rows, cols]`.
    pub codes: Vec<i8>,
    /// What a code of 1 stands for, `f32 [rows]`.
    pub scales: Vec<f32>,
    /// The absmax that the rule went by, `f32 [rows]`: what bitsandbytes stores.
    pub absmax: Vec<f32>,
}

/// x `f32 [rows, cols]`, widened from `of` → codes and a scale a row; None where the library has no such thing.
pub fn quantize_preset(x: &[f32], rows: usize, cols: usize, preset: Preset, of: Type) -> Option<PresetCodes> {
    assert_shape("x", x.len(), rows, cols);
    if preset == Preset::OnnxRuntime {
        return None;
    }
    let mut out = PresetCodes { codes: Vec::new(), scales: Vec::new(), absmax: row_absmax(x, rows, cols) };
    for (row, absmax) in out.absmax.iter_mut().enumerate() {
        let x = &x[row * cols..][..cols];
        let scale = match preset {
            Preset::Vllm => {
                let inverse = if *absmax == 0.0 { 0.0 } else { 127.0 / *absmax };
                out.codes.extend(x.iter().map(|x| to_even(x * inverse)));
                *absmax / 127.0
            }
            Preset::CompressedTensors => {
                let scale = match of.round(*absmax / 127.5) {
                    0.0 => of.epsilon(),
                    scale => scale,
                };
                out.codes.extend(x.iter().map(|x| to_even(of.round(x / scale))));
                scale
            }
            Preset::Bitsandbytes => {
                // An infinite product is 0 as an integer on x86, like NaN.
                let finite = |v: f32| if v.is_finite() { v } else { 0.0 };
                // torch's number / tensor is tensor.reciprocal() * number: rounded twice.
                let inverse = 1.0 / *absmax * 127.0;
                out.codes.extend(x.iter().map(|x| to_even(finite(x * inverse))));
                *absmax / 127.0
            }
            Preset::TensorRtLlm => {
                if *absmax < 1e-6 {
                    *absmax = 1e-6;
                }
                out.codes.extend(x.iter().map(|x| to_even(x * (127.0 / *absmax))));
                *absmax / 127.0
            }
            Preset::Torchao => {
                let mut scale = of.round(*absmax / 127.5);
                if scale < 2f32.powi(-23) {
                    scale = 2f32.powi(-23);
                }
                out.codes.extend(x.iter().map(|x| to_even(x * (1.0 / scale))));
                scale
            }
            Preset::OnnxRuntime => unreachable!("it has no scale a row"),
            Preset::Roundf => {
                let mut scale = *absmax / 127.0;
                if scale == 0.0 {
                    scale = 1.0;
                }
                if scale < SCALE_MIN {
                    scale = SCALE_MIN;
                }
                out.codes.extend(x.iter().map(|x| away_from_zero(x / scale)));
                scale
            }
        };
        out.scales.push(canonical(scale));
    }
    Some(out)
}

/// x f32 of any shape, widened from `of`, and a given scale → codes; None where the library has no such thing.
pub fn quantize_preset_static(x: &[f32], scale: f32, preset: Preset, of: Type) -> Option<Vec<i8>> {
    let code: &dyn Fn(f32) -> i8 = match preset {
        Preset::Vllm | Preset::OnnxRuntime => &|x| to_even(x / scale),
        Preset::CompressedTensors => &|x| to_even(of.round(x / of.round(scale))),
        Preset::Torchao => &|x| to_even(x * (1.0 / scale)),
        Preset::Roundf => &|x| away_from_zero(x / scale),
        Preset::Bitsandbytes | Preset::TensorRtLlm => return None,
    };
    Some(x.iter().map(|x| code(*x)).collect())
}

/// To the nearest integer, ties to even, in [-128, 127]; NaN gives 0.
fn to_even(v: f32) -> i8 {
    v.round_ties_even() as i8
}

/// To the nearest integer, ties away from zero, in [-127, 127]; NaN gives 0.
fn away_from_zero(v: f32) -> i8 {
    (v.round() as i8).max(-127)
}
