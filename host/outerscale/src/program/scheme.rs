//! The flags that choose a scheme and give its parameters: the same for every command that runs layers.

use crate::{
    Error, Result,
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
    /// Samples from one update of a running scale to the next [default: 32].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    every: Option<u32>,
    /// What an update of a running scale keeps of the moving average, in [0, 1) [default: 0.9].
    #[arg(long, value_name = "M", value_parser = momentum)]
    momentum: Option<f32>,
    /// The |x| from which on a column is an outlier's under llm-int8: at least 0; inf for none [default: 6].
    #[arg(long, value_name = "X", value_parser = threshold, allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// What llm-int8 multiplies outlier columns by: a second copy of the weights, or the values of their codes [default: f16].
    #[arg(long, value_enum)]
    outlier_weights: Option<OutlierWeightsWord>,
    /// The exponent of smoothing, in [0, 1]; auto searches for it: half of the sentences choose, the others judge
    /// [default: auto].
    #[arg(long, value_name = "X|auto", allow_negative_numbers = true)]
    alpha: Option<Alpha>,
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
    /// The flag that is given and not of the scheme; `preset` where the library has no codes of the scheme.
    pub fn scheme(&self) -> Result<Scheme> {
        self.check()?;
        let scheme = self.plain();
        self.preset.map_or(Ok(scheme), |word| scheme.with_preset(word.preset()))
    }

    /// A parameter that a scheme does not have would be ignored, and its user misled.
    fn check(&self) -> Result<()> {
        let scheme = self.scheme.scheme();
        let running = ("w8a8-running", matches!(scheme, Scheme::Running(_)));
        let llm_int8 = ("llm-int8", matches!(scheme, Scheme::LlmInt8 { .. }));
        let smoothed = ("smooth-token and smooth-static", scheme.alpha().is_some());
        let given = [
            ("--every", self.every.is_some(), running),
            ("--momentum", self.momentum.is_some(), running),
            ("--threshold", self.threshold.is_some(), llm_int8),
            ("--outlier-weights", self.outlier_weights.is_some(), llm_int8),
            ("--alpha", self.alpha.is_some(), smoothed),
        ];
        match given.into_iter().find(|(_, given, (_, has))| *given && !has) {
            None => Ok(()),
            Some((flag, _, (owner, _))) => {
                Err(Error::argument(scheme.name(), flag, format!("is a parameter of {owner}; leave it out")))
            }
        }
    }

    /// The scheme by the contract's own rules.
    fn plain(&self) -> Scheme {
        let default = Window::DEFAULT;
        match self.scheme.scheme() {
            Scheme::Running(_) => Scheme::Running(Window {
                every: self.every.unwrap_or(default.every),
                momentum: self.momentum.unwrap_or(default.momentum),
            }),
            Scheme::LlmInt8 { threshold, outlier_weights } => Scheme::LlmInt8 {
                threshold: self.threshold.unwrap_or(threshold),
                outlier_weights: match self.outlier_weights {
                    Some(OutlierWeightsWord::F16) => OutlierWeights::F16,
                    Some(OutlierWeightsWord::Int8) => OutlierWeights::Int8,
                    None => outlier_weights,
                },
            },
            scheme => scheme.with_alpha(self.alpha.unwrap_or(Alpha::Auto)),
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

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        flags: SchemeFlags,
    }

    fn scheme(words: &str) -> std::result::Result<Scheme, String> {
        let program: Program = clap::Parser::try_parse_from(words.split(' ')).map_err(|e| e.to_string())?;
        program.flags.scheme().map_err(|e| e.to_string())
    }

    #[test]
    fn parameters_are_the_schemes_own() {
        for default in Scheme::ALL {
            assert_eq!(scheme(&format!("p --scheme {}", default.name())), Ok(default));
        }
        let half = Scheme::SmoothStatic { alpha: Alpha::Fixed(0.5) };
        assert_eq!(scheme("p --scheme smooth-static --alpha 0.5"), Ok(half));
        let given = Window { every: 7, momentum: 0.25 };
        assert_eq!(scheme("p --scheme w8a8-running --every 7 --momentum 0.25"), Ok(Scheme::Running(given)));
        let given = Scheme::LlmInt8 { threshold: 3.0, outlier_weights: OutlierWeights::Int8 };
        assert_eq!(scheme("p --scheme llm-int8 --threshold 3 --outlier-weights int8"), Ok(given));
        for flag in ["--alpha 0.5", "--threshold 3", "--outlier-weights int8", "--every 7", "--momentum 0.5"] {
            let error = scheme(&format!("p --scheme w8a8-token {flag}")).unwrap_err();
            let name = flag.split(' ').next().unwrap();
            assert!(error.starts_with(&format!("w8a8-token: {name}: is a parameter of ")), "{error}");
        }
    }

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
