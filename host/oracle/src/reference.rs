//! The layer without quantization, in float64: what the error is measured against.

/// x `f32 [m, k]`, w `f32 [n, k]`, bias `f32 [n]` or none → y = x · wᵀ + bias, `f64 [m, n]`, summed in ascending k.
pub fn reference(x: &[f32], w: &[f32], bias: Option<&[f32]>, k: usize) -> Vec<f64> {
    assert!(k >= 1, "K must be at least 1");
    let (m, n) = (x.len() / k, w.len() / k);
    assert!(bias.is_none_or(|bias| bias.len() == n), "bias must have {n} elements");
    let mut y = Vec::with_capacity(m * n);
    for row in 0..m {
        for col in 0..n {
            let mut sum = bias.map_or(0.0, |bias| f64::from(bias[col]));
            for i in 0..k {
                sum += f64::from(x[row * k + i]) * f64::from(w[col * k + i]);
            }
            y.push(sum);
        }
    }
    y
}
