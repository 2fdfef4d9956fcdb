//! Trials of the kernels of LLM.int8().

use super::{Input, Trial, problem};
use crate::{data::Value, harness::Place, random::Random};
use contract::args;

/// Rows of a chunk here: more than one of each loop's batches, and chunks that the last one is shorter than.
const CHUNK_ROWS: usize = 10;

/// Bit i of word j for element 32 j + i.
fn words(bits: &[bool]) -> Vec<i32> {
    let word = |bits: &[bool]| bits.iter().enumerate().fold(0, |word, (i, bit)| word | i32::from(*bit) << i);
    bits.chunks(32).map(word).collect()
}

/// Columns with some outliers among them, the first and the last often.
fn some_outliers(cols: usize, seed: u64) -> Vec<bool> {
    let mut random = Random::new(seed);
    let share = random.pick(&[1, 3, 40]);
    (0..cols).map(|col| random.below(if col == 0 || col + 1 == cols { 2 } else { share }) == 0).collect()
}

impl Trial<'_> {
    pub(super) fn outlier_columns<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let (chunks, words_per_row) = (rows.div_ceil(CHUNK_ROWS), cols.div_ceil(32));
        for threshold in [0.0, 3.75, T::LARGEST.widen(), f32::INFINITY] {
            let masks = self.machine.room(4 * chunks * words_per_row);
            let given = if threshold == f32::INFINITY { f32::NAN } else { threshold };
            let args = args::OutlierColumnsArgs {
                x: self.matrix(input),
                masks,
                chunk_rows: CHUNK_ROWS as u64,
                threshold: given,
                reserved: 0,
            };
            self.launch(input.place, &args)?;
            let of_chunk = |x: &[f32]| words(&oracle::outlier_columns(x, x.len() / cols, cols, threshold));
            let want: Vec<i32> = input.wide.chunks(CHUNK_ROWS * cols).flat_map(of_chunk).collect();
            self.compare(&format!("masks of threshold {threshold:e}"), masks, &want)?;
        }
        Ok(())
    }

    pub(super) fn outlier_lists(&self) -> Result<(), String> {
        for (chunks, cols) in [(1, 1), (3, 32), (2, 261), (7, 1303), (1, 16_640)] {
            for seed in 0..4 {
                let of_chunk = |chunk: usize| some_outliers(cols, 10 * seed + chunk as u64);
                let masks: Vec<Vec<bool>> = (0..chunks).map(of_chunk).collect();
                let any: Vec<bool> = (0..cols).map(|col| masks.iter().any(|mask| mask[col])).collect();
                let masks: Vec<i32> = masks.iter().flat_map(|mask| words(mask)).collect();
                let list: Vec<i32> = oracle::outlier_list(&any).into_iter().map(|col| col as i32).collect();
                // No more room than the list takes: a place too far is out of bounds.
                let (mask, columns) = (self.machine.room(4 * cols.div_ceil(32)), self.machine.room(4 * list.len()));
                let count = self.machine.room(4);
                let masks = self.machine.vector(&masks);
                let args =
                    args::OutlierListArgs { masks, chunks: chunks as u64, cols: cols as u64, mask, columns, count };
                self.launch(Place::contiguous(chunks, cols), &args)?;
                self.compare("mask", mask, &words(&any))?;
                self.compare("count", count, &[list.len() as i32])?;
                self.compare("columns", columns, &list)?;
            }
        }
        Ok(())
    }

    pub(super) fn quantize_outliers<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let is_outlier = some_outliers(cols, input.wide.len() as u64);
        let mask = self.machine.vector(&words(&is_outlier));
        let (q, scales) = (self.codes(rows, cols), self.machine.room(4 * rows));
        let rows_of = args::QuantizeTokenArgs { x: self.matrix(input), q, scales };
        let args = args::QuantizeOutliersArgs { rows: rows_of, mask };
        self.machine.launch(self.entry, self.variant, &problem(input.place), &args)?;
        let (codes, want) = oracle::quantize_outliers(&input.wide, rows, cols, &is_outlier);
        self.compare("scales", scales, &want)?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&codes, rows, cols, cols))
    }
}
