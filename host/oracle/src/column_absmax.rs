//! `column_absmax`: the largest magnitude of each column, over any number of batches.

use crate::{assert_shape, canonical, row_absmax::larger};

/// The absmax of batches before, `f32 [cols]` (zeros where there was none), and x `f32 [rows, cols]` → `f32 [cols]`: the
/// largest of each column; any NaN makes it NaN (0x7FFFFFFF), also in batches to come.
pub fn column_absmax(so_far: &[f32], x: &[f32], rows: usize) -> Vec<f32> {
    let cols = so_far.len();
    assert_shape("x", x.len(), rows, cols);
    let mut absmax = Vec::with_capacity(cols);
    for col in 0..cols {
        let mut largest = so_far[col];
        for row in 0..rows {
            largest = larger(largest, x[row * cols + col]);
        }
        absmax.push(canonical(largest));
    }
    absmax
}
