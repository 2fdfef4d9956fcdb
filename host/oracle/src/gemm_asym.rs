//! `gemm_asym`: what a zero point of the tokens takes away from the accumulators, before the one epilogue.

use crate::{Error, assert_shape};

/// The largest K: (127 + 128) · 127 · K ≤ 2³¹ − 1.
pub const MAX_K_ASYM: usize = 66_311;

/// acc `i32 [m, n]`, zero points `i32 [m]`, sums of the rows of the weights' codes `i32 [n]` →
/// Σ_k (q_x − zero point) · q_w = acc − zero point · sum, `i32 [m, n]`; `dequant_*` makes y of it.
///
/// # Errors
/// [`Error::AccumulatorOverflow`] if a difference leaves int32; with codes of our quantizers and K up to
/// [`MAX_K_ASYM`] none can.
pub fn gemm_asym(acc: &[i32], zero_points: &[i32], w_sums: &[i32]) -> Result<Vec<i32>, Error> {
    let (m, n) = (zero_points.len(), w_sums.len());
    assert_shape("acc", acc.len(), m, n);
    let mut corrected = Vec::with_capacity(m * n);
    for row in 0..m {
        for col in 0..n {
            let sum = i64::from(acc[row * n + col]) - i64::from(zero_points[row]) * i64::from(w_sums[col]);
            corrected.push(i32::try_from(sum).map_err(|_| Error::AccumulatorOverflow { row, col, sum })?);
        }
    }
    Ok(corrected)
}
