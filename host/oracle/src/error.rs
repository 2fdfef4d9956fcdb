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
    /// A smoothing exponent outside [0, 1], or NaN.
    AlphaOutOfRange {
        /// The exponent that was given.
        alpha: f64,
    },
    /// An input channel whose activations or weights have a NaN or an infinity, or are too large: no factor smooths it.
    NoFactor {
        /// The channel.
        channel: usize,
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
            Error::AlphaOutOfRange { alpha } => write!(f, "alpha {alpha} is outside [0, 1]; give one inside"),
            Error::NoFactor { channel } => {
                write!(
                    f,
                    "channel {channel} has a NaN, an infinity or too large numbers, which no factor smooths; leave it out"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
