//! Trials of the kernels that only move codes.

use super::{Input, Trial};
use crate::{harness::Place, random::Random};
use contract::args;

impl Trial<'_> {
    pub(super) fn pack_rows(&self, place: Place) -> Result<(), String> {
        let mut random = Random::new(1);
        let x: Vec<i8> = (0..place.rows * place.cols).map(|_| random.bits() as i8).collect();
        let q = self.codes(place.rows, place.cols);
        let want = oracle::pack_rows(&x, place.rows, place.cols, place.cols);
        let input = Input { place, x, wide: Vec::new() };
        self.launch(place, &args::PackRowsArgs { x: self.matrix(&input), q })?;
        self.compare("codes", q.ptr, &want)
    }

    pub(super) fn pack_weights(&self, place: Place) -> Result<(), String> {
        let mut random = Random::new(1);
        let x: Vec<i8> = (0..place.rows * place.cols).map(|_| random.bits() as i8).collect();
        let want = oracle::pack_weights(&x, place.rows, place.cols, place.cols);
        let ptr = self.machine.room(want.len());
        let q = args::Packed { ptr, rows: place.rows as u64, cols: place.cols as u64 };
        let input = Input { place, x, wide: Vec::new() };
        self.launch(place, &args::PackWeightsArgs { x: self.matrix(&input), q })?;
        self.compare("codes", ptr, &want)
    }
}
