//! `quantize_token`: codes with one scale a row. A row is a token of x or an output channel of w.

use crate::{code, row_absmax, scale_from_absmax};

/// x `f32 [rows, cols]` → (codes `i8 [rows, cols]`, scales `f32 [rows]`).
///
/// A row with NaN or an infinity gets a scale that is not finite and codes that are all 0.
pub fn quantize_token(x: &[f32], rows: usize, cols: usize) -> (Vec<i8>, Vec<f32>) {
    let scales: Vec<f32> = row_absmax(x, rows, cols).into_iter().map(scale_from_absmax).collect();
    let mut codes = Vec::with_capacity(rows * cols);
    for row in 0..rows {
        for col in 0..cols {
            codes.push(code(x[row * cols + col], scales[row]));
        }
    }
    (codes, scales)
}
