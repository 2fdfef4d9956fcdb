//! What data can do wrong.

use std::fmt;

/// Input that the numeric contract refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Error {
    /// K is over [`crate::MAX_K`]: an int32 accumulator could overflow.
    KTooLarge {
        /// The K that was asked for.
        k: usize,
    },
    /// A sum left int32. With codes in [-127, 127] and a legal K it cannot; a code of -128 can do it.
    AccumulatorOverflow {
        /// Row of the output.
        row: usize,
        /// Column of the output.
        col: usize,
        /// The exact sum.
        sum: i64,
    },
    /// A given scale outside [2⁻¹⁰⁰, 2¹⁰⁰], or NaN.
    ScaleOutOfRange {
        /// The scale that was given.
        scale: f32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::KTooLarge { k } => {
                write!(f, "K = {k} is over {}: an int32 accumulator could overflow; split K", crate::MAX_K)
            }
            Error::AccumulatorOverflow { row, col, sum } => {
                write!(f, "the sum at ({row}, {col}) is {sum}, which int32 cannot hold; codes must not be -128")
            }
            Error::ScaleOutOfRange { scale } => {
                write!(f, "scale {scale:e} is outside [2^-100, 2^100]; give one inside")
            }
        }
    }
}

impl std::error::Error for Error {}
