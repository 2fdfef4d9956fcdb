//! The factors: one an input channel.

use crate::{
    Error, Result,
    host::{HostMatrix, Values},
};
use contract::limits::SCALE_MAX;
use std::sync::Arc;

/// The smallest factor, and the least that a weight channel counts for.
pub const FACTOR_MIN: f64 = 1e-5;

/// How errors call what makes factors.
const OP: &str = "smoothing";

/// A number that factors divide and multiply: f32 with one rounding, f64 for exact-arithmetic checks.
pub trait Real: Copy {
    /// self / s.
    fn over(self, s: f32) -> Self;
    /// self · s.
    fn times(self, s: f32) -> Self;
}

impl Real for f32 {
    fn over(self, s: f32) -> f32 {
        self / s
    }
    fn times(self, s: f32) -> f32 {
        self * s
    }
}

impl Real for f64 {
    fn over(self, s: f32) -> f64 {
        self / f64::from(s)
    }
    fn times(self, s: f32) -> f64 {
        self * f64::from(s)
    }
}

/// Smoothing factors s, f32 `[K]`, each in [[`FACTOR_MIN`], 2¹⁰⁰] as any scale that is given. Copies share their memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors(Arc<[f32]>);

impl Factors {
    /// s_j = clamp(max|X_j|^α / max(max_i|W_ij|, 1e-5)^(1−α), 1e-5), 1 where max|X_j| = 0; in f64, stored as f32
    /// (NUMERICS.md; equation 4 of the paper).
    ///
    /// `activations` `[K]` are the largest |x| of each channel, `weights` `[K]` the largest |w|, over all linears that
    /// read this input ([`weight_absmax`]).
    ///
    /// # Errors
    /// `alpha` outside [0, 1]; `calib_absmax` or `w` where a magnitude is NaN, infinite or negative, or their numbers
    /// differ; `factors` where one is over 2¹⁰⁰.
    pub fn new(activations: &[f32], weights: &[f32], alpha: f64) -> Result<Factors> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(Error::argument(OP, "alpha", format!("must lie in [0, 1], got {alpha}")));
        }
        if activations.len() != weights.len() {
            let rule = format!(
                "must have a magnitude for each of the {} input channels, has {}",
                weights.len(),
                activations.len()
            );
            return Err(Error::argument(OP, "calib_absmax", rule));
        }
        check_magnitudes("calib_absmax", activations)?;
        check_magnitudes("w", weights)?;
        let factor = |(x, w): (&f32, &f32)| match *x {
            // Nothing to smooth, and 0^α / w^(1−α) = 0 could not be divided by.
            0.0 => 1.0,
            x => {
                let w = f64::from(*w).max(FACTOR_MIN);
                (f64::from(x).powf(alpha) / w.powf(1.0 - alpha)).max(FACTOR_MIN) as f32
            }
        };
        Factors::given(activations.iter().zip(weights).map(factor).collect())
    }

    /// Factors from elsewhere.
    ///
    /// # Errors
    /// `factors` where one is NaN or outside [[`FACTOR_MIN`], 2¹⁰⁰].
    pub fn given(factors: Vec<f32>) -> Result<Factors> {
        let wrong = factors.iter().position(|s| !(FACTOR_MIN as f32..=SCALE_MAX).contains(s));
        if let Some(index) = wrong {
            let rule = format!("[{index}] must lie in [{FACTOR_MIN:e}, 2^100], got {:e}", factors[index]);
            return Err(Error::argument(OP, "factors", rule));
        }
        Ok(Factors(factors.into()))
    }

    /// Whether both divide and multiply by the same numbers.
    pub(crate) fn same(&self, other: &Factors) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }

    /// The factors, f32 `[K]`.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// w [N, K] in whatever type → w' f32 [N, K], w'_ij = f32(w_ij · s_j): a product that overflows is infinite, and its
    /// output channel NaN.
    ///
    /// # Panics
    /// If w has another K.
    pub fn weights(&self, w: &HostMatrix) -> HostMatrix {
        assert_eq!(w.cols as usize, self.0.len(), "w and the factors have the same K");
        let values = Values::F32(self.multiply_columns(&w.values.widen()));
        HostMatrix { rows: w.rows, cols: w.cols, values }
    }

    /// Rows of K numbers, each times the factor of its column.
    pub fn multiply_columns<T: Real>(&self, rows: &[T]) -> Vec<T> {
        rows.chunks(self.0.len().max(1)).flat_map(|row| row.iter().zip(&*self.0).map(|(v, s)| v.times(*s))).collect()
    }

    /// Rows of K numbers, each over the factor of its column: x'_ij = f32(x_ij / s_j), or its norm's parameters.
    pub fn divide_columns<T: Real>(&self, rows: &[T]) -> Vec<T> {
        rows.chunks(self.0.len().max(1)).flat_map(|row| row.iter().zip(&*self.0).map(|(v, s)| v.over(*s))).collect()
    }

    /// The largest |x / s| that channels of these magnitudes can have: what a static scale of x' is made of.
    pub fn absmax(&self, activations: &[f32]) -> f32 {
        self.divide_columns(activations).into_iter().fold(0.0, f32::max)
    }
}

