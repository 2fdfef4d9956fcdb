//! A scheme on a layer: what the kernels made of it, and how that differs from float64.

use super::{
    candidates::Candidate,
    cost::{Cost, Sizes, cost},
    has_memory,
};
use crate::{
    Dtype, Gpu, Result,
    files::Layer,
    host::Values,
    linear::{Calibration, Distance, Hybrid, LinearResult, Reference, Scheme, linear_by_sentence, linear_calibrated},
    smooth::{Alpha, AlphaSearch},
};
use serde::Serialize;

/// Where a row's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The kernels' results.
    Kernels,
    /// A computation in floating point: no kernel can do it.
    Float,
}

/// A scheme on a layer.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The scheme, as [`Candidate`] names it.
    pub scheme: String,
    /// What the scheme chose for this layer, where it chooses: α, or which of two ways.
    pub chose: Option<String>,
    /// Where the numbers come from.
    pub source: Source,
    /// ‖y − y64‖ / ‖y64‖, without bias.
    pub relative_error: f64,
    /// −20 · log₁₀ of it, dB.
    pub sqnr_db: f64,
    /// The token with the largest error of its own.
    pub worst_token: Option<usize>,
    /// That error.
    pub worst_token_error: f64,
    /// The share of the non-zero inputs that became code 0 and so do not count; outlier columns that are multiplied
    /// in floating point are no such loss.
    pub lost_share: f64,
    /// How many inputs have code -128, -127 .. 127; none in a row of float.
    pub histogram: Vec<u64>,
    /// Columns that were multiplied in floating point, ascending; none where the scheme has no such.
    pub outlier_columns: Option<Vec<u32>>,
    /// What the scheme costs; none in a row of float.
    pub cost: Option<Cost>,
}

/// A row, and what its scheme shows beside.
pub(super) struct Observed {
    pub(super) row: Row,
    pub(super) scales: Vec<f32>,
    /// The smoothing factors `[K]`, and the search for their α.
    pub(super) factors: Option<Vec<f32>>,
    pub(super) search: Option<AlphaSearch>,
}

/// Runs a candidate.
pub(super) fn observe(
    gpu: &Gpu,
    (layer, calibration): (&Layer, Option<&Calibration>),
    candidate: &Candidate,
    by: &Reference<'_>,
) -> Result<Observed> {
    let batches = if has_memory(candidate.scheme) {
        linear_by_sentence(gpu, layer, candidate.scheme, calibration, Dtype::F32)?
    } else {
        vec![linear_calibrated(gpu, layer, candidate.scheme, calibration, Dtype::F32)?]
    };
    let y = Values::F32(batches.iter().flat_map(|batch| batch.y.widen()).collect());
    let k = layer.x.cols as usize;
    let x = layer.x.values.widen();
    let mut codes = Codes::default();
    let mut start = 0;
    for batch in &batches {
        codes.count(&x[start..start + batch.q_x.len()], batch, k);
        start += batch.q_x.len();
    }
    let launches = batches.first().map_or(0, |batch| batch.batch_steps().count() as u64);
    // The most that a batch had, as buffers and time must be there for it.
    let outliers = batches.iter().filter_map(|batch| batch.outlier_columns.as_ref()).map(Vec::len).max().unwrap_or(0);
    let sizes = Sizes { n: layer.w.rows, k: layer.w.cols, outliers: outliers as u64 };
    let scales = batches.iter().filter_map(|batch| batch.s_x.first().copied()).collect();
    let first = batches.into_iter().next();
    // As it ran, with what it chose.
    let (scheme, chose) = match (candidate.scheme, calibration, &first) {
        (Scheme::Hybrid, Some(calibration), _) => {
            let chosen = Hybrid::choose(calibration)?;
            (chosen.scheme, Some(chosen.kind().to_owned()))
        }
        (scheme, _, Some(result)) if scheme.alpha().is_some() => {
            let alpha = result.scheme.alpha().and_then(Alpha::number);
            (result.scheme, Some(alpha.map_or("no smoothing".to_owned(), |alpha| format!("α {alpha}"))))
        }
        (scheme, ..) => (scheme, None),
    };
    let cost = cost(scheme, sizes, launches);
    let mut row = Row::of(&candidate.name, by.distance(&y), Source::Kernels);
    row.lost_share = codes.lost_share();
    row.histogram = codes.histogram;
    row.chose = chose;
    row.cost = Some(cost);
    let (factors, search) = first.map_or((None, None), |first| {
        row.outlier_columns = first.outlier_columns;
        (first.smooth, first.search)
    });
    Ok(Observed { row, scales, factors, search })
}

impl Row {
    /// A row with its errors alone.
    pub(super) fn of(scheme: &str, distance: Distance, source: Source) -> Row {
        let metrics = distance.metrics;
        Row {
            scheme: scheme.to_owned(),
            chose: None,
            source,
            relative_error: metrics.relative_error,
            sqnr_db: metrics.sqnr_db,
            worst_token: metrics.worst_token,
            worst_token_error: metrics.worst_token_error,
            lost_share: 0.0,
            histogram: Vec::new(),
            outlier_columns: None,
            cost: None,
        }
    }
}

/// What became of the inputs.
struct Codes {
    histogram: Vec<u64>,
    non_zero: u64,
    lost: u64,
}

impl Default for Codes {
    fn default() -> Self {
        Codes { histogram: vec![0; 256], non_zero: 0, lost: 0 }
    }
}

impl Codes {
    /// Counts a batch: x [tokens, K] and what was made of it.
    fn count(&mut self, x: &[f32], batch: &LinearResult, k: usize) {
        let is_outlier = |col: usize| batch.outlier_columns.iter().flatten().any(|outlier| *outlier as usize == col);
        let is_apart: Vec<bool> = (0..k).map(is_outlier).collect();
        for (i, (x, code)) in x.iter().zip(&batch.q_x).enumerate() {
            self.histogram[(i16::from(*code) + 128) as usize] += 1;
            // Under a zero point that one is the code of 0.
            let zero = batch.zp_x.as_ref().map_or(0, |points| points[i / k]);
            if *x != 0.0 {
                self.non_zero += 1;
                self.lost += u64::from(i32::from(*code) == zero && !is_apart[i % k]);
            }
        }
    }

    fn lost_share(&self) -> f64 {
        if self.non_zero == 0 { 0.0 } else { self.lost as f64 / self.non_zero as f64 }
    }
}
