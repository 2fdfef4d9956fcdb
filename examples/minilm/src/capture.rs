//! The inputs of linears as they were in float32, and the files that hold them.
//!
//! A *capture* has, for each linear, its input under the linear's name, and whose tokens they are; a *layer* is one linear
//! with its input as `outerscale linear` reads it. Both are safetensors.

use crate::{
    encoder,
    linears::{Observed, Told},
    model::{Linear, Model},
    text::Batch,
    units::Unit,
};
use anyhow::Result;
use ndarray::{Array2, ArrayView2};
use outerscale::{
    calibration::Statistics,
    files::{OutputFile, Tensor},
};
use safetensors::Dtype;

/// Inputs of linears.
pub struct Captured {
    /// Which linears, in the model's order.
    pub units: Vec<Unit>,
    /// The input [tokens, K] of each.
    pub inputs: Vec<Array2<f32>>,
    /// The sentence of each token, from 0, `[tokens]`.
    pub sentence_id: Vec<i32>,
}

impl Captured {
    /// Runs the batch in float32 and keeps the inputs of `units`; `tell` hears of each linear before it runs.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn of(model: &Model, batch: &Batch, mut units: Vec<Unit>, tell: impl FnMut(Unit)) -> Result<Captured> {
        units.sort_by_key(|unit| unit.index());
        units.dedup();
        let mut inputs = Vec::with_capacity(units.len());
        let observe = |unit: Unit, x: ArrayView2<'_, f32>| {
            if units.contains(&unit) {
                inputs.push(x.to_owned());
            }
        };
        encoder::embed(model, batch, &mut Told { linears: Observed { model, observe }, tell })?;
        Ok(Captured { units, inputs, sentence_id: batch.sentence_id() })
    }

    /// Writes the capture: `<linear>` f32 [tokens, K] of each, and `sentence_id` i32 `[tokens]`.
    ///
    /// # Errors
    /// Those of [`OutputFile::finish`].
    pub fn write(&self, file: OutputFile) -> Result<()> {
        let inputs = self.units.iter().zip(&self.inputs);
        let mut tensors: Vec<Tensor> = inputs.map(|(unit, x)| floats(&unit.to_string(), x.shape(), x.iter())).collect();
        tensors.push(self.sentences());
        Ok(file.finish(&tensors)?)
    }

    /// Writes one linear, number `index` of the captured ones, as a layer: `x` [tokens, K], `w` [N, K], `bias` `[N]`,
    /// `calib_absmax` `[K]`, `sentence_id` `[tokens]`.
    ///
    /// # Errors
    /// Those of [`OutputFile::finish`].
    pub fn write_layer(&self, index: usize, model: &Model, known: &Statistics, file: OutputFile) -> Result<()> {
        let Linear { w, bias } = &model.linears[self.units[index].index()];
        let x = &self.inputs[index];
        let absmax = &known.channel_absmax;
        Ok(file.finish(&[
            floats("x", x.shape(), x.iter()),
            floats("w", w.shape(), w.iter()),
            floats("bias", bias.shape(), bias.iter()),
            floats("calib_absmax", &[absmax.len()], absmax.iter()),
            self.sentences(),
        ])?)
    }

    fn sentences(&self) -> Tensor {
        Tensor {
            name: "sentence_id".to_owned(),
            dtype: Dtype::I32,
            shape: vec![self.sentence_id.len()],
            data: self.sentence_id.iter().flat_map(|id| id.to_le_bytes()).collect(),
        }
    }
}

/// A tensor of f32.
pub fn floats<'a>(name: &str, shape: &[usize], values: impl Iterator<Item = &'a f32>) -> Tensor {
    let data = values.flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name: name.to_owned(), dtype: Dtype::F32, shape: shape.to_vec(), data }
}
