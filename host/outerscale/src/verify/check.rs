//! One kernel under verification: its cases, and the first difference.

use super::data::Random;
use crate::{Dtype, Element, Gpu, ops::Choice, registry::Kernel};

/// Blocks of the launches that are limited.
const FEW_BLOCKS: u32 = 2;

/// A kernel under verification.
pub struct Check<'a> {
    /// Where it runs.
    pub(super) gpu: &'a Gpu,
    /// Its element type.
    pub(super) dtype: Dtype,
    variants: Vec<&'static str>,
    entry: &'a str,
    seed: u64,
    cases: u32,
    difference: Option<String>,
}

impl<'a> Check<'a> {
    pub(super) fn new(gpu: &'a Gpu, kernel: &'a Kernel, seed: u64) -> Self {
        let variants = kernel.variants.iter().map(|variant| variant.name).collect();
        Check { gpu, dtype: kernel.dtype, variants, entry: &kernel.entry, seed, cases: 0, difference: None }
    }

    /// The variants that launch the kernel in turns; in every other case in so few blocks that they must walk on,
    /// which a grid of its own makes only for problems that take too long to simulate.
    pub(super) fn choice(&self) -> Choice<'static> {
        let variant = self.variants[(self.cases / 2) as usize % self.variants.len()];
        match self.cases % 2 {
            0 => Choice::Limited { variant, blocks: FEW_BLOCKS },
            _ => Choice::Named(variant),
        }
    }

    /// The data of the next case: it depends on the seed, the kernel and the case's number alone, so that
    /// `--only` sees what a full run sees.
    pub(super) fn next_case(&mut self) -> Random {
        self.cases += 1;
        let name = self.entry.bytes().fold(0u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Random::new(self.seed ^ name ^ u64::from(self.cases) << 32)
    }

    /// Holds a matrix of results [_, cols] against the oracle's; keeps the first difference.
    pub(super) fn same<T: Element>(&mut self, what: Results<'_>, got: &[T], want: &[T]) {
        if self.difference.is_some() {
            return;
        }
        if let Some(difference) = first_difference(what.name, what.cols, got, want) {
            let Check { seed, cases, .. } = self;
            self.difference = Some(format!("{difference} ({}; case {cases}, seed {seed})", what.case));
        }
    }

    /// Whether a difference was found: the rest of the cases need not run.
    pub(super) fn found(&self) -> bool {
        self.difference.is_some()
    }

    pub(super) fn cases(&self) -> u32 {
        self.cases
    }

    pub(super) fn take_difference(&mut self) -> Option<String> {
        self.difference.take()
    }
}

/// What is compared.
#[derive(Clone, Copy)]
pub(super) struct Results<'a> {
    /// Their name.
    pub(super) name: &'a str,
    /// Columns of the matrix, for the position in messages.
    pub(super) cols: usize,
    /// The case, in words.
    pub(super) case: &'a str,
}

/// Where two matrices first differ in bits, and in how many elements.
fn first_difference<T: Element>(name: &str, cols: usize, got: &[T], want: &[T]) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{name} has {} elements, the oracle {}", got.len(), want.len()));
    }
    let differs = |(got, want): &(&T, &T)| got.bits() != want.bits();
    let index = got.iter().zip(want).position(|pair| differs(&pair))?;
    let count = got.iter().zip(want).filter(differs).count();
    let (row, col) = (index / cols.max(1), index % cols.max(1));
    let (total, digits) = (got.len(), 2 * size_of::<T>());
    let (got, want) = (got[index], want[index]);
    Some(format!(
        "{name} differs at [{row}, {col}]: got {got:?} (0x{:0digits$x}), want {want:?} (0x{:0digits$x}); {count} of {} elements differ",
        got.bits(),
        want.bits(),
        total
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_place_and_bits() {
        assert_eq!(first_difference("q", 2, &[1i8, 2, 3, 4], &[1, 2, 3, 4]), None);
        let told = first_difference("q", 2, &[1i8, 2, 3, -128], &[1, 2, 3, -127]).unwrap();
        assert_eq!(told, "q differs at [1, 1]: got -128 (0x80), want -127 (0x81); 1 of 4 elements differ");
    }

    #[test]
    fn nan_equals_itself_and_zero_has_a_sign() {
        let nan = f32::from_bits(0x7fff_ffff);
        assert_eq!(first_difference("y", 1, &[nan], &[nan]), None);
        assert!(first_difference("y", 1, &[nan], &[f32::from_bits(0x7fc0_0000)]).is_some());
        assert!(first_difference("y", 1, &[0.0f32], &[-0.0]).is_some());
        assert!(first_difference("y", 1, &[0.0f32], &[]).unwrap().contains("has 1 elements"));
    }
}
