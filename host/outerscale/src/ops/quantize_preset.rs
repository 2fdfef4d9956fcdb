//! Codes by the rules of other libraries, bit for bit.

use super::pack_weights::pack_codes;
use super::variant::Table;
use super::{Choice, Problem, check_cols, team};
use crate::{
    Activations, DeviceVector, Dtype, Error, Float, Gpu, Launch, PerChannel, PerTensor, PerToken, QuantizedTokens,
    QuantizedWeights, Result, ScaleKind, Scales, Weights,
    gpu::LaunchRequest,
    memory::DeviceMatrix,
    operands::{CodeMatrix, check_scale},
    ptx::Module,
};
use contract::{
    limits::{CODE_MAX, SCALE_MIN},
    preset::{Narrow, PresetRule, QuantizePresetArgs, Quotient, Ties},
};

pub(crate) const QUANTIZE_PRESET: Table = Table {
    op: "quantize_preset",
    variants: &team::variants(Module::Quantize, "quantize_preset"),
    preferences: team::PREFERENCES,
};

/// A library whose codes and scales are reproduced (NUMERICS.md, Presets).
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

/// What f32 arithmetic, ties to even and the whole range of int8 make of absmax / 127.
const PLAIN: PresetRule = PresetRule {
    absmax_floor: 0.0,
    divisor: 127.0,
    zero_scale: 0.0,
    scale_floor: 0.0,
    least: -128,
    quotient: Quotient::Divide,
    ties: Ties::Even,
    narrow: Narrow::Nothing,
    infinite_is_zero: 0,
};

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 7] = [
        Preset::Vllm,
        Preset::CompressedTensors,
        Preset::Bitsandbytes,
        Preset::TensorRtLlm,
        Preset::Torchao,
        Preset::OnnxRuntime,
        Preset::Roundf,
    ];

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Vllm => "vllm",
            Preset::CompressedTensors => "compressed-tensors",
            Preset::Bitsandbytes => "bitsandbytes",
            Preset::TensorRtLlm => "tensorrt-llm",
            Preset::Torchao => "torchao",
            Preset::OnnxRuntime => "onnxruntime",
            Preset::Roundf => "roundf",
        }
    }

    /// Its rule for x of type `dtype` with a scale a row; None where the library has no such thing.
    pub fn of_rows(self, dtype: Dtype) -> Option<PresetRule> {
        Some(match self {
            Preset::Vllm => PresetRule { quotient: Quotient::OfAbsmax, ..PLAIN },
            Preset::CompressedTensors => {
                PresetRule { divisor: 127.5, zero_scale: epsilon(dtype), narrow: Narrow::ScaleAndQuotients, ..PLAIN }
            }
            Preset::Bitsandbytes => PresetRule { quotient: Quotient::OfAbsmaxReciprocal, infinite_is_zero: 1, ..PLAIN },
            Preset::TensorRtLlm => PresetRule { absmax_floor: 1e-6, quotient: Quotient::OfAbsmax, ..PLAIN },
            Preset::Torchao => PresetRule {
                divisor: 127.5,
                scale_floor: epsilon(Dtype::F32),
                quotient: Quotient::Reciprocal,
                narrow: Narrow::Scale,
                ..PLAIN
            },
            Preset::OnnxRuntime => return None,
            Preset::Roundf => {
                PresetRule { zero_scale: 1.0, scale_floor: SCALE_MIN, least: -127, ties: Ties::Away, ..PLAIN }
            }
        })
    }

    /// Its rule for a given scale; None where the library has no such thing.
    pub fn of_given_scale(self) -> Option<PresetRule> {
        Some(match self {
            Preset::Vllm | Preset::OnnxRuntime => PLAIN,
            Preset::CompressedTensors => PresetRule { narrow: Narrow::ScaleAndQuotients, ..PLAIN },
            Preset::Torchao => PresetRule { quotient: Quotient::Reciprocal, ..PLAIN },
            Preset::Roundf => PresetRule { least: -127, ties: Ties::Away, ..PLAIN },
            Preset::Bitsandbytes | Preset::TensorRtLlm => return None,
        })
    }

    /// Whether the library stores the absmax in place of the scale.
    pub const fn stores_absmax(self) -> bool {
        matches!(self, Preset::Bitsandbytes)
    }

    /// What the absmax of calibration is divided by to give the static scale.
    pub const fn static_divisor(self) -> f32 {
        match self {
            Preset::CompressedTensors | Preset::Torchao => 127.5,
            _ => CODE_MAX,
        }
    }

    /// Whether the library quantizes weights itself, by its rule of rows. The others run weights that were quantized
    /// elsewhere: theirs have the contract's own rule.
    pub const fn has_weights(self) -> bool {
        match self {
            Preset::CompressedTensors | Preset::Bitsandbytes | Preset::Torchao | Preset::Roundf => true,
            Preset::Vllm | Preset::TensorRtLlm | Preset::OnnxRuntime => false,
        }
    }
}

