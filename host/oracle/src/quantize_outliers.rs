//! `quantize_outliers`: codes with one scale a row, the outlier columns left out of it and coded 0.

use crate::quantize_token;

/// x `f32 [rows, cols]`, `is_outlier [cols]` → (codes `i8 [rows, cols]`, scales `f32 [rows]`).
///
/// What stands in an outlier column does not matter, a NaN neither: zeros are quantized in its place.
pub fn quantize_outliers(x: &[f32], rows: usize, cols: usize, is_outlier: &[bool]) -> (Vec<i8>, Vec<f32>) {
    assert_eq!(is_outlier.len(), cols, "is_outlier must have {cols} elements");
    let mut rest = x.to_vec();
    for row in rest.chunks_mut(cols.max(1)) {
        for (v, outlier) in row.iter_mut().zip(is_outlier) {
            if *outlier {
                *v = 0.0;
            }
        }
    }
    quantize_token(&rest, rows, cols)
}
