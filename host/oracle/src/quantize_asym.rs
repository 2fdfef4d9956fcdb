//! `quantize_asym`: codes with one scale and one zero point a row, for rows whose range is not symmetric.

use crate::{SCALE_MIN, assert_shape, canonical};

/// Codes, scale and zero point of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Asymmetric {
    /// `i8 [rows, cols]`, in [-128, 127].
    pub codes: Vec<i8>,
    /// `f32 [rows]`.
    pub scales: Vec<f32>,
    /// `i32 [rows]`, in [-128, 127]: the code of 0.
    pub zero_points: Vec<i32>,
}

/// x `f32 [rows, cols]` → codes, scales and zero points.
///
/// A row with NaN or an infinity gets a scale that is not finite, zero point 0 and codes that are all 0; so does a
/// row whose range, hi − lo, is past the largest f32.
pub fn quantize_asym(x: &[f32], rows: usize, cols: usize) -> Asymmetric {
    assert_shape("x", x.len(), rows, cols);
    let mut out = Asymmetric { codes: Vec::new(), scales: Vec::new(), zero_points: Vec::new() };
    for row in 0..rows {
        let x = &x[row * cols..][..cols];
        let (lo, hi) = range(x);
        let scale = scale_from_range(hi - lo);
        let zero_point = zero_point(lo, scale);
        out.codes.extend(x.iter().map(|&x| code(x, scale, zero_point)));
        out.scales.push(scale);
        out.zero_points.push(zero_point);
    }
    out
}

/// The least and the greatest of 0 and the values; NaN if any is.
fn range(x: &[f32]) -> (f32, f32) {
    let (mut lo, mut hi) = (0.0, 0.0);
    for &x in x {
        if x.is_nan() {
            return (f32::NAN, f32::NAN);
        }
        if x < lo {
            lo = x;
        }
        if x > hi {
            hi = x;
        }
    }
    (lo, hi)
}

/// range / 255, with the rules of the symmetric scale.
fn scale_from_range(range: f32) -> f32 {
    if range == 0.0 {
        return 1.0;
    }
    let scale = range / 255.0;
    // False for NaN, which is kept.
    if scale < SCALE_MIN { SCALE_MIN } else { canonical(scale) }
}

/// Where 0 lies among the codes; 0 under a scale that is not finite, so that codes of 0 make nothing but NaN of it.
fn zero_point(lo: f32, scale: f32) -> i32 {
    if !scale.is_finite() {
        return 0;
    }
    (-128.0 - lo / scale).round_ties_even().clamp(-128.0, 127.0) as i32
}

/// The f32 quotient, rounded, shifted and clamped.
fn code(x: f32, scale: f32, zero_point: i32) -> i8 {
    let quotient = x / scale;
    if quotient.is_nan() {
        return 0;
    }
    // At most 256 in magnitude: x is inside the range that the scale was made from.
    let rounded = quotient.round_ties_even() as i32;
    (rounded + zero_point).clamp(-128, 127) as i8
}
