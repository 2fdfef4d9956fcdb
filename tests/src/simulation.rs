//! Every scheme in real numbers: what a paper's formula gives, with the rounding to codes and no other.
//!
//! The oracle follows NUMERICS.md bit for bit, so it would repeat a mistake of that page. This knows only what each
//! scheme means: scales are quotients of f64, codes the nearest integers, and the product is exact. Where its errors
//! are the kernels' errors, the arithmetic of f32 and its special cases cost nothing that matters.

use half::f16;

/// Which inputs share a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grouping {
    /// Each token has its own, from its largest |x|.
    Token,
    /// All have one, from the largest |x| of all.
    Tensor,
    /// All have one, of this absmax.
    Absmax(f64),
    /// Each token has its own, from its least and largest x, and a zero point.
    Asymmetric,
}

/// Columns that stay out of the integer product (Dettmers and others 2022, LLM.int8()).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outliers {
    /// A column with an |x| of at least this is one.
    pub threshold: f64,
    /// Whether their weights are the f16 ones; else those of the int8 codes.
    pub f16_weights: bool,
}

/// A layer under a scheme; x [tokens, K], w [N, K].
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// Activations.
    pub x: &'a [f32],
    /// Weights.
    pub w: &'a [f32],
    /// Inner dimension.
    pub k: usize,
    /// Which inputs share a scale.
    pub grouping: Grouping,
    /// SmoothQuant's factors `[K]`: x is divided by them and w multiplied.
    pub factors: Option<&'a [f64]>,
    /// Columns that stay out.
    pub outliers: Option<Outliers>,
}

impl<'a> Simulation<'a> {
    /// Neither smoothed nor with outliers apart.
    pub fn plain(x: &'a [f32], w: &'a [f32], k: usize, grouping: Grouping) -> Simulation<'a> {
        Simulation { x, w, k, grouping, factors: None, outliers: None }
    }

    /// x · wᵀ without bias as the scheme gives it, f64 [tokens, N].
    pub fn products(&self) -> Vec<f64> {
        let k = self.k;
        let factor = |col: usize| self.factors.map_or(1.0, |factors| factors[col]);
        let wide = |m: &[f32]| m.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let x: Vec<f64> = wide(self.x).iter().enumerate().map(|(i, x)| x / factor(i % k)).collect();
        let w: Vec<f64> = wide(self.w).iter().enumerate().map(|(i, w)| w * factor(i % k)).collect();
        let is_outlier = self.outlier_columns(&x);
        let inside: Vec<f64> = x.iter().enumerate().map(|(i, x)| if is_outlier[i % k] { 0.0 } else { *x }).collect();
        let (q_x, s_x) = encode(&inside, k, self.grouping);
        let (q_w, s_w) = encode(&w, k, Grouping::Token);
        // Codes are whole numbers, which f32 holds exactly, and so are their sums in f64.
        let mut y = oracle::reference(&q_x, &q_w, None, k);
        let n = s_w.len();
        for (at, y) in y.iter_mut().enumerate() {
            let (token, channel) = (at / n, at % n);
            *y *= s_x[token] * s_w[channel];
            for col in (0..k).filter(|col| is_outlier[*col]) {
                let code_weight = f64::from(q_w[channel * k + col]) * s_w[channel];
                let f16_weight = f16::from_f64(w[channel * k + col]).to_f64();
                let is_f16 = self.outliers.is_some_and(|outliers| outliers.f16_weights);
                *y += x[token * k + col] * if is_f16 { f16_weight } else { code_weight };
            }
        }
        y
    }

    fn outlier_columns(&self, x: &[f64]) -> Vec<bool> {
        let mut is_outlier = vec![false; self.k];
        let Some(outliers) = self.outliers else { return is_outlier };
        for (i, x) in x.iter().enumerate() {
            is_outlier[i % self.k] |= x.abs() >= outliers.threshold;
        }
        is_outlier
    }
}

