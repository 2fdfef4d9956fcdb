//! How far a result is from the reference.

use crate::assert_shape;

/// The distance of y from the reference, over all tokens and for the worst one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// ‖y − reference‖ / ‖reference‖ over all tokens (Frobenius norms), 0 if both are 0.
    pub relative_error: f64,
    /// Signal to quantization noise, −20 · log₁₀(relative_error), in dB: infinite for no error.
    pub sqnr_db: f64,
    /// The token (row) with the largest relative error of its own; none if there is no token to measure.
    pub worst_token: Option<usize>,
    /// That token's relative error.
    pub worst_token_error: f64,
    /// Tokens left out because their reference has NaN or an infinity, which no distance can be taken to.
    pub left_out: usize,
}

/// y and reference `f64 [rows, cols]`. Give both with the bias or both without: a large bias flatters.
///
/// A token whose reference is finite and whose y is not counts, with an infinite error.
pub fn metrics(y: &[f64], reference: &[f64], rows: usize, cols: usize) -> Metrics {
    assert_shape("y", y.len(), rows, cols);
    assert_shape("the reference", reference.len(), rows, cols);
    let (mut noise, mut signal) = (0.0, 0.0);
    let (mut worst_token, mut worst_token_error, mut left_out) = (None, 0.0, 0);
    for row in 0..rows {
        let (mut row_noise, mut row_signal) = (0.0, 0.0);
        for i in row * cols..(row + 1) * cols {
            row_noise += (y[i] - reference[i]) * (y[i] - reference[i]);
            row_signal += reference[i] * reference[i];
        }
        if !row_signal.is_finite() {
            left_out += 1;
            continue;
        }
        // The difference of NaN and a number is NaN, which would compare as neither better nor worse.
        let row_noise = if row_noise.is_nan() { f64::INFINITY } else { row_noise };
        noise += row_noise;
        signal += row_signal;
        let error = ratio(row_noise, row_signal);
        if worst_token.is_none() || error > worst_token_error {
            (worst_token, worst_token_error) = (Some(row), error);
        }
    }
    let relative_error = ratio(noise, signal);
    let sqnr_db = -20.0 * relative_error.log10();
    Metrics { relative_error, sqnr_db, worst_token, worst_token_error, left_out }
}

/// √(noise / signal), 0 for no noise at all.
fn ratio(noise: f64, signal: f64) -> f64 {
    if noise == 0.0 { 0.0 } else { (noise / signal).sqrt() }
}
