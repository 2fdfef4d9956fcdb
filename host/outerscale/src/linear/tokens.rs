//! A batch of tokens, quantized as its layer's scheme says.

use super::Step;
use crate::{AsymmetricTokens, InputCounters, PartialAbsmax, PerTensor, PerToken, QuantizedTokens, Result};

/// Codes of whichever kind of scale the scheme has.
pub enum TokenCodes {
    /// One scale a token.
    ByToken(QuantizedTokens<PerToken>),
    /// One scale for all tokens.
    ByTensor(QuantizedTokens<PerTensor>),
    /// One scale and one zero point a token.
    Asymmetric(AsymmetricTokens),
}

impl TokenCodes {
    /// Number of tokens.
    pub fn rows(&self) -> u64 {
        match self {
            TokenCodes::ByToken(tokens) => tokens.rows(),
            TokenCodes::ByTensor(tokens) => tokens.rows(),
            TokenCodes::Asymmetric(tokens) => tokens.rows(),
        }
    }

    /// Copies the codes to the host, i8 [tokens, K].
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download_codes(&self) -> Result<Vec<i8>> {
        match self {
            TokenCodes::ByToken(tokens) => tokens.download_codes(),
            TokenCodes::ByTensor(tokens) => tokens.download_codes(),
            TokenCodes::Asymmetric(tokens) => tokens.download_codes(),
        }
    }

    /// Copies the scales to the host, f32 `[tokens]` or `[1]`.
    ///
    /// # Errors
    /// As [`TokenCodes::download_codes`].
    pub fn download_scales(&self) -> Result<Vec<f32>> {
        match self {
            TokenCodes::ByToken(tokens) => tokens.scales().download(),
            TokenCodes::ByTensor(tokens) => tokens.scales().download(),
            TokenCodes::Asymmetric(tokens) => tokens.scales().download(),
        }
    }

    /// Copies the zero points to the host, i32 `[tokens]`, where the codes have any.
    ///
    /// # Errors
    /// As [`TokenCodes::download_codes`].
    pub fn download_zero_points(&self) -> Result<Option<Vec<i32>>> {
        match self {
            TokenCodes::Asymmetric(tokens) => tokens.zero_points().download().map(Some),
            _ => Ok(None),
        }
    }

    /// The op that multiplies them with weights.
    pub(super) fn product(&self) -> &'static str {
        match self {
            TokenCodes::ByToken(_) | TokenCodes::ByTensor(_) => "gemm",
            TokenCodes::Asymmetric(_) => "gemm_asym",
        }
    }
}

/// A batch of tokens on the device, ready to be multiplied.
pub struct Tokens {
    /// The codes.
    pub codes: TokenCodes,
    /// The kernels that made them.
    pub steps: Vec<Step>,
    /// The maxima that a scale was made of as the batch ran, one a block.
    pub partial_absmax: Option<PartialAbsmax>,
    /// Counts the inputs that a given scale did not fit.
    pub counters: Option<InputCounters>,
}

impl Tokens {
    /// Codes, and the kernels that made them.
    pub(super) fn new(codes: TokenCodes, steps: Vec<Step>) -> Self {
        Tokens { codes, steps, partial_absmax: None, counters: None }
    }
}
