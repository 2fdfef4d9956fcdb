//! The search for α, by the error of the layer's output on the kernels of the scheme in use.

use super::{Alpha, weight_absmax};
use crate::{
    Activations, Error, Float, Gpu, Layout, Output, Result,
    files::Layer,
    host::{HostMatrix, Values, with_values},
    linear::{Calibration, QuantizedLinear, Reference, Scheme, missing},
};

/// The candidates beside no smoothing: 0.30 to 1. On the 24 inputs of MiniLM the best lies in 0.5 to 0.7 for a scale a
/// token; a static one of a layer after GELU goes up to the end. The error is flat within 0.05 of the best.
pub const CANDIDATES: [f64; 15] =
    [0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 1.0];

/// By how much the best candidate must beat no smoothing: 2 % of its error. Where the curve is flat, neighbours differ by
/// as much by the chance of rounding (`data/L2_attention_output`, 0.30 to 0.60), and the least of fifteen such numbers
/// is that much too good.
pub const MARGIN: f64 = 0.02;

/// Products a candidate takes the time for in each half: tenths of a second on the simulator. Beyond, tokens are taken
/// evenly spread, but not fewer than [`FEWEST_TOKENS`].
const PRODUCTS: u64 = 1 << 26;
/// Errors of fewer tokens differ by more than the candidates do.
const FEWEST_TOKENS: u64 = 64;

/// What a search looks at: one input, and all linears that read it.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// Activations [tokens, K].
    pub x: &'a HostMatrix,
    /// The sentence of each token `[tokens]`, each in one piece.
    pub sentence_id: &'a [i32],
    /// The weights [N_i, K] of every linear that reads x.
    pub consumers: &'a [&'a HostMatrix],
    /// What is known of x beforehand, from other sentences.
    pub calibration: &'a Calibration,
}

/// A candidate and the layer's relative error with it, ‖y − reference‖ / ‖reference‖ without bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Off, or a number.
    pub alpha: Alpha,
    /// Its error on the first half of the sentences.
    pub error: f64,
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct AlphaSearch {
    /// What to take: a number, or [`Alpha::Off`].
    pub chosen: Alpha,
    /// Every candidate with its error on the half that chooses: no smoothing first, then in ascending order.
    pub curve: Vec<Candidate>,
    /// The smoothing candidate that the first half favours, whether or not it won.
    pub best: Candidate,
    /// The errors of no smoothing and of `best` on the half that judges, which may say that the choice was wrong.
    pub judged: Judged,
    /// Tokens of the half that chooses and of the one that judges.
    pub tokens: [u64; 2],
}

/// Errors on sentences that had no part in the choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Without smoothing.
    pub plain: f64,
    /// With the candidate that the first half favours.
    pub smoothed: f64,
}

impl AlphaSearch {
    /// The error of what was chosen, on the half that judges.
    pub fn judged_error(&self) -> f64 {
        if self.chosen == Alpha::Off { self.judged.plain } else { self.judged.smoothed }
    }
}

/// Chooses α for a smoothing scheme.
///
/// The first half of the sentences favours the candidate of the least error, of equal ones the smallest. It is taken if
/// it beats no smoothing there by [`MARGIN`]; else there is no smoothing. The second half has no part in that: what it
/// says of the choice is what other sentences would.
///
/// # Errors
/// `scheme` where it does not smooth; `sentence_id` where there are not two sentences; `calib_absmax`, `w` or `x` as
/// [`QuantizedLinear`] says; a CUDA error.
pub fn search(gpu: &Gpu, of: Search<'_>, scheme: Scheme) -> Result<AlphaSearch> {
    if scheme.alpha().is_none() {
        return Err(Error::argument(scheme.name(), "alpha", "the scheme does not smooth; there is nothing to search"));
    }
    let tokens = of.x.rows as usize;
    if of.sentence_id.len() != tokens {
        let rule = format!("must be one for each of {tokens} tokens, got {}", of.sentence_id.len());
        return Err(Error::argument(scheme.name(), "sentence_id", rule));
    }
    let sentences: Vec<&[i32]> = of.sentence_id.chunk_by(|a, b| a == b).collect();
    if sentences.len() < 2 {
        let rule = "auto needs the tokens of at least two sentences (sentence_id); give a number in [0, 1]";
        return Err(Error::argument(scheme.name(), "alpha", rule));
    }
    let middle = sentences[..sentences.len().div_ceil(2)].iter().map(|sentence| sentence.len()).sum();
    let calibration = Calibration { weight_absmax: Some(weight_absmax(of.consumers)?), ..of.calibration.clone() };
    let w = stacked(of.consumers);
    let halves = [(0, middle), (middle, tokens)].map(|(first, end)| half(of.x, &w, first, end));
    let trial = Trial { gpu, w: &w, scheme, calibration: &calibration };
    with_values!(&of.x.values, x => choose(&trial, x, &halves))
}

