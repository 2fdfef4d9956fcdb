//! `gemm_outliers`: the product of codes, and in f32 that of the outlier columns, rounded once together.

use crate::{Dequant, assert_shape, float::narrow_f16};

/// What the outlier columns multiply.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierPart {
    /// The outlier columns, ascending.
    pub columns: Vec<usize>,
    /// x as it came, `f32 [m, k]`.
    pub x: Vec<f32>,
    /// Its weights, `f32 [n, k]`: [`half_weights`] or [`coded_weights`].
    pub w: Vec<f32>,
}

/// w `f32 [n, k]` rounded to f16, to nearest even: past its range infinite, NaN the canonical one.
pub fn half_weights(w: &[f32]) -> Vec<f32> {
    w.iter().map(|v| narrow_f16(*v).to_f32()).collect()
}

/// Codes `i8 [n, k]` and scales `f32 [n]` → f32(q) · s, `f32 [n, k]`.
pub fn coded_weights(q_w: &[i8], s_w: &[f32], k: usize) -> Vec<f32> {
    assert_shape("q_w", q_w.len(), s_w.len(), k);
    q_w.iter().enumerate().map(|(at, q)| f32::from(*q) * s_w[at / k]).collect()
}

/// acc `i32 [m, n]` of codes that are 0 in the outlier columns → y `f32 [m, n]`, before the cast to its type:
/// fma(s_x, s_w · f32(acc), o), where o is the bias and then, for the outlier columns j in ascending order,
/// fma(x_j, w_j, o).
pub fn gemm_outliers(acc: &[i32], m: usize, n: usize, by: &Dequant<'_>, part: &OutlierPart) -> Vec<f32> {
    assert_shape("acc", acc.len(), m, n);
    let k = part.w.len() / n;
    assert_shape("x", part.x.len(), m, k);
    let mut y = Vec::with_capacity(m * n);
    for row in 0..m {
        for col in 0..n {
            let mut o = by.bias.map_or(0.0, |bias| bias[col]);
            for &j in &part.columns {
                o = part.x[row * k + j].mul_add(part.w[col * k + j], o);
            }
            let s_x = by.s_x[if by.s_x.len() == 1 { 0 } else { row }];
            let s_w = by.s_w[if by.s_w.len() == 1 { 0 } else { col }];
            y.push(s_x.mul_add(s_w * acc[row * n + col] as f32, o));
        }
    }
    y
}
