//! Trials of the kernels that smooth, and of the maxima of columns that their factors are made of.

use super::{Input, Trial};
use crate::{
    data::{self, Value},
    harness::Place,
};
use contract::{args, grid};

impl Trial<'_> {
    pub(super) fn column_absmax<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        // What batches before have left: larger than this batch has in some columns, nothing in others.
        let so_far: Vec<f32> = (0..cols).map(|col| [0.0, 0.25, 1e30][col % 3]).collect();
        let absmax = self.machine.vector(&so_far);
        self.launch(input.place, &args::ColumnAbsmaxArgs { x: self.matrix(input), absmax })?;
        self.compare("absmax", absmax, &oracle::column_absmax(&so_far, &input.wide, rows))
    }

    /// Every column all of one number that a wrong maximum shows at once, negative ones and NaNs of a sign and a payload:
    /// in rows of every alignment and more of them than a warp has in flight, and in one that no other covers up for.
    pub(super) fn columns_of_one_number<T: Value>(&self) -> Result<(), String> {
        let sign = 1 << (8 * size_of::<T>() - 1);
        for rows in [40, 1] {
            let place = Place { rows, cols: 37, gap: 0, offset: 1 };
            for number in [T::narrow(-0.25), T::from_raw((T::LARGEST.bits() + 3) | sign)] {
                let x = vec![number; place.rows * place.cols];
                let wide = x.iter().map(|v| v.widen()).collect();
                let result = self.column_absmax(&Input { place, x, wide });
                result.map_err(|e| format!("{e} [{rows} rows of {number:?}]"))?;
            }
        }
        Ok(())
    }

    /// A row for each element that a thread holds, and for some that it reads again, that element the only one: its
    /// quotient is the row's scale, and PAIR is one that a reciprocal and another rounding get wrong.
    pub(super) fn every_quotient<T: Value>(&self) -> Result<(), String> {
        const PAIR: (f32, f32) = (13.0, 1.1);
        let threads = (self.variant.block / self.variant.block_rows) as usize;
        let held = grid::held_cols(threads as u32);
        let window = 16 / size_of::<T>();
        let steps = held as usize / (threads * window) + 1;
        let (rows, cols) = (steps * window, steps * threads * window);
        let mut x = vec![T::ZERO; rows * cols];
        for row in 0..rows {
            let (step, lane) = (row / window, 5 * row % threads);
            x[row * cols + (step * threads + lane) * window + row % window] = T::narrow(PAIR.0);
        }
        let wide = x.iter().map(|v| v.widen()).collect();
        let input = Input { place: Place::contiguous(rows, cols), x, wide };
        self.smooth_token(&input, &vec![PAIR.1; cols]).map_err(|e| format!("{e} [one element a row]"))
    }

    pub(super) fn quantize_smooth_token<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        self.smooth_token(input, &data::factors(input.place.cols, 4))
    }

    fn smooth_token<T: Value>(&self, input: &Input<T>, factors: &[f32]) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let (q, scales) = (self.codes(rows, cols), self.machine.room(4 * rows));
        let token = args::QuantizeTokenArgs { x: self.matrix(input), q, scales };
        let args = args::QuantizeSmoothTokenArgs { token, factors: self.machine.vector(factors) };
        self.launch(input.place, &args)?;
        let (codes, want) = oracle::quantize_smooth_token(&input.wide, factors, rows);
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
