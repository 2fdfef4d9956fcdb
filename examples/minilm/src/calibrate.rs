//! What calibrated schemes must know of every linear's input.

use crate::{encoder, linears::Observed, model::Model, text::Batch, units::Unit};
use anyhow::Result;
use ndarray::{ArrayView2, s};
use outerscale::{
    calibration::{Observer, Statistics},
    linear::Calibration,
};

/// Runs the batch in float32 and keeps what each linear's input was like, by [`Unit::index`]; a sentence is a sample.
///
/// # Errors
/// Those of the encoder.
pub fn statistics(model: &Model, batch: &Batch) -> Result<Vec<Statistics>> {
    let mut seen: Vec<Statistics> = model.linears.iter().map(|linear| Statistics::new(linear.w.ncols())).collect();
    let observe = |unit: Unit, x: ArrayView2<'_, f32>| {
        for sentence in &batch.sentences {
            let tokens: Vec<f32> = x.slice(s![sentence.clone(), ..]).iter().copied().collect();
            seen[unit.index()].observe(&tokens);
        }
    };
    encoder::embed(model, batch, &mut Observed { model, observe })?;
    Ok(seen)
}

/// The calibration of every linear, by [`Unit::index`], one scale being made of the largest of all.
///
/// # Errors
/// Those of the encoder.
pub fn calibrate(model: &Model, batch: &Batch) -> Result<Vec<Calibration>> {
    Ok(statistics(model, batch)?.iter().map(|seen| seen.calibration(Observer::Absmax)).collect())
}
