//! What calibrated schemes must know of every linear's input.

use crate::{encoder, linears::Observed, model::Model, text::Batch};
use anyhow::Result;
use outerscale::linear::Calibration;

/// Runs the batch in float32 and keeps what each linear's input was like, by [`Unit::index`](crate::units::Unit::index).
///
/// # Errors
/// Those of the encoder.
pub fn calibrate(model: &Model, batch: &Batch) -> Result<Vec<Calibration>> {
    let mut absmax: Vec<Vec<f32>> = model.linears.iter().map(|linear| vec![0.0; linear.w.ncols()]).collect();
    let observe = |unit: crate::units::Unit, x: ndarray::ArrayView2<'_, f32>| {
        for row in x.rows() {
            for (largest, value) in absmax[unit.index()].iter_mut().zip(row) {
                *largest = largest.max(value.abs());
            }
        }
    };
    encoder::embed(model, batch, &mut Observed { model, observe })?;
    Ok(absmax.into_iter().map(Calibration::from_channel_absmax).collect())
}
