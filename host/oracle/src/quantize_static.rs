//! `quantize_static`: codes with a given scale for the whole tensor.

use crate::{Error, code, scale::check_given_scale};

/// x f32 of any shape → (codes i8 of that shape, how many inputs are NaN or infinite).
///
/// A given scale cannot tell of a NaN as a scale from the data does; the count is how one learns of it.
///
/// # Errors
/// [`Error::ScaleOutOfRange`] if `scale` is not in [2⁻¹⁰⁰, 2¹⁰⁰].
pub fn quantize_static(x: &[f32], scale: f32) -> Result<(Vec<i8>, u64), Error> {
    check_given_scale(scale)?;
    let non_finite = x.iter().filter(|v| !v.is_finite()).count() as u64;
    Ok((x.iter().map(|&v| code(v, scale)).collect(), non_finite))
}
