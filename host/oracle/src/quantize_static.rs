//! `quantize_static`: codes with a given scale for the whole tensor.

use crate::{Error, code, scale::check_given_scale};

/// Codes under a given scale, and what it does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantized {
    /// i8, of the shape of x.
    pub codes: Vec<i8>,
    /// Inputs that are NaN or infinite.
    pub non_finite: u64,
    /// Inputs whose rounded quotient is beyond ±127, infinite ones among them.
    pub saturated: u64,
}

/// x f32 of any shape → codes i8 of that shape.
///
/// A given scale cannot tell of a NaN, or of an x that it is too small for, as a scale from the data does; the counts
/// are how one learns of them.
///
/// # Errors
/// [`Error::ScaleOutOfRange`] if `scale` is not in [2⁻¹⁰⁰, 2¹⁰⁰].
pub fn quantize_static(x: &[f32], scale: f32) -> Result<Quantized, Error> {
    check_given_scale(scale)?;
    let count = |rule: &dyn Fn(f32) -> bool| x.iter().filter(|&&v| rule(v)).count() as u64;
    Ok(Quantized {
        codes: x.iter().map(|&v| code(v, scale)).collect(),
        non_finite: count(&|v| !v.is_finite()),
        saturated: count(&|v| (v / scale).round_ties_even().abs() > 127.0),
    })
}
