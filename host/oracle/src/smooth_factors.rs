//! SmoothQuant's factors, stated once more from NUMERICS.md, and what they do to x and w.

use crate::Error;

/// The smallest factor, and the least that a weight channel counts for.
const FLOOR: f64 = 1e-5;
/// The largest factor: 2¹⁰⁰, as for any scale that is given.
const CEILING: f64 = (1u128 << 100) as f64;

/// The largest |x| of each of K channels, and the weights `f32 [n, K]` of every linear that reads these channels
/// → the factors `f32 [K]`: clamp(max|X_j|^α / max(max_i|W_ij|, 1e-5)^(1−α), 1e-5), 1 where max|X_j| = 0.
///
/// # Errors
/// [`Error::NoFactor`] for the first channel whose activations or weights have a NaN or an infinity, whose absmax is
/// negative, or whose factor would be over 2¹⁰⁰; [`Error::AlphaOutOfRange`] for an α outside [0, 1].
pub fn smooth_factors(x_absmax: &[f32], weights: &[&[f32]], alpha: f64) -> Result<Vec<f32>, Error> {
    if !(0.0..=1.0).contains(&alpha) {
        return Err(Error::AlphaOutOfRange { alpha });
    }
    let k = x_absmax.len();
    let mut factors = Vec::with_capacity(k);
    for channel in 0..k {
        let x_max = f64::from(x_absmax[channel]);
        let mut w_max = 0.0f64;
        let mut all_finite = x_max.is_finite() && x_max >= 0.0;
        for w in weights {
            assert_eq!(w.len() % k, 0, "{} weights are no rows of {k}", w.len());
            for row in 0..w.len() / k {
                let weight = f64::from(w[row * k + channel]);
                all_finite = all_finite && weight.is_finite();
                if weight.abs() > w_max {
                    w_max = weight.abs();
                }
            }
        }
        if !all_finite {
            return Err(Error::NoFactor { channel });
        }
        if w_max < FLOOR {
            w_max = FLOOR;
        }
        let factor = x_max.powf(alpha) / w_max.powf(1.0 - alpha);
        if factor as f32 > CEILING as f32 {
            return Err(Error::NoFactor { channel });
        }
        factors.push(if x_max == 0.0 {
            1.0
        } else if factor < FLOOR {
            FLOOR as f32
        } else {
            factor as f32
        });
    }
    Ok(factors)
}

/// x `f32 [rows, K]` → x'_ij = f32(x_ij / s_j).
pub fn smooth_tokens(x: &[f32], factors: &[f32]) -> Vec<f32> {
    x.iter().enumerate().map(|(i, v)| v / factors[i % factors.len()]).collect()
}

/// w `f32 [n, K]` → w'_ij = f32(w_ij · s_j).
pub fn smooth_weights(w: &[f32], factors: &[f32]) -> Vec<f32> {
    w.iter().enumerate().map(|(i, v)| v * factors[i % factors.len()]).collect()
}
