//! The whole layer: quantize x and w, multiply the codes.

use crate::{Error, RunningState, Window, gemm_i32, quantize_static, quantize_tensor, quantize_token, running_scale};

/// How x is quantized. w always has one scale for each output channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme {
    /// `w8a8-token`: one scale for each token, from the data.
    Token,
    /// `w8a8-tensor`: one scale for all of x, from the data.
    Tensor,
    /// `w8a8-static`: the given scale for all of x.
    Static(f32),
    /// `w8a8-running`: one scale for all of x, by the batches before it.
    Running(RunningState, Window),
}

/// Every intermediate value of a linear layer; y follows from it by `dequant_*` with [`Linear::dequant`].
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `i8 [m, k]`.
    pub q_x: Vec<i8>,
    /// `f32 [m]`, or `[1]` under a scheme with one scale for all of x.
    pub s_x: Vec<f32>,
    /// `i8 [n, k]`.
    pub q_w: Vec<i8>,
    /// `f32 [n]`.
    pub s_w: Vec<f32>,
    /// `i32 [m, n]`.
    pub acc: Vec<i32>,
}

impl Linear {
    /// The layer's outputs f32 `[m, n]` before the cast to their type; `bias` f32 `[n]` or none.
    pub fn outputs(&self, bias: Option<&[f32]>) -> Vec<f32> {
        let n = self.s_w.len();
        self.dequant(bias).apply(&self.acc, self.acc.len() / n, n)
    }

    /// The epilogue's operands for this layer.
    pub fn dequant<'a>(&'a self, bias: Option<&'a [f32]>) -> crate::Dequant<'a> {
        crate::Dequant { s_x: &self.s_x, s_w: &self.s_w, bias }
    }
}

/// x `f32 [m, k]`, w `f32 [n, k]`, widened from what they were; k ≥ 1 and n ≥ 1 follow from the lengths.
///
/// # Errors
/// Those of [`gemm_i32`] and [`quantize_static()`].
pub fn linear(x: &[f32], w: &[f32], k: usize, scheme: Scheme) -> Result<Linear, Error> {
    assert!(k >= 1, "K must be at least 1");
    let (m, n) = (x.len() / k, w.len() / k);
    let (q_x, s_x) = match scheme {
        Scheme::Token => quantize_token(x, m, k),
        Scheme::Tensor => {
            let (codes, scale) = quantize_tensor(x);
            (codes, vec![scale])
        }
        Scheme::Static(scale) => (quantize_static(x, scale)?.codes, vec![scale]),
        Scheme::Running(mut state, by) => {
            let scale = running_scale(x, &mut state, by);
            (quantize_static(x, scale)?.codes, vec![scale])
        }
    };
    let (q_w, s_w) = quantize_token(w, n, k);
    let acc = gemm_i32(&q_x, &q_w, m, n, k)?;
    Ok(Linear { q_x, s_x, q_w, s_w, acc })
}