/// torch.finfo(dtype).eps.
fn epsilon(dtype: Dtype) -> f32 {
    match dtype {
        Dtype::F16 => 2f32.powi(-10),
        Dtype::Bf16 => 2f32.powi(-7),
        _ => 2f32.powi(-23),
    }
}

/// The largest magnitude of a code.
fn magnitude(rule: &PresetRule) -> u64 {
    rule.least.unsigned_abs().into()
}

/// x [tokens, K] → codes int8 [tokens, K], one scale a token, and the absmax of each, f32 `[tokens]`, which is what
/// bitsandbytes stores in place of a scale.
///
/// # Errors
/// `preset` where the library has no scale a token; `x` where K is 0 or over the limit; a variant that cannot be used;
/// a CUDA error.
pub fn quantize_preset<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    preset: Preset,
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerToken>, DeviceVector<f32>, Launch)> {
    check_cols("quantize_preset", "x", x.cols())?;
    let mut tokens = QuantizedTokens::with_room(gpu, x.rows(), x.cols())?;
    let mut absmax = DeviceVector::with_room(gpu, x.rows())?;
    let launch = quantize_preset_into(gpu, x, preset, (&mut tokens, &mut absmax), choice)?;
    Ok((tokens, absmax, launch))
}

/// As [`fn@quantize_preset`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` or `absmax` where they have no room for those of x.
pub fn quantize_preset_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    preset: Preset,
    (tokens, absmax): (&mut QuantizedTokens<PerToken>, &mut DeviceVector<f32>),
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("quantize_preset", "x", x.cols())?;
    let rule = row_rule::<T>(preset)?;
    tokens.reshape("quantize_preset", (x.rows(), x.cols()), magnitude(&rule))?;
    absmax.resize("quantize_preset", "absmax", x.rows())?;
    launch_rows(gpu, (&x.0, rule), (&tokens.codes, &tokens.scales, absmax), choice)
}

/// The rule of a preset for rows of this type.
fn row_rule<T: Float>(preset: Preset) -> Result<PresetRule> {
    preset.of_rows(T::DTYPE).ok_or_else(|| refused(preset, "has no scale a token, only a given one"))
}

/// w [N, K] → packed codes int8 [N, K], one scale an output channel: the same kernels as [`fn@quantize_preset`], and
/// `pack_weights` after them.
///
/// # Errors
/// As [`fn@quantize_preset`], of `w`.
pub fn quantize_preset_weights<T: Float>(
    gpu: &Gpu,
    w: &Weights<T>,
    preset: Preset,
    choice: Choice<'_>,
) -> Result<(QuantizedWeights<PerChannel>, DeviceVector<f32>, Launch)> {
    check_cols("quantize_preset", "w", w.cols())?;
    let rule = row_rule::<T>(preset)?;
    let codes = CodeMatrix::new(gpu, w.rows(), w.cols(), magnitude(&rule))?;
    let scales = Scales::for_rows(gpu, w.rows())?;
    let absmax = DeviceVector::uninitialized(gpu, w.rows())?;
    let launch = launch_rows(gpu, (&w.0, rule), (&codes, &scales, &absmax), choice)?;
    let (codes, _) = pack_codes(gpu, &codes)?;
    Ok((QuantizedWeights { codes, scales }, absmax, launch))
}

