//! A batch of tokens, quantized as its layer's scheme says.

use super::Step;
use crate::{
    AsymmetricTokens, DeviceVector, Error, InputCounters, OutlierMasks, OutlierTokens, PartialAbsmax, PerTensor,
    PerToken, QuantizedTokens, Result, smooth::Factors,
};

/// Codes of whichever kind of scale the scheme has.
pub enum TokenCodes {
    /// One scale a token.
    ByToken(QuantizedTokens<PerToken>),
    /// One scale for all tokens.
    ByTensor(QuantizedTokens<PerTensor>),
    /// One scale and one zero point a token.
    Asymmetric(AsymmetricTokens),
    /// One scale a token, outlier columns apart.
    Outliers(OutlierTokens),
}

impl TokenCodes {
    /// Number of tokens.
    pub fn rows(&self) -> u64 {
        match self {
            TokenCodes::ByToken(tokens) => tokens.rows(),
            TokenCodes::ByTensor(tokens) => tokens.rows(),
            TokenCodes::Asymmetric(tokens) => tokens.rows(),
            TokenCodes::Outliers(tokens) => tokens.codes().rows(),
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
            TokenCodes::Outliers(tokens) => tokens.codes().download_codes(),
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
            TokenCodes::Outliers(tokens) => tokens.codes().scales().download(),
        }
    }

    /// Copies the zero points to the host, i32 `[tokens]`, where the codes have any.
    ///
    /// # Errors
    /// As [`TokenCodes::download_codes`].
    pub fn download_zero_points(&self) -> Result<Option<Vec<i32>>> {
        match self {
            TokenCodes::Asymmetric(tokens) => tokens.zero_points().download().map(Some),
            TokenCodes::ByToken(_) | TokenCodes::ByTensor(_) | TokenCodes::Outliers(_) => Ok(None),
        }
    }

    /// Copies the outlier columns to the host, ascending, where the scheme has them.
    ///
    /// # Errors
    /// As [`TokenCodes::download_codes`].
    pub fn download_outlier_columns(&self) -> Result<Option<Vec<u32>>> {
        match self {
            TokenCodes::Outliers(tokens) => tokens.columns().download().map(Some),
            TokenCodes::ByToken(_) | TokenCodes::ByTensor(_) | TokenCodes::Asymmetric(_) => Ok(None),
        }
    }

    /// The codes, for a quantizer that gives each token a scale.
    pub(super) fn by_token(&mut self) -> Result<&mut QuantizedTokens<PerToken>> {
        match self {
            TokenCodes::ByToken(tokens) => Ok(tokens),
            _ => Err(other_room()),
        }
    }

    /// The codes, for a quantizer with one scale.
    pub(super) fn by_tensor(&mut self) -> Result<&mut QuantizedTokens<PerTensor>> {
        match self {
            TokenCodes::ByTensor(tokens) => Ok(tokens),
            _ => Err(other_room()),
        }
    }

    /// The op that multiplies them with weights.
    pub(super) fn product(&self) -> &'static str {
        match self {
            TokenCodes::ByToken(_) | TokenCodes::ByTensor(_) => "gemm",
            TokenCodes::Asymmetric(_) => "gemm_asym",
            TokenCodes::Outliers(_) => "gemm_outliers",
        }
    }
}

/// What a layer says to room that one of another scheme made.
pub(super) fn other_room() -> Error {
    Error::argument("quantize", "tokens", "are room for another scheme; make it by a layer of this one")
}

/// A batch of tokens on the device, ready to be multiplied.
pub struct Tokens {
    /// The codes.
    pub codes: TokenCodes,
    /// The kernels that made them.
    pub steps: Vec<Step>,
    /// The maxima that a scale was made of as the batch ran, one a block.
    pub partial_absmax: Option<PartialAbsmax>,
    /// Counts the inputs that a given scale did not fit, over all batches that were written here.
    pub counters: Option<InputCounters>,
    /// The smoothing factors that x was divided by: the weights must have been multiplied by the same.
    pub divided_by: Option<Factors>,
    /// The absmax of each token, under a preset that has a scale a token.
    pub absmax: Option<DeviceVector<f32>>,
    /// The masks that the list of outlier columns is made of.
    pub(super) masks: Option<OutlierMasks>,
}

impl Tokens {
    /// Room for codes, and for nothing besides.
    pub(super) fn with_room(codes: TokenCodes) -> Self {
        let steps = Vec::new();
        Tokens { codes, steps, partial_absmax: None, counters: None, divided_by: None, absmax: None, masks: None }
    }
}
