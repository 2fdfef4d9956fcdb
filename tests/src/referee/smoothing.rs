//! Trials of the kernels that smooth, and of the maxima of columns that their factors are made of.

use super::{Input, Trial};
use crate::data::{self, Value};
use contract::args;

impl Trial<'_> {
    pub(super) fn column_absmax<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        // What batches before have left: larger than this batch has in some columns, nothing in others.
        let so_far: Vec<f32> = (0..cols).map(|col| [0.0, 0.25, 1e30][col % 3]).collect();
        let absmax = self.machine.vector(&so_far);
        self.launch(input.place, &args::ColumnAbsmaxArgs { x: self.matrix(input), absmax })?;
        self.compare("absmax", absmax, &oracle::column_absmax(&so_far, &input.wide, rows))
    }

    pub(super) fn quantize_smooth_token<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let factors = data::factors(cols, 4);
        let (q, scales) = (self.codes(rows, cols), self.machine.room(4 * rows));
        let token = args::QuantizeTokenArgs { x: self.matrix(input), q, scales };
        let args = args::QuantizeSmoothTokenArgs { token, factors: self.machine.vector(&factors) };
        self.launch(input.place, &args)?;
        let (codes, want) = oracle::quantize_smooth_token(&input.wide, &factors, rows);
        self.compare("scales", scales, &want)?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&codes, rows, cols, cols))
    }

    pub(super) fn quantize_smooth_static<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let factors = data::factors(cols, 4);
        // Some of it saturates, most of it does not; the counters go on where they are.
        let scale = 0.0157f32;
        let q = self.codes(rows, cols);
        let (uploaded, counts) = (self.machine.vector(&[scale]), self.machine.vector(&[5i32, 0, 7, 0]));
        let given = args::QuantizeStaticArgs { x: self.matrix(input), q, scale: uploaded, counts };
        let args = args::QuantizeSmoothStaticArgs { given, factors: self.machine.vector(&factors) };
        self.launch(input.place, &args)?;
        let want = oracle::quantize_smooth_static(&input.wide, &factors, scale).map_err(|e| e.to_string())?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&want.codes, rows, cols, cols))?;
        self.compare("counts", counts, &[want.non_finite as i32 + 5, 0, want.saturated as i32 + 7, 0])
    }
}