/// Codes, scales and absmax have the rows of x.
fn launch_rows<T: Float, S: ScaleKind>(
    gpu: &Gpu,
    (x, rule): (&DeviceMatrix<T>, PresetRule),
    (codes, scales, absmax): (&CodeMatrix, &Scales<S>, &DeviceVector<f32>),
    choice: Choice<'_>,
) -> Result<Launch> {
    let (rows, cols) = (x.layout.rows, x.layout.cols);
    let args = QuantizePresetArgs {
        x: x.as_arg(),
        q: codes.as_arg(),
        scales: scales.as_arg().ptr,
        absmax: absmax.memory.ptr(),
        given: 0.0,
        rule,
    };
    let problem = Problem::new(gpu, rows, 1, cols);
    let request = LaunchRequest::new(&QUANTIZE_PRESET, problem, T::DTYPE, choice).keep([
        &x.memory,
        &codes.memory,
        &scales.values.memory,
        &absmax.memory,
    ]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, scales (both
    // callers' kinds have stride 1) and absmax one f32 a row; all live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, rows) }
}

/// x [tokens, K] and a given scale → codes int8 [tokens, K]. A library that computes in the type of x takes the scale
/// rounded to it, and so has the result.
///
/// # Errors
/// `preset` where the library takes no given scale; `scale` where it is out of range; `x` where K is 0 or over the
/// limit; a variant that cannot be used; a CUDA error.
pub fn quantize_preset_static<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    (preset, scale): (Preset, f32),
    choice: Choice<'_>,
) -> Result<(QuantizedTokens<PerTensor>, Launch)> {
    check_cols("quantize_preset", "x", x.cols())?;
    let mut tokens = QuantizedTokens::with_room(gpu, x.rows(), x.cols())?;
    let launch = quantize_preset_static_into(gpu, x, (preset, scale), &mut tokens, choice)?;
    Ok((tokens, launch))
}

/// As [`fn@quantize_preset_static`], into memory that is there: nothing is allocated.
///
/// # Errors
/// As there, and `tokens` where they have no room for x.
pub fn quantize_preset_static_into<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    (preset, scale): (Preset, f32),
    tokens: &mut QuantizedTokens<PerTensor>,
    choice: Choice<'_>,
) -> Result<Launch> {
    check_cols("quantize_preset", "x", x.cols())?;
    let rule = preset.of_given_scale().ok_or_else(|| refused(preset, "takes no given scale"))?;
    let scale = if rule.narrow == Narrow::Nothing { scale } else { T::narrow(scale).widen() };
    check_scale(scale).map_err(|rule| Error::argument("quantize_preset", "scale", rule))?;
    tokens.reshape("quantize_preset", (x.rows(), x.cols()), magnitude(&rule))?;
    let QuantizedTokens { codes, scales, .. } = tokens;
    gpu.fill_words(&scales.values.memory, scale.to_bits(), 1)?;
    let args = QuantizePresetArgs { x: x.0.as_arg(), q: codes.as_arg(), scales: 0, absmax: 0, given: scale, rule };
    let problem = Problem::new(gpu, x.rows(), 1, x.cols());
    let request = LaunchRequest::new(&QUANTIZE_PRESET, problem, T::DTYPE, choice).keep([&x.0.memory, &codes.memory]);
    // SAFETY: `x` spans its layout (`DeviceMatrix`), `codes` has padded rows for each of its rows, no scale is written;
    // both live until the launch has ended (`keep`).
    unsafe { gpu.launch(request, args, x.rows()) }
}

fn refused(preset: Preset, what: &str) -> Error {
    Error::argument("quantize_preset", "preset", format!("{} {what}: take another preset or scheme", preset.name()))
}
