//! Activation scales along K, in floating point: what they would give, and why no kernel can have them.
//!
//! y = Σ_k x_ik · w_jk. With a scale of its own for each input channel, x_ik ≈ s_k · q_ik, the sum becomes
//! Σ_k s_k · (q_ik · q_jk): s_k depends on the index that the sum runs over and cannot be taken out of it, so there is
//! no sum of integers left for an int8 matrix instruction to make. Only when s_k moves into the weights before they
//! are quantized is there one again, and that is SmoothQuant with all of the outliers in the weights.

use crate::{
    files::Layer,
    linear::{Distance, Reference, products},
};

/// The row's name.
pub const NAME: &str = "per-channel activations";

/// Why it is a row without kernels.
pub const WHY: &str = "In float only: a scale for each input channel would stand inside the sum over the channels, \
    where it cannot be factored out; no int8 GEMM can have it.";

/// How far the layer is from float64 with one scale an input channel, from this x itself, and the codes of w that every
/// scheme has; and the share of non-zero inputs that would become code 0.
pub fn per_channel(layer: &Layer, reference: &Reference<'_>) -> (Distance, f64) {
    let (n, k) = (layer.w.rows as usize, layer.w.cols as usize);
    let (x, w) = (layer.x.values.widen(), layer.w.values.widen());
    let mut absmax = vec![0.0f32; k];
    for (i, value) in x.iter().enumerate() {
        absmax[i % k] = absmax[i % k].max(value.abs());
    }
    let scales: Vec<f32> = absmax.into_iter().map(oracle::scale_from_absmax).collect();
    let codes: Vec<f32> = x.iter().enumerate().map(|(i, x)| f32::from(oracle::code(*x, scales[i % k]))).collect();
    let (non_zero, lost) = x
        .iter()
        .zip(&codes)
        .filter(|(x, _)| **x != 0.0)
        .fold((0u64, 0u64), |(all, lost), (_, q)| (all + 1, lost + u64::from(*q == 0.0)));
    let near_x: Vec<f32> = reference
        .rows()
        .iter()
        .flat_map(|row| codes[row * k..][..k].iter().zip(&scales).map(|(code, scale)| code * scale))
        .collect();
    let (q_w, s_w) = oracle::quantize_token(&w, n, k);
    let near_w: Vec<f32> = q_w.iter().enumerate().map(|(i, code)| f32::from(*code) * s_w[i / k]).collect();
    let distance = reference.distance_of_products(&products(&near_x, &near_w, k));
    (distance, if non_zero == 0 { 0.0 } else { lost as f64 / non_zero as f64 })
}
