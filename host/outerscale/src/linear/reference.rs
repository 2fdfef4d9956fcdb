//! How far a layer's output is from float64's.

use crate::{files::Layer, host::Values, report::percent};
use rayon::prelude::*;

/// Products that a reference takes the time for: about a second of one core.
const PRODUCTS: u64 = 1 << 30;
/// Tokens that one core takes at a time.
const TOKENS: usize = 8;

/// The layer in float64, made once and compared with any number of outputs.
pub struct Reference<'a> {
    layer: &'a Layer,
    /// The tokens that are measured.
    rows: Vec<usize>,
    /// x · wᵀ of those tokens, without bias, f64 [rows, N].
    y: Vec<f64>,
}

/// The distance from float64, without the bias, which would flatter it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// The distance itself; its worst token is one of the layer's.
    pub metrics: oracle::Metrics,
    /// Tokens measured.
    pub measured: usize,
    /// Tokens of the layer.
    pub tokens: usize,
}

/// x [tokens, K] · wᵀ [K, N] in float64 by all cores, the oracle's [`reference`](oracle::reference()) without bias.
pub fn products(x: &[f32], w: &[f32], k: usize) -> Vec<f64> {
    // Each output is one sum whichever core makes it: the bits do not depend on how tokens are shared out.
    let parts: Vec<Vec<f64>> = x.par_chunks(TOKENS * k).map(|x| oracle::reference(x, w, None, k)).collect();
    parts.concat()
}

impl<'a> Reference<'a> {
    /// For all tokens of a layer, or for as many, evenly spread, as take about a second.
    pub fn of(layer: &'a Layer) -> Reference<'a> {
        let (m, n, k) = (layer.x.rows as usize, layer.w.rows as usize, layer.x.cols as usize);
        let measured = m.min((PRODUCTS / (n * k) as u64).max(1) as usize);
        let rows: Vec<usize> = (0..measured).map(|index| index * m / measured).collect();
        let (x, w) = (layer.x.values.widen(), layer.w.values.widen());
        let x: Vec<f32> = rows.iter().flat_map(|row| &x[row * k..][..k]).copied().collect();
        let y = products(&x, &w, k);
        Reference { layer, rows, y }
    }

    /// The tokens that are measured, in ascending order.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// How far `y` [T, N] is, bias included as the layer has it.
    ///
    /// # Panics
    /// If y is of another shape.
    pub fn distance(&self, y: &Values) -> Distance {
        let n = self.layer.w.rows as usize;
        assert_eq!(y.len(), self.layer.x.rows as usize * n, "y has an output for each token and channel");
        let y = y.widen();
        let bias = |col: usize| self.layer.bias().map_or(0.0, |bias| f64::from(bias[col]));
        let products = |row: &usize| (0..n).map(|col| f64::from(y[*row * n + col]) - bias(col)).collect::<Vec<_>>();
        self.distance_of_products(&self.rows.iter().flat_map(products).collect::<Vec<_>>())
    }

    /// How far products without bias are, f64 [measured tokens, N].
    ///
    /// # Panics
    /// If there are not as many.
    pub fn distance_of_products(&self, products: &[f64]) -> Distance {
        let n = self.layer.w.rows as usize;
        let mut metrics = oracle::metrics(products, &self.y, self.rows.len(), n);
        metrics.worst_token = metrics.worst_token.map(|index| self.rows[index]);
        Distance { metrics, measured: self.rows.len(), tokens: self.layer.x.rows as usize }
    }
}

impl std::fmt::Display for Distance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let metrics = &self.metrics;
        let Some(worst) = metrics.worst_token else { return f.write_str("no token to compare with float64") };
        write!(f, "against float64, without bias: relative error {}", percent(metrics.relative_error))?;
        write!(f, ", SQNR {:.2} dB, worst token {worst} with {}", metrics.sqnr_db, percent(metrics.worst_token_error))?;
        if self.measured < self.tokens {
            write!(f, " ({} of {} tokens measured)", self.measured, self.tokens)?;
        }
        if metrics.left_out > 0 {
            write!(f, " ({} tokens with NaN or Inf left out)", metrics.left_out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostMatrix;

    #[test]
    fn the_bias_counts_on_neither_side_and_the_worst_token_is_the_layers() {
        let wave = |len: usize| Values::F32((0..len).map(|i| (i as f32 * 0.7).sin()).collect());
        let (m, n, k) = (19, 3, 5);
        let layer = Layer {
            x: HostMatrix { rows: m, cols: k, values: wave(19 * 5) },
            w: HostMatrix { rows: n, cols: k, values: wave(3 * 5) },
            bias: Some(vec![100.0, -50.0, 0.25]),
            calib_absmax: None,
            sentence_id: None,
        };
        let reference = Reference::of(&layer);
        assert_eq!(reference.rows(), (0..19).collect::<Vec<_>>());
        let exact = oracle::reference(&layer.x.values.widen(), &layer.w.values.widen(), None, 5);
        assert_eq!(reference.distance_of_products(&exact).metrics.relative_error, 0.0);
        // With the bias, and token 17 off by a half.
        let y = exact.iter().enumerate().map(|(i, y)| {
            let off = if i / 3 == 17 { 0.5 } else { 0.0 };
            (y + f64::from([100.0f32, -50.0, 0.25][i % 3]) + off) as f32
        });
        let distance = reference.distance(&Values::F32(y.collect()));
        assert_eq!((distance.metrics.worst_token, distance.measured), (Some(17), 19));
        let norm = exact.iter().map(|y| y * y).sum::<f64>().sqrt();
        let want = (3.0 * 0.25f64).sqrt() / norm;
        assert!((distance.metrics.relative_error / want - 1.0).abs() < 1e-4, "{distance}, want {want}");
    }
}
