//! `gemm`: the product of codes, q_x · q_wᵀ, and the one epilogue that makes y of it.
//!
//! The epilogue is y = cast(fma(s_x, s_w · f32(acc), b)): int32 to f32 rounds to nearest even, the
//! product and the fma are f32 operations of one rounding each, and the cast rounds the f32 that the fma
//! gave, once, to the output type. For f16 and bf16 this is what `fma.rn.f32` and then `cvt.rn` give; it
//! is not the exact s_x · t + b rounded straight to 16 bits, which differs where the f32 falls on a tie.

use crate::{
    Error, MAX_K, assert_shape, canonical,
    float::{narrow_bf16, narrow_f16},
};
use half::{bf16, f16};

/// Products that an i32 can sum for certain, even of codes -128: 2¹⁴ · 2¹⁶ = 2³⁰.
const CHUNK: usize = 1 << 16;

/// q_x `i8 [m, k]`, q_w `i8 [n, k]` → the exact sums Σ_k q_x · q_w, `i32 [m, n]`.
///
/// # Errors
/// [`Error::KTooLarge`] if k is over 133,144; [`Error::AccumulatorOverflow`] if a sum leaves int32, which
/// takes codes of -128.
pub fn gemm_i32(q_x: &[i8], q_w: &[i8], m: usize, n: usize, k: usize) -> Result<Vec<i32>, Error> {
    if k > MAX_K {
        return Err(Error::KTooLarge { k });
    }
    assert_shape("q_x", q_x.len(), m, k);
    assert_shape("q_w", q_w.len(), n, k);
    let mut acc = Vec::with_capacity(m * n);
    for row in 0..m {
        let x = &q_x[row * k..][..k];
        for col in 0..n {
            let w = &q_w[col * k..][..k];
            let mut sum = 0i64;
            for (x, w) in x.chunks(CHUNK).zip(w.chunks(CHUNK)) {
                sum += i64::from(x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum::<i32>());
            }
            acc.push(i32::try_from(sum).map_err(|_| Error::AccumulatorOverflow { row, col, sum })?);
        }
    }
    Ok(acc)
}

/// What the epilogue applies to the accumulators.
#[derive(Clone, Copy, Debug)]
pub struct Dequant<'a> {
    /// `f32 [m]`, or `[1]` for one scale of the whole tensor.
    pub s_x: &'a [f32],
    /// `f32 [n]`, or `[1]`.
    pub s_w: &'a [f32],
    /// `f32 [n]`; without one, +0 is added.
    pub bias: Option<&'a [f32]>,
}

impl Dequant<'_> {
    /// The f32 of each output, before the cast.
    pub(crate) fn apply(&self, acc: &[i32], m: usize, n: usize) -> Vec<f32> {
        assert_shape("acc", acc.len(), m, n);
        assert!(self.s_x.len() == m || self.s_x.len() == 1, "s_x must have {m} scales or 1");
        assert!(self.s_w.len() == n || self.s_w.len() == 1, "s_w must have {n} scales or 1");
        assert!(self.bias.is_none_or(|bias| bias.len() == n), "bias must have {n} elements");
        let mut y = Vec::with_capacity(m * n);
        for row in 0..m {
            let s_x = self.s_x[if self.s_x.len() == 1 { 0 } else { row }];
            for col in 0..n {
                let s_w = self.s_w[if self.s_w.len() == 1 { 0 } else { col }];
                let bias = self.bias.map_or(0.0, |bias| bias[col]);
                y.push(s_x.mul_add(s_w * acc[row * n + col] as f32, bias));
            }
        }
        y
    }
}

/// acc `i32 [m, n]` → y `f32 [m, n]`.
pub fn dequant_f32(acc: &[i32], m: usize, n: usize, by: &Dequant<'_>) -> Vec<f32> {
    by.apply(acc, m, n).into_iter().map(canonical).collect()
}

/// acc `i32 [m, n]` → y `f16 [m, n]`; what overflows f16 is infinite.
pub fn dequant_f16(acc: &[i32], m: usize, n: usize, by: &Dequant<'_>) -> Vec<f16> {
    by.apply(acc, m, n).into_iter().map(narrow_f16).collect()
}

/// acc `i32 [m, n]` → y `bf16 [m, n]`.
pub fn dequant_bf16(acc: &[i32], m: usize, n: usize, by: &Dequant<'_>) -> Vec<bf16> {
    by.apply(acc, m, n).into_iter().map(narrow_bf16).collect()
}
