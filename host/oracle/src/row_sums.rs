//! `row_sums`: the sum of each row of codes, which a product with zero points needs once a weight.

use crate::assert_shape;

/// q `i8 [rows, cols]` → Σ_k q, `i32 [rows]`.
///
/// # Panics
/// If a sum leaves int32, which takes over 2²⁴ columns.
pub fn row_sums(q: &[i8], rows: usize, cols: usize) -> Vec<i32> {
    assert_shape("q", q.len(), rows, cols);
    let mut sums = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut sum = 0i64;
        for col in 0..cols {
            sum += i64::from(q[row * cols + col]);
        }
        sums.push(i32::try_from(sum).expect("2²⁴ codes fit int32"));
    }
    sums
}
