//! What schemes must know of every linear's input before they run.

use crate::{capture::Captured, model::Model, text::Batch, units::Unit};
use anyhow::{Context, Result};
use outerscale::{
    calibration::{Observer, Statistics},
    linear::{Calibration, Scheme},
};

/// What a text that was run in float32 taught of every linear's input, by [`Unit::index`].
pub struct Learnt {
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
        Ok(Learnt { statistics: statistics.collect::<Result<_>>()? })
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
    /// What a linear must know for the scheme.
    pub fn calibration(&self, unit: Unit) -> Option<Calibration> {
        self.learnt.map(|learnt| learnt.statistics(unit).calibration(self.observer))
    }

    /// Whether a scheme can make use of calibration: a running scale can begin with its first batch, but where
    /// calibration is at hand, it begins with that.
    pub fn wants_calibration(scheme: Scheme) -> bool {
        scheme.is_calibrated() || matches!(scheme, Scheme::Running(_))
    }
}
