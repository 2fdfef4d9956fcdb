//! `quantize_smooth_token`: codes with one scale a row of x', x divided by one factor a column.

use crate::{quantize_token, smooth_tokens};

/// x `f32 [rows, cols]` and factors `f32 [cols]` → (codes `i8 [rows, cols]`, scales `f32 [rows]`) of
/// x'_ij = f32(x_ij / s_j).
pub fn quantize_smooth_token(x: &[f32], factors: &[f32], rows: usize) -> (Vec<i8>, Vec<f32>) {
    quantize_token(&smooth_tokens(x, factors), rows, factors.len())
}
