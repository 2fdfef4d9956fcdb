//! Trials of the kernels that make a few numbers of many: maxima, sums, the scale of a running average.

use super::{Input, Trial, problem};
use crate::{data::Value, harness::Place, random::Random};
use contract::args;

/// Rows with one NaN each, and as many columns, past two windows: every element is some row's only NaN.
const ONE_NAN: Place = Place { rows: 21, cols: 21, gap: 3, offset: 1 };

impl Trial<'_> {
    pub(super) fn row_absmax<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let rows = input.place.rows;
        let absmax = self.machine.room(4 * rows);
        self.launch(input.place, &args::RowAbsmaxArgs { x: self.matrix(input), absmax })?;
        self.compare("absmax", absmax, &oracle::row_absmax(&input.wide, rows, input.place.cols))
    }

    pub(super) fn tensor_absmax<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let blocks = self.machine.how.blocks.unwrap_or_else(|| (self.variant.grid)(&problem(input.place))) as usize;
        let partials = self.machine.room(4 * blocks);
        self.launch(input.place, &args::TensorAbsmaxArgs { x: self.matrix(input), partials })?;
        let bytes = self.machine.download(partials, 4 * blocks);
        let found: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let (got, want) = (oracle::tensor_absmax(&found), oracle::tensor_absmax(&input.wide));
        if got.to_bits() == want.to_bits() {
            Ok(())
        } else {
            Err(format!("absmax differs: got {got:e}, want {want:e}"))
        }
    }

    /// Batches in order, each with the state that the one before left.
    pub(super) fn running_scales(&self) -> Result<(), String> {
        let largest = contract::limits::RUNNING_ABSMAX_MAX;
        let absmax = [
            0.0,
            f32::NAN,
            1.1,
            7.3,
            0.0,
            f32::INFINITY,
            largest.next_up(),
            0.31,
            1e-40,
            0.7,
            19.9,
            5.7,
            1.3,
            largest,
            1.0,
        ];
        for (every, momentum) in [(1, 0.9f32), (3, 0.3)] {
            let mut want = oracle::RunningState::default();
            for (index, absmax) in absmax.into_iter().enumerate() {
                let mut partials = vec![0.0; 1 + 299 * (index % 2)];
                // Past what the block's threads take in their first step, where there is more.
                let last = partials.len() - 1;
                partials[last] = oracle::canonical(absmax);
                let words = [want.average.to_bits(), want.window.to_bits(), want.samples, want.left_out];
                let (state, scale) = (self.machine.vector(&words.map(|word| word as i32)), self.machine.room(4));
                let (partial_count, maxima) = (partials.len() as u64, self.machine.vector(&partials));
                let args = args::RunningScaleArgs { partials: maxima, partial_count, state, scale, every, momentum };
                self.launch(Place::contiguous(partials.len(), 1), &args)?;
                let scales = [oracle::running_scale(&partials, &mut want, oracle::Window { every, momentum })];
                self.compare("scale", scale, &scales)?;
                let words = [want.average.to_bits(), want.window.to_bits(), want.samples, want.left_out];
                self.compare("state", state, &words.map(|word| word as i32))
                    .map_err(|e| format!("{e} [batch {index}, every {every}]"))?;
            }
        }
        Ok(())
    }

    pub(super) fn row_sums(&self, place: Place) -> Result<(), String> {
        let mut random = Random::new(2);
        let (rows, cols) = (place.rows, place.cols);
        let codes: Vec<i8> = (0..rows * cols).map(|_| random.bits() as i8).collect();
        let q = self.weights(&codes, rows, cols);
        let sums = self.machine.room(4 * rows);
        self.launch(place, &args::RowSumsArgs { q, sums })?;
        self.compare("sums", sums, &oracle::row_sums(&codes, rows, cols))
    }

    /// A NaN that one of the instructions of a window loses.
    pub(super) fn one_nan_a_row<T: Value>(&self) -> Result<(), String> {
        let of = |at: usize| if at / ONE_NAN.cols == at % ONE_NAN.cols { f32::NAN } else { 1.0 };
        let x: Vec<T> = (0..ONE_NAN.rows * ONE_NAN.cols).map(|at| T::narrow(of(at))).collect();
        let wide = x.iter().map(|v| v.widen()).collect();
        let input = Input { place: ONE_NAN, x, wide };
        for variant in self.variants {
            Trial { variant, ..*self }.row_absmax(&input).map_err(|e| format!("{e} [one NaN a row]"))?;
        }
        Ok(())
    }
}
