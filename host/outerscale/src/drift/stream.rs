//! The samples in order, and what float64 makes of them.

use super::{Plan, SPAN};
use crate::{Error, Result, calibration::samples, files::Layer, host::HostMatrix, linear::products};
use std::ops::Range;

/// The samples after those that calibrate.
pub(super) struct Stream {
    /// The tokens of each.
    pub(super) samples: Vec<Range<usize>>,
    k: usize,
    n: usize,
    /// x of all of them, f32 [tokens, K].
    x: Vec<f32>,
    /// x · wᵀ in float64, f64 [tokens, N].
    y: Vec<f64>,
}

impl Stream {
    /// Splits a layer's sentences into those that calibrate and the stream, whose products with w it makes in float64.
    ///
    /// # Errors
    /// `sentence_id` where there is none or too few; `from` where nothing of the stream would follow it.
    pub(super) fn of(layer: &Layer, w: &HostMatrix, plan: &Plan) -> Result<(Vec<Vec<f32>>, Stream)> {
        let refuse = |argument, rule: String| Err(Error::argument("drift", argument, rule));
        let Some(ids) = &layer.sentence_id else {
            return refuse("sentence_id", "is missing: a sentence is a sample; capture the input with it".to_owned());
        };
        let (k, n) = (layer.x.cols as usize, w.rows as usize);
        let mut all = samples(Some(ids), layer.x.rows as usize);
        if all.len() <= plan.calibration {
            let rule = format!("tells {} sentences, of which {} calibrate: none is left", all.len(), plan.calibration);
            return refuse("sentence_id", rule);
        }
        let mut samples = all.split_off(plan.calibration);
        let start = samples[0].start;
        samples.iter_mut().for_each(|tokens| *tokens = tokens.start - start..tokens.end - start);
        if plan.from + SPAN > samples.len() {
            let rule =
                format!("must leave {SPAN} of the {} samples after calibration, is {}", samples.len(), plan.from);
            return refuse("from-sample", rule);
        }
        let mut x = layer.x.values.widen();
        let stream = x.split_off(start * k);
        let calibrating = all.into_iter().map(|tokens| x[tokens.start * k..tokens.end * k].to_vec()).collect();
        let w = w.values.widen();
        let y = products(&stream, &w, k);
        Ok((calibrating, Stream { samples, k, n, x: stream, y }))
    }

    /// x of a sample under a gain, f32 [tokens, K].
    pub(super) fn x(&self, sample: usize, gain: f32) -> Vec<f32> {
        let tokens = &self.samples[sample];
        self.x[tokens.start * self.k..tokens.end * self.k].iter().map(|x| x * gain).collect()
    }

    /// ‖y_q − gain · y‖ / ‖gain · y‖. A power of two as gain rounds nothing in x; any other rounds each x once, which
    /// is a millionth of what codes round.
    pub(super) fn error(&self, sample: usize, gain: f32, y_q: &[f32]) -> f64 {
        let tokens = &self.samples[sample];
        let y = self.y[tokens.start * self.n..tokens.end * self.n].iter().map(|y| y * f64::from(gain));
        let (mut error, mut norm) = (0.0, 0.0);
        for (y_q, y) in y_q.iter().zip(y) {
            error += (f64::from(*y_q) - y).powi(2);
            norm += y * y;
        }
        if error == 0.0 { 0.0 } else { (error / norm).sqrt() }
    }
}
