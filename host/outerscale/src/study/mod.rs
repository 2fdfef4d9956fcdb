//! Which scheme, for this layer, at what loss, at what cost?
//!
//! Every scheme runs on every layer by the kernels, and what they made is compared with float64 ([`rows`]); what the
//! scheme needs beyond its codes is counted by formulas ([`cost`]); stated rules choose for a workload ([`recommend`]).
//! [`page`] shows it all. Nothing is simulated in floating point but one row that no kernel can have
//! ([`per_channel`]).

pub mod candidates;
pub mod cost;
mod layer;
pub mod page;
pub mod per_channel;
pub mod recommend;
pub mod rows;

pub use layer::{Channels, Curve, LayerStudy, LeftOut, RunningSample, Smoothed, study_layer};

use crate::linear::Scheme;
use recommend::{Recommendation, Workload};
use serde::Serialize;

/// The version of `report.json`: another number where a name or a meaning changed.
pub const SCHEMA: &str = "outerscale-study/1";

/// A study of several layers.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The driver and the device.
    pub place: serde_json::Value,
    /// What the recommendations are for.
    pub workload: Workload,
    /// The layers.
    pub layers: Vec<LayerStudy>,
    /// Each scheme over all layers.
    pub overall: Vec<Overall>,
    /// One scheme for all layers.
    pub recommendation: Recommendation,
}

/// A scheme over all layers that it ran on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overall {
    /// The scheme.
    pub scheme: String,
    /// On how many layers it ran.
    pub layers: usize,
    /// The geometric mean of its relative errors.
    pub geometric_mean: f64,
    /// The largest of them.
    pub worst: f64,
    /// On which layer.
    pub worst_layer: String,
}

impl Study {
    /// Sums up what was found of the layers, and recommends for `workload`.
    pub fn new(mut layers: Vec<LayerStudy>, workload: Workload, place: serde_json::Value) -> Study {
        let overall = overall(&layers);
        let offers: Vec<_> = layers.iter().map(LayerStudy::offers).collect();
        for (layer, offers) in layers.iter_mut().zip(&offers) {
            layer.recommendation = recommend::recommend(offers, workload);
        }
        let recommendation = recommend::recommend(&recommend::over_all(&offers), workload);
        Study { schema: SCHEMA, place, workload, layers, overall, recommendation }
    }

    /// The report for programs: every number that the page shows.
    ///
    /// # Panics
    /// Never: every key is a string, and a number that is not finite becomes null.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a study is plain data")
    }
}

/// Each scheme over the layers, in the order in which the first layer has them.
fn overall(layers: &[LayerStudy]) -> Vec<Overall> {
    let mut names: Vec<&str> = Vec::new();
    for row in layers.iter().flat_map(|layer| &layer.rows) {
        if !names.contains(&&*row.scheme) {
            names.push(&row.scheme);
        }
    }
    let of = |name: &str| {
        let found = layers.iter().flat_map(|layer| layer.rows.iter().map(move |row| (layer, row)));
        let errors: Vec<(f64, &str)> =
            found.filter(|(_, row)| row.scheme == name).map(|(l, row)| (row.relative_error, &*l.name)).collect();
        let logarithms: f64 = errors.iter().map(|(error, _)| error.ln()).sum();
        let worst = errors.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, ""));
        Overall {
            scheme: name.to_owned(),
            layers: errors.len(),
            geometric_mean: (logarithms / errors.len() as f64).exp(),
            worst: worst.0,
            worst_layer: worst.1.to_owned(),
        }
    };
    names.into_iter().map(of).collect()
}

/// Whether a scheme carries something from batch to batch, so that a layer's sentences must go through it in order.
pub(crate) fn has_memory(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::Running(_))
}
