//! What schemes must know of every linear's input before they run.

use crate::{capture::Captured, linears::matrix, model::Model, text::Batch, units::Unit};
use anyhow::{Context, Result};
use outerscale::{
    Gpu,
    calibration::{Observer, Statistics},
    linear::{Calibration, Scheme},
    smooth::{Alpha, Search, search},
};

/// What a text that was run in float32 taught of every linear's input.
pub struct Learnt {
    captured: Captured,
    /// By [`Unit::index`].
    statistics: Vec<Statistics>,
}

impl Learnt {
    /// From the inputs of every linear over the batch, a sentence a sample.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn from(model: &Model, batch: &Batch) -> Result<Learnt> {
        let captured = Captured::of(model, batch, model.units(), |_| ())?;
        let statistics = captured.inputs.iter().map(|x| {
            let mut statistics = Statistics::new(x.ncols());
            for tokens in &batch.sentences {
                let tokens = x.slice(ndarray::s![tokens.clone(), ..]);
                statistics.observe(tokens.as_slice().context("whole rows lie in one piece")?);
            }
            Ok(statistics)
        });
        let statistics = statistics.collect::<Result<_>>()?;
        Ok(Learnt { captured, statistics })
    }

    /// The statistics of one linear's input.
    pub fn statistics(&self, unit: Unit) -> &Statistics {
        &self.statistics[unit.index()]
    }
}

/// A scheme for every linear of the model.
pub struct Plan<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// What calibration taught, where the scheme wants that.
    pub learnt: Option<&'a Learnt>,
    /// The rule for one scale for all tokens.
    pub observer: Observer,
}

impl Plan<'_> {
    /// The scheme of one linear, and what it must know for it. Where the exponent of smoothing is left to a search, this
    /// is it: on the sentences that were calibrated on, the first half of them choosing.
    ///
    /// # Errors
    /// Those of [`search`].
    pub fn of(&self, gpu: &Gpu, model: &Model, unit: Unit) -> Result<(Scheme, Option<Calibration>)> {
        let Some(learnt) = self.learnt else { return Ok((self.scheme, None)) };
        let calibration = learnt.statistics(unit).calibration(self.observer);
        if self.scheme.alpha() != Some(Alpha::Auto) {
            return Ok((self.scheme, Some(calibration)));
        }
        let (x, w) =
            (matrix(learnt.captured.inputs[unit.index()].view()), matrix(model.linears[unit.index()].w.view()));
        // Query, key and value are stacked: w is all that reads x.
        let of =
            Search { x: &x, sentence_id: &learnt.captured.sentence_id, consumers: &[&w], calibration: &calibration };
        let chosen = search(gpu, of, self.scheme)?.chosen;
        Ok((self.scheme.with_alpha(chosen), Some(calibration)))
    }

    /// Whether a scheme can make use of calibration: a running scale can begin with its first batch, but where
    /// calibration is at hand, it begins with that.
    pub fn wants_calibration(scheme: Scheme) -> bool {
        scheme.is_calibrated() || matches!(scheme, Scheme::Running(_))
    }
}
