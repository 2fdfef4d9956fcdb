//! The two formulas that every INT8 quantizer shares: the scale of a group and the code of a value.

use crate::{Error, canonical};

/// 2⁻¹⁰⁰: smaller scales are raised to it.
pub const SCALE_MIN: f32 = f32::from_bits((127 - 100) << 23);
/// 2¹⁰⁰: the largest scale that may be given.
pub const SCALE_MAX: f32 = f32::from_bits((127 + 100) << 23);

/// The scale of a group: absmax / 127 as an f32 quotient, 1 if absmax is 0, 2⁻¹⁰⁰ if it would be less.
/// NaN stays NaN and infinity stays infinity, so that the group's results become NaN.
pub fn scale_from_absmax(absmax: f32) -> f32 {
    if absmax == 0.0 {
        return 1.0;
    }
    let scale = absmax / 127.0;
    // False for NaN, which is kept.
    if scale < SCALE_MIN { SCALE_MIN } else { canonical(scale) }
}

/// The code of `x` under scale `s`: the f32 quotient, rounded to the nearest integer with ties to even,
/// clamped to [-127, 127]; 0 if the quotient is NaN.
///
/// The quotient is that of one f32 division: an f64 one, or a product with 1 / s, gives other codes.
pub fn code(x: f32, s: f32) -> i8 {
    let quotient = x / s;
    if quotient.is_nan() {
        return 0;
    }
    // In range after the clamp, so the cast is exact.
    quotient.round_ties_even().clamp(-127.0, 127.0) as i8
}

/// A scale that is given must lie in [2⁻¹⁰⁰, 2¹⁰⁰].
///
/// # Errors
/// [`Error::ScaleOutOfRange`] for every other, NaN included.
pub fn check_given_scale(scale: f32) -> Result<(), Error> {
    if (SCALE_MIN..=SCALE_MAX).contains(&scale) { Ok(()) } else { Err(Error::ScaleOutOfRange { scale }) }
}
