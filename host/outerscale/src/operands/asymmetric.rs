//! Codes whose 0 is not 0: tokens with zero points, and what their products need of the weights.

use super::{CodeMatrix, PackedCodes, PerToken, Scales, codes::check_count};
use crate::{DeviceVector, Error, Gpu, Result};

/// Zero points of tokens, i32 `[tokens]`, each in [-128, 127].
pub struct ZeroPoints(pub(crate) DeviceVector<i32>);

impl ZeroPoints {
    /// Given zero points.
    ///
    /// # Errors
    /// `zero_points` where one is no code; a CUDA error.
    pub fn upload(gpu: &Gpu, zero_points: &[i32]) -> Result<Self> {
        for (index, zero_point) in zero_points.iter().enumerate() {
            if i8::try_from(*zero_point).is_err() {
                let rule = format!("[{index}] a zero point is a code, in [-128, 127], got {zero_point}");
                return Err(Error::argument("upload", "zero_points", rule));
            }
        }
        DeviceVector::upload(gpu, zero_points).map(ZeroPoints)
    }

    /// Copies the zero points to the host.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<i32>> {
        self.0.download()
    }
}

/// Sums of the rows of a weight's codes, i32 `[N]`: what one zero point of 1 adds to each output.
pub struct WeightSums(pub(crate) DeviceVector<i32>);

impl WeightSums {
    /// Copies the sums to the host.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<i32>> {
        self.0.download()
    }
}

/// Tokens as codes with a zero point each: int8 [tokens, K], x ≈ scale · (code − zero point).
///
/// A type of its own, as a product that does not know of the zero points would be wrong.
pub struct AsymmetricTokens {
    pub(crate) codes: CodeMatrix,
    pub(crate) scales: Scales<PerToken>,
    pub(crate) zero_points: ZeroPoints,
}

impl AsymmetricTokens {
    super::codes::code_accessors!(codes);

    /// Room for up to `most` tokens of `k` codes, none there yet, for `ops::quantize_asym_into`.
    ///
    /// # Errors
    /// As [`QuantizedTokens::with_room`](crate::QuantizedTokens::with_room).
    pub fn with_room(gpu: &Gpu, most: u64, k: u64) -> Result<Self> {
        Ok(AsymmetricTokens {
            codes: CodeMatrix::with_room(gpu, most, k)?,
            scales: Scales::with_room(gpu, most)?,
            zero_points: ZeroPoints(DeviceVector::with_room(gpu, most)?),
        })
    }

    /// Codes from elsewhere with their scales and zero points.
    ///
    /// # Errors
    /// `scales` or `zero_points` where their number is not that of the rows.
    pub fn from_packed(codes: PackedCodes, scales: Scales<PerToken>, zero_points: ZeroPoints) -> Result<Self> {
        check_count(codes.rows(), &scales)?;
        if zero_points.0.len() != codes.rows() {
            let rule = format!("{} rows of codes have as many zero points, got {}", codes.rows(), zero_points.0.len());
            return Err(Error::argument("from_packed", "zero_points", rule));
        }
        Ok(AsymmetricTokens { codes: codes.0.given(), scales, zero_points })
    }

    /// The scales, f32 `[tokens]`.
    pub fn scales(&self) -> &Scales<PerToken> {
        &self.scales
    }

    /// The zero points, i32 `[tokens]`.
    pub fn zero_points(&self) -> &ZeroPoints {
        &self.zero_points
    }
}
