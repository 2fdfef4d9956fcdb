//! The flags that choose a scheme and give its parameters: the same for every command that runs layers.

use crate::{
    Result,
    linear::{OutlierWeights, Scheme},
    ops::{Preset, Window, check_threshold},
    smooth::Alpha,
};
use clap::{Args, ValueEnum};

/// A scheme and its parameters.
#[derive(Args, Clone)]
pub struct SchemeFlags {
    /// How x is quantized.
    #[arg(long, value_enum, default_value = "w8a8-token")]
    scheme: SchemeWord,
    /// Samples from one update of a running scale to the next.
    #[arg(long, value_name = "N", default_value_t = Window::DEFAULT.every, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// What an update of a running scale keeps of the moving average, in [0, 1).
    #[arg(long, value_name = "M", default_value_t = Window::DEFAULT.momentum, value_parser = momentum)]
    momentum: f32,
    /// The |x| from which on a column is an outlier's under llm-int8: at least 0; inf for none.
    #[arg(long, value_name = "X", default_value = "6", value_parser = threshold, allow_negative_numbers = true)]
    threshold: f32,
    /// What llm-int8 multiplies outlier columns by: a second copy of the weights, or the values of their codes.
    #[arg(long, value_enum, default_value = "f16")]
    outlier_weights: OutlierWeightsWord,
    /// The exponent of smoothing, in [0, 1]; auto searches for it: half of the sentences choose, the others judge.
    #[arg(long, value_name = "X|auto", default_value_t = Alpha::Auto, allow_negative_numbers = true)]
    alpha: Alpha,
    /// Codes and scales as another library makes them, bit for bit: for w8a8-token and w8a8-static.
    #[arg(long, value_enum)]
    preset: Option<PresetWord>,
}

/// Libraries by their words.
#[derive(Clone, Copy, ValueEnum)]
enum PresetWord {
    Vllm,
    CompressedTensors,
    Bitsandbytes,
    #[value(name = "tensorrt-llm")]
    TensorRtLlm,
    Torchao,
    #[value(name = "onnxruntime")]
    OnnxRuntime,
    Roundf,
}

impl PresetWord {
    fn preset(self) -> Preset {
        match self {
            PresetWord::Vllm => Preset::Vllm,
            PresetWord::CompressedTensors => Preset::CompressedTensors,
            PresetWord::Bitsandbytes => Preset::Bitsandbytes,
            PresetWord::TensorRtLlm => Preset::TensorRtLlm,
            PresetWord::Torchao => Preset::Torchao,
            PresetWord::OnnxRuntime => Preset::OnnxRuntime,
            PresetWord::Roundf => Preset::Roundf,
        }
    }
}

/// A threshold from its text.
fn threshold(word: &str) -> std::result::Result<f32, String> {
    match word.parse() {
        Ok(threshold) => check_threshold(threshold).map(|()| threshold),
        Err(_) => Err("must be a number of at least 0, or inf".to_owned()),
    }
}

/// The weights of outlier columns by their words.
#[derive(Clone, Copy, ValueEnum)]
enum OutlierWeightsWord {
    F16,
    Int8,
}

/// A momentum from its text.
pub fn momentum(word: &str) -> std::result::Result<f32, String> {
    match word.parse() {
        Ok(momentum) if (0.0..1.0).contains(&momentum) => Ok(momentum),
        _ => Err("must be a number in [0, 1)".to_owned()),
    }
}

impl SchemeFlags {
    /// The scheme with its parameters.
    ///
    /// # Errors
    /// `preset` where the library has no codes of the scheme.
    pub fn scheme(&self) -> Result<Scheme> {
        let scheme = self.plain();
        self.preset.map_or(Ok(scheme), |word| scheme.with_preset(word.preset()))
    }

    /// The scheme by the contract's own rules.
    fn plain(&self) -> Scheme {
        match self.scheme.scheme() {
            Scheme::Running(_) => Scheme::Running(Window { every: self.every, momentum: self.momentum }),
            Scheme::LlmInt8 { .. } => Scheme::LlmInt8 {
                threshold: self.threshold,
                outlier_weights: match self.outlier_weights {
                    OutlierWeightsWord::F16 => OutlierWeights::F16,
                    OutlierWeightsWord::Int8 => OutlierWeights::Int8,
                },
            },
            scheme => scheme.with_alpha(self.alpha),
        }
    }
}

/// The schemes by their words.
#[derive(Clone, Copy, ValueEnum)]
enum SchemeWord {
    /// One scale a token, from the data.
    #[value(name = "w8a8-token")]
    Token,
    /// One scale for all tokens, from the data.
    #[value(name = "w8a8-tensor")]
    Tensor,
    /// One scale for all tokens: the largest of calib_absmax / 127.
    #[value(name = "w8a8-static")]
    Static,
    /// One scale for all tokens, a moving average over the batches before; the largest of calib_absmax begins it.
    #[value(name = "w8a8-running")]
    Running,
    /// One scale and one zero point a token, from the data.
    #[value(name = "w8a8-asym")]
    Asym,
    /// As w8a8-static where the spread over tokens is small, else as w8a8-token; needs --stats.
    #[value(name = "w8a8-hybrid")]
    Hybrid,
    /// One scale a token; columns with outliers are multiplied in floating point.
    #[value(name = "llm-int8")]
    LlmInt8,
    /// SmoothQuant: one scale a token of x / s, the factors s from calib_absmax, w and --alpha.
    #[value(name = "smooth-token")]
    SmoothToken,
    /// SmoothQuant: one scale for all tokens of x / s; it and the factors s from calib_absmax, w and --alpha.
    #[value(name = "smooth-static")]
    SmoothStatic,
}

impl SchemeWord {
    /// The scheme, its parameters the defaults.
    fn scheme(self) -> Scheme {
        match self {
            SchemeWord::Token => Scheme::Token,
            SchemeWord::Tensor => Scheme::Tensor,
            SchemeWord::Static => Scheme::Static,
            SchemeWord::Running => Scheme::Running(Window::DEFAULT),
            SchemeWord::Asym => Scheme::Asym,
            SchemeWord::Hybrid => Scheme::Hybrid,
            SchemeWord::LlmInt8 => Scheme::LLM_INT8,
            SchemeWord::SmoothToken => Scheme::SmoothToken { alpha: Alpha::Auto },
            SchemeWord::SmoothStatic => Scheme::SmoothStatic { alpha: Alpha::Auto },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_library() {
        let words: Vec<String> = SchemeWord::value_variants()
            .iter()
            .map(|word| word.to_possible_value().unwrap().get_name().to_owned())
            .collect();
        assert_eq!(words, Scheme::ALL.map(Scheme::name));
        for (word, scheme) in SchemeWord::value_variants().iter().zip(Scheme::ALL) {
            assert_eq!(word.scheme(), scheme);
        }
        let presets = PresetWord::value_variants();
        let words = presets.iter().map(|word| word.to_possible_value().unwrap().get_name().to_owned());
        assert_eq!(words.collect::<Vec<_>>(), Preset::ALL.map(Preset::name));
        assert!(presets.iter().map(|word| word.preset()).eq(Preset::ALL));
    }
}
