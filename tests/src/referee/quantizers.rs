//! Trials of the quantizers of whole rows: their own scales, or given ones.

use super::{Input, Trial};
use crate::data::Value;
use contract::args;

impl Trial<'_> {
    pub(super) fn quantize_token<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let (q, scales) = (self.codes(rows, cols), self.machine.room(4 * rows));
        self.launch(input.place, &args::QuantizeTokenArgs { x: self.matrix(input), q, scales })?;
        let (codes, want) = oracle::quantize_token(&input.wide, rows, cols);
        self.compare("scales", scales, &want)?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&codes, rows, cols, cols))
    }

    pub(super) fn quantize_asym<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let (q, scales, zero_points) =
            (self.codes(rows, cols), self.machine.room(4 * rows), self.machine.room(4 * rows));
        let x = self.matrix(input);
        self.launch(input.place, &args::QuantizeAsymArgs { x, q, scales, zero_points })?;
        let want = oracle::quantize_asym(&input.wide, rows, cols);
        self.compare("scales", scales, &want.scales)?;
        self.compare("zero points", zero_points, &want.zero_points)?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&want.codes, rows, cols, cols))
    }

    pub(super) fn quantize_tensor<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        // More partial maxima than threads, as a large tensor has.
        let partials: Vec<f32> =
            oracle::row_absmax(&input.wide, rows, cols).into_iter().chain([0.0; 300]).rev().collect();
        let (q, scale) = (self.codes(rows, cols), self.machine.room(4));
        let (partial_count, partials) = (partials.len() as u64, self.machine.vector(&partials));
        let x = self.matrix(input);
        self.launch(input.place, &args::QuantizeTensorArgs { x, q, partials, partial_count, scale })?;
        let (codes, want) = oracle::quantize_tensor(&input.wide);
        self.compare("scale", scale, &[want])?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&codes, rows, cols, cols))
    }

    pub(super) fn quantize_static<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        // A third of the scale that the data would give: two thirds of it saturate.
        let own = oracle::quantize_tensor(&input.wide).1;
        let usable = own.is_finite() && own / 3.0 >= 2f32.powi(-100) && own <= 2f32.powi(100);
        for scale in [if usable { own / 3.0 } else { 0.031 }, 0.0157] {
            let q = self.codes(rows, cols);
            let (uploaded, counts) = (self.machine.vector(&[scale]), self.machine.vector(&[5i32, 0, 7, 0]));
            let x = self.matrix(input);
            self.launch(input.place, &args::QuantizeStaticArgs { x, q, scale: uploaded, counts })?;
            let want = oracle::quantize_static(&input.wide, scale).map_err(|e| e.to_string())?;
            self.compare("codes", q.ptr, &oracle::pack_rows(&want.codes, rows, cols, cols))?;
            self.compare("counts", counts, &[want.non_finite as i32 + 5, 0, want.saturated as i32 + 7, 0])?;
        }
        Ok(())
    }
}