/// As [`search`], for a layer of its own.
///
/// # Errors
/// As [`search`]; `calib_absmax` where there is no calibration.
pub fn search_layer(
    gpu: &Gpu,
    layer: &Layer,
    scheme: Scheme,
    calibration: Option<&Calibration>,
) -> Result<AlphaSearch> {
    let calibration = calibration.ok_or_else(|| missing(scheme))?;
    // Without sentences, one: the rule is told once.
    let one = vec![0; layer.x.rows as usize];
    let sentence_id = layer.sentence_id.as_deref().unwrap_or(&one);
    let of = Search { x: &layer.x, sentence_id, consumers: &[&layer.w], calibration };
    search(gpu, of, scheme)
}

/// Weights one below the other: each row of w has its own scale, so that nothing changes but the number of launches.
fn stacked(consumers: &[&HostMatrix]) -> HostMatrix {
    let values: Vec<f32> = consumers.iter().flat_map(|w| w.values.widen()).collect();
    let (rows, cols) = (consumers.iter().map(|w| w.rows).sum(), consumers.first().map_or(0, |w| w.cols));
    HostMatrix { rows, cols, values: Values::F32(values) }
}

/// Tokens of one half of the sentences, as many as there is time for, evenly spread: their indices in x, and the layer.
struct Half {
    rows: Vec<usize>,
    layer: Layer,
}

fn half(x: &HostMatrix, w: &HostMatrix, first: usize, end: usize) -> Half {
    let all = end - first;
    let most = (PRODUCTS / (w.rows * w.cols).max(1)).max(FEWEST_TOKENS) as usize;
    let rows: Vec<usize> = (0..all.min(most)).map(|i| first + i * all / all.min(most)).collect();
    let (wide, k) = (x.values.widen(), x.cols as usize);
    let values = rows.iter().flat_map(|row| &wide[row * k..][..k]).copied().collect();
    let x = HostMatrix { rows: rows.len() as u64, cols: x.cols, values: Values::F32(values) };
    let layer = Layer { x, w: w.clone(), bias: None, calib_absmax: None, sentence_id: None };
    Half { rows, layer }
}

struct Trial<'a> {
    gpu: &'a Gpu,
    w: &'a HostMatrix,
    scheme: Scheme,
    calibration: &'a Calibration,
}

fn choose<T: Float>(trial: &Trial<'_>, x: &[T], halves: &[Half; 2]) -> Result<AlphaSearch> {
    let [first, second] = halves;
    let k = first.layer.x.cols as usize;
    let upload = |half: &Half| {
        let x: Vec<T> = half.rows.iter().flat_map(|row| &x[row * k..][..k]).copied().collect();
        Activations::upload(trial.gpu, &x, Layout::contiguous(half.rows.len() as u64, k as u64))
    };
    let (choosing, reference) = (upload(first)?, Reference::of(&first.layer));

    let plain = trial.ready(Alpha::Off)?;
    let mut curve = vec![Candidate { alpha: Alpha::Off, error: trial.error(&plain, &choosing, &reference)? }];
    let mut best: Option<(Candidate, QuantizedLinear)> = None;
    for alpha in CANDIDATES.map(Alpha::Fixed) {
        let ready = trial.ready(alpha)?;
        let candidate = Candidate { alpha, error: trial.error(&ready, &choosing, &reference)? };
        curve.push(candidate);
        // Strictly less: of equal errors the smaller α stays, which asks less of the weights.
        if best.as_ref().is_none_or(|(best, _)| candidate.error < best.error) {
            best = Some((candidate, ready));
        }
    }
    let (best, ready) = best.expect("there are candidates");
    let chosen = if best.error < (1.0 - MARGIN) * curve[0].error { best.alpha } else { Alpha::Off };

    // Only now: had it a say, its errors would be too good by that.
    let (judging, judge) = (upload(second)?, Reference::of(&second.layer));
    let judged =
        Judged { plain: trial.error(&plain, &judging, &judge)?, smoothed: trial.error(&ready, &judging, &judge)? };
    Ok(AlphaSearch { chosen, curve, best, judged, tokens: [choosing.rows(), judging.rows()] })
}

impl Trial<'_> {
    /// The linears with their weights smoothed by a candidate.
    fn ready(&self, alpha: Alpha) -> Result<QuantizedLinear> {
        QuantizedLinear::new(self.gpu, self.w, None, self.scheme.with_alpha(alpha), Some(self.calibration))
    }

    fn error<T: Float>(&self, ready: &QuantizedLinear, x: &Activations<T>, reference: &Reference<'_>) -> Result<f64> {
        let y: Output<f32> = ready.forward(self.gpu, x)?;
        Ok(reference.distance(&Values::F32(y.download()?)).metrics.relative_error)
    }
}
