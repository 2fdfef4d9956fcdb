//! All schemes on one layer.

use super::{
    candidates::candidates,
    has_memory,
    per_channel::{self, per_channel},
    recommend::{Offer, Recommendation},
    rows::{Row, Source, observe},
};
use crate::{
    Error, Gpu, Result,
    calibration::{self, Statistics},
    files::Layer,
    linear::{Calibration, Reference},
    smooth::{Alpha, AlphaSearch},
};
use serde::Serialize;

/// A layer and every scheme on it.
#[derive(Clone, Debug, Serialize)]
pub struct LayerStudy {
    /// The file.
    pub name: String,
    /// Tokens.
    pub tokens: u64,
    /// Output channels.
    pub n: u64,
    /// Input channels.
    pub k: u64,
    /// Tokens whose outputs were compared with float64.
    pub measured: usize,
    /// The schemes.
    pub rows: Vec<Row>,
    /// Schemes that could not run, and why.
    pub left_out: Vec<LeftOut>,
    /// The largest magnitude of each input channel.
    pub channels: Channels,
    /// The error over α, for each scheme that searched for it.
    pub curves: Vec<Curve>,
    /// The running scale, sample by sample.
    pub running: Vec<RunningSample>,
    /// What is recommended, once a [`Study`](super::Study) knows what for.
    pub recommendation: Recommendation,
}

/// A scheme that could not run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftOut {
    /// The scheme.
    pub scheme: String,
    /// Why.
    pub why: String,
}

/// The largest |x| of each input channel over the layer's tokens, f32 `[K]` each.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Channels {
    /// Of x.
    pub before: Vec<f32>,
    /// Of x over the factors of each scheme that smooths.
    pub after: Vec<Smoothed>,
}

/// The largest |x / s| of each input channel under a scheme's factors s.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Smoothed {
    /// The scheme.
    pub scheme: String,
    /// The largest magnitudes, f32 `[K]`.
    pub absmax: Vec<f32>,
}

/// A search for α.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The scheme.
    pub scheme: String,
    /// The error without smoothing, on the sentences that choose.
    pub plain: f64,
    /// (α, error on the sentences that choose).
    pub points: Vec<(f64, f64)>,
    /// What was chosen; none for no smoothing.
    pub chosen: Option<f64>,
    /// The error of what was chosen on the sentences that judge, and that of no smoothing there.
    pub judged: [f64; 2],
}

impl Curve {
    fn of(scheme: &str, search: &AlphaSearch) -> Curve {
        let points = search.curve.iter().filter_map(|c| c.alpha.number().map(|alpha| (alpha, c.error))).collect();
        let plain = search.curve.iter().find(|c| c.alpha == Alpha::Off).map_or(f64::NAN, |c| c.error);
        let judged = [search.judged_error(), search.judged.plain];
        Curve { scheme: scheme.to_owned(), plain, points, chosen: search.chosen.number(), judged }
    }
}

/// A batch under a running scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RunningSample {
    /// The scale that it was quantized with.
    pub running: f32,
    /// The scale that its own largest |x| would have given.
    pub own: f32,
}

/// Runs every scheme on a layer. `tell` hears of each scheme before it runs: its name, number and how many there are.
///
/// # Errors
/// [`Error::Input`] where there is no token to measure; those of [`linear`](crate::linear::linear()), but that a
/// scheme that lacks something it needs of the layer is left out.
pub fn study_layer(
    gpu: &Gpu,
    (name, layer): (&str, &Layer),
    mut tell: impl FnMut(&str, usize, usize),
) -> Result<LayerStudy> {
    if layer.x.rows == 0 {
        return Err(Error::input(name.as_ref(), Some("x"), "has no tokens; a study needs at least one"));
    }
    let reference = Reference::of(layer);
    let calibration = calibration(layer);
    let all = candidates();
    let (mut rows, mut left_out, mut running, mut curves) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let before = channel_absmax(&layer.x.values.widen(), layer.x.cols as usize);
    let mut channels = Channels { before, after: Vec::new() };
    for (index, candidate) in all.iter().enumerate() {
        tell(&candidate.name, index, all.len());
        let observed = match observe(gpu, (layer, calibration.as_ref()), candidate, &reference) {
            // The layer lacks what this scheme needs, and others do not.
            Err(error @ Error::Argument { .. }) => {
                left_out.push(LeftOut { scheme: candidate.name.clone(), why: error.to_string() });
                continue;
            }
            other => other?,
        };
        if let Some(search) = &observed.search {
            curves.push(Curve::of(&candidate.name, search));
        }
        if let Some(factors) = observed.factors {
            let after = channels.before.iter().zip(factors).map(|(absmax, factor)| absmax / factor).collect();
            channels.after.push(Smoothed { scheme: candidate.name.clone(), absmax: after });
        }
        if has_memory(candidate.scheme) {
            running = samples(layer, &observed.scales);
        }
        rows.push(observed.row);
    }
    let (distance, lost_share) = per_channel(layer, &reference);
    rows.push(Row { lost_share, ..Row::of(per_channel::NAME, distance, Source::Float) });
    Ok(LayerStudy {
        name: name.to_owned(),
        tokens: layer.x.rows,
        n: layer.w.rows,
        k: layer.w.cols,
        measured: reference.rows().len(),
        rows,
        left_out,
        channels,
        curves,
        running,
        recommendation: Recommendation::default(),
    })
}

/// What the file knows, and the spread over tokens, which no file of a layer tells: that of its own.
fn calibration(layer: &Layer) -> Option<Calibration> {
    let known = Calibration::from_channel_absmax(layer.calib_absmax.clone()?);
    let mut statistics = Statistics::new(layer.x.cols as usize);
    statistics.observe(&layer.x.values.widen());
    Some(Calibration { spread: Some(statistics.spread(known.absmax())), ..known })
}

impl LayerStudy {
    /// What the kernels offer, for the rules to choose from.
    pub fn offers(&self) -> Vec<Offer> {
        let of = |row: &Row| {
            row.cost.as_ref().map(|cost| Offer {
                scheme: row.scheme.clone(),
                relative_error: row.relative_error,
                worst_error: row.relative_error,
                products: self.n * self.k,
                held_bytes: cost.held_bytes(),
                read_bytes: cost.weight_bytes_read,
                operations: cost.operations_a_token(),
                launches: cost.launches,
                x_reads: cost.x_reads,
                is_batch_dependent: cost.is_batch_dependent,
            })
        };
        self.rows.iter().filter_map(of).collect()
    }
}

/// Each sentence's scales.
fn samples(layer: &Layer, scales: &[f32]) -> Vec<RunningSample> {
    let (x, k) = (layer.x.values.widen(), layer.x.cols as usize);
    let own = |tokens: std::ops::Range<usize>| {
        oracle::scale_from_absmax(oracle::tensor_absmax(&x[tokens.start * k..tokens.end * k]))
    };
    let sentences = calibration::samples(layer.sentence_id.as_deref(), layer.x.rows as usize);
    scales
        .iter()
        .zip(sentences)
        .map(|(running, tokens)| RunningSample { running: *running, own: own(tokens) })
        .collect()
}

/// The largest |x| of each column; NaN where there is one.
fn channel_absmax(x: &[f32], k: usize) -> Vec<f32> {
    let column = |col: usize| x.iter().skip(col).step_by(k).copied().collect::<Vec<f32>>();
    (0..k).map(|col| oracle::tensor_absmax(&column(col))).collect()
}