/// Codes, less the zero point where there is one, and the scale of each row.
fn encode(rows: &[f64], k: usize, grouping: Grouping) -> (Vec<f32>, Vec<f64>) {
    let absmax = |values: &[f64]| values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let (mut codes, mut scales) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows.chunks(k) {
        let (least, most) = row.iter().fold((0.0f64, 0.0f64), |(least, most), v| (least.min(*v), most.max(*v)));
        let scale = match grouping {
            Grouping::Token => absmax(row) / 127.0,
            Grouping::Tensor => absmax(rows) / 127.0,
            Grouping::Absmax(absmax) => absmax / 127.0,
            Grouping::Asymmetric => (most - least) / 255.0,
        };
        let scale = if scale == 0.0 { 1.0 } else { scale };
        let (zero, low, high) = match grouping {
            Grouping::Asymmetric => ((-128.0 - least / scale).round_ties_even(), -128.0, 127.0),
            _ => (0.0, -127.0, 127.0),
        };
        codes.extend(row.iter().map(|v| (((v / scale).round_ties_even() + zero).clamp(low, high) - zero) as f32));
        scales.push(scale);
    }
    (codes, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f32; 6] = [127.0, -3.0, 0.4, 10.0, 0.3, -254.0];
    const W: [f32; 3] = [127.0, 127.0, 127.0];

    #[test]
    fn a_scale_is_that_of_its_group() {
        let products = |grouping| Simulation::plain(&X, &W, 3, grouping).products();
        // Steps 1 and 2: 0.4 is lost, then 0.3; 3 becomes -2 × 2 (ties to even), 127 becomes 64 × 2.
        assert_eq!(products(Grouping::Token), [127.0 * 124.0, 127.0 * (10.0 - 254.0)]);
        assert_eq!(products(Grouping::Tensor), [127.0 * (128.0 - 4.0), 127.0 * (10.0 - 254.0)]);
        assert_eq!(products(Grouping::Absmax(63.5)), [127.0 * (63.5 - 3.0 + 0.5), 127.0 * (10.0 + 0.5 - 63.5)]);
    }

    #[test]
    fn a_zero_point_gives_both_ends_all_codes() {
        let x = [0.0, 255.0, 1.4];
        assert_eq!(Simulation::plain(&x, &W, 3, Grouping::Asymmetric).products(), [127.0 * 256.0]);
        let symmetric = Simulation::plain(&x, &W, 3, Grouping::Token).products();
        assert!((symmetric[0] - 127.0 * (255.0 + 255.0 / 127.0)).abs() < 1e-9, "{symmetric:?}");
    }

    #[test]
    fn outliers_stay_out_and_factors_cancel() {
        let w = [0.1f32, 127.0, -5.0];
        let of = |f16_weights| Simulation {
            outliers: Some(Outliers { threshold: 100.0, f16_weights }),
            ..Simulation::plain(&X, &w, 3, Grouping::Token)
        };
        // Columns 0 and 2 are outliers; -3 and 0.3 are exact under their own scales.
        let outside = |w0: f64, w2: f64, x: &[f32]| f64::from(x[0]) * w0 + f64::from(x[2]) * w2;
        let want = |w0, w2| [outside(w0, w2, &X) - 381.0, outside(w0, w2, &X[3..]) + 127.0 * f64::from(0.3f32)];
        let near = |got: Vec<f64>, want: [f64; 2]| {
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-9 * w.abs()), "{got:?} {want:?}");
        };
        near(of(true).products(), want(f16::from_f32(0.1).to_f64(), -5.0));
        near(of(false).products(), want(0.0, -5.0));
        // A power of two moves between x and w without a trace where the codes stay the same.
        let plain = Simulation::plain(&X, &W, 3, Grouping::Token);
        let smooth = Simulation { factors: Some(&[4.0; 3]), ..plain };
        assert_eq!(smooth.products(), plain.products());
    }
}
