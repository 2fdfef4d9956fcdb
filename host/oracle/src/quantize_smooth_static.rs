//! `quantize_smooth_static`: codes with a given scale of x', x divided by one factor a column.

use crate::{Error, quantize_static, quantize_static::Quantized, smooth_tokens};

/// x `f32 [rows, cols]` and factors `f32 [cols]` → codes `i8 [rows, cols]` of x'_ij = f32(x_ij / s_j), and what of x' the
/// scale does not fit.
///
/// # Errors
/// Those of [`quantize_static()`].
pub fn quantize_smooth_static(x: &[f32], factors: &[f32], scale: f32) -> Result<Quantized, Error> {
    quantize_static(&smooth_tokens(x, factors), scale)
}
