//! `outlier_columns` and `outlier_list`: which columns LLM.int8() multiplies in floating point.

use crate::assert_shape;

/// x `f32 [rows, cols]` → for each column whether any |x| ≥ `threshold`.
///
/// A NaN is no outlier, an infinity is one; under an infinite threshold nothing is, not even an infinity.
pub fn outlier_columns(x: &[f32], rows: usize, cols: usize, threshold: f32) -> Vec<bool> {
    assert_shape("x", x.len(), rows, cols);
    let mut outlier = vec![false; cols];
    for row in x.chunks(cols.max(1)) {
        for (outlier, v) in outlier.iter_mut().zip(row) {
            *outlier |= threshold != f32::INFINITY && v.abs() >= threshold;
        }
    }
    outlier
}

/// For each column whether it is an outlier → the outliers, ascending.
pub fn outlier_list(is_outlier: &[bool]) -> Vec<usize> {
    (0..is_outlier.len()).filter(|col| is_outlier[*col]).collect()
}
