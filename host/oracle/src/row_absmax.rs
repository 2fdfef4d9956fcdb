//! `row_absmax`: the largest magnitude of each row.

use crate::{assert_shape, canonical};

/// The larger of a running maximum `so_far` ≥ 0 and abs(v); a NaN on either side wins and stays.
///
/// `f32::max` would drop the NaN, and the token with it would pass for a good one.
pub(crate) fn larger(so_far: f32, v: f32) -> f32 {
    if so_far.is_nan() || v.is_nan() {
        f32::NAN
    } else if v.abs() > so_far {
        v.abs()
    } else {
        so_far
    }
}

/// x `f32 [rows, cols]` → `f32 [rows]`: the largest |x| of each row; any NaN makes it NaN (0x7FFFFFFF).
/// A row of no columns has absmax 0.
pub fn row_absmax(x: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    assert_shape("x", x.len(), rows, cols);
    let mut absmax = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut largest = 0.0;
        for col in 0..cols {
            largest = larger(largest, x[row * cols + col]);
        }
        absmax.push(canonical(largest));
    }
    absmax
}