fn check_magnitudes(argument: &'static str, magnitudes: &[f32]) -> Result<()> {
    match magnitudes.iter().position(|v| !(v.is_finite() && *v >= 0.0)) {
        None => Ok(()),
        Some(channel) => {
            let rule = format!(
                "channel {channel} must have finite magnitudes to be smoothed, has {}; take a scheme without smoothing",
                magnitudes[channel]
            );
            Err(Error::argument(OP, argument, rule))
        }
    }
}

/// The largest |w| of each input channel over all linears that read the same input, weights [N_i, K] each: f32 `[K]`.
/// A channel with a NaN has NaN.
///
/// # Errors
/// `w` where there is none, or their K differ.
pub fn weight_absmax(consumers: &[&HostMatrix]) -> Result<Vec<f32>> {
    let Some(first) = consumers.first() else {
        return Err(Error::argument(OP, "w", "at least one linear must read the input"));
    };
    let mut absmax = vec![0.0f32; first.cols as usize];
    for w in consumers {
        if w.cols != first.cols {
            let rule = format!("linears that read the same input have the same K, got {} and {}", first.cols, w.cols);
            return Err(Error::argument(OP, "w", rule));
        }
        for row in w.values.widen().chunks(absmax.len().max(1)) {
            for (largest, v) in absmax.iter_mut().zip(row) {
                // Patterns of magnitudes order as the numbers do, NaN last: `f32::max` would drop it.
                *largest = f32::from_bits(largest.to_bits().max(v.abs().to_bits()));
            }
        }
    }
    Ok(absmax)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(cols: u64, w: &[f32]) -> HostMatrix {
        HostMatrix { rows: w.len() as u64 / cols, cols, values: Values::F32(w.to_vec()) }
    }

    #[test]
    fn factors_by_hand() {
        // √(16 / 4), a dead channel of x, a dead channel of w (√(1e-4 / 1e-5)), and one below the smallest.
        let s = Factors::new(&[16.0, 0.0, 1e-4, 1e-20], &[4.0, 3.0, 0.0, 1e3], 0.5).unwrap();
        assert_eq!(s.values(), [2.0, 1.0, 10f64.sqrt() as f32, 1e-5]);
        assert_eq!(Factors::new(&[16.0, 0.5], &[4.0, 3.0], 1.0).unwrap().values(), [16.0, 0.5]);
        assert_eq!(Factors::new(&[16.0, 0.5], &[4.0, 0.5], 0.0).unwrap().values(), [0.25, 2.0]);
    }

    #[test]
    fn factors_have_the_range_of_scales() {
        for (alpha, largest) in [(0.0, f32::MAX), (0.5, f32::MAX), (1.0, 1e30)] {
            let s = Factors::new(&[largest, f32::MIN_POSITIVE], &[0.0, f32::MAX], alpha).unwrap();
            assert!(s.values().iter().all(|s| *s >= 1e-5 && *s <= SCALE_MAX), "{alpha}: {s:?}");
        }
        let error = Factors::new(&[1.0, 2e30], &[1.0; 2], 1.0).unwrap_err().to_string();
        assert_eq!(error, "smoothing: factors: [1] must lie in [1e-5, 2^100], got 2e30");
    }

    #[test]
    fn what_has_no_factor_is_refused() {
        let refused = |x: &[f32], w: &[f32], alpha| Factors::new(x, w, alpha).unwrap_err().to_string();
        for alpha in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
            assert!(refused(&[1.0], &[1.0], alpha).starts_with("smoothing: alpha: must lie in [0, 1], got"));
        }
        for bad in [f32::NAN, f32::INFINITY, -1.0] {
            assert!(refused(&[1.0, bad], &[1.0; 2], 0.5).starts_with("smoothing: calib_absmax: channel 1 must have"));
            assert!(refused(&[1.0, 1.0], &[1.0, bad], 0.5).starts_with("smoothing: w: channel 1 must have"));
        }
        assert!(refused(&[1.0], &[1.0; 2], 0.5).contains("each of the 2 input channels, has 1"));
        assert!(Factors::given(vec![1.0, 1e-5, SCALE_MAX]).is_ok());
        for bad in [0.0, -1.0, 0.9e-5, f32::NAN, f32::INFINITY, SCALE_MAX.next_up()] {
            assert!(Factors::given(vec![1.0, bad]).unwrap_err().to_string().contains("factors: [1] must lie in"));
        }
    }

    #[test]
    fn all_consumers_count() {
        let (q, k) = (matrix(2, &[1.0, -5.0, 2.0, 0.5]), matrix(2, &[-3.0, 1.0]));
        assert_eq!(weight_absmax(&[&q, &k]).unwrap(), [3.0, 5.0]);
        assert!(weight_absmax(&[&q, &matrix(2, &[f32::NAN, 0.0])]).unwrap()[0].is_nan());
        assert!(weight_absmax(&[&q, &matrix(3, &[0.0; 3])]).unwrap_err().to_string().contains("got 2 and 3"));
        assert!(weight_absmax(&[]).is_err());
    }

    #[test]
    fn columns_are_multiplied_and_divided() {
        let s = Factors::given(vec![2.0, 3.0]).unwrap();
        assert_eq!(s.weights(&matrix(2, &[1.0, 1.0, -0.5, 2.0])).values, Values::F32(vec![2.0, 3.0, -1.0, 6.0]));
        assert_eq!(s.divide_columns(&[1.0f32, 1.0, 4.0, 9.0]), [0.5, 1.0 / 3.0, 2.0, 3.0]);
        assert_eq!(s.absmax(&[4.0, 9.0]), 3.0);
    }
}
