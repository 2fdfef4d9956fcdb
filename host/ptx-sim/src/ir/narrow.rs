//! Conversions to and from the element types of tensor cores.

use super::op::Reg;
use super::types::File;
use super::visit::{Role, Visitor};

/// A type of few bits that f32 or pairs of f16 are narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Small {
    E4M3,
    E5M2,
    F16,
    BF16,
    TF32,
}

/// How the last place is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Last {
    /// `.rn`
    NearestEven,
    /// `.rna`
    NearestAway,
    /// `.rz`
    Zero,
}

/// `cvt{.rn, .rna, .rz}{.relu}{.satfinite}` to a small type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Narrowing {
    pub(crate) to: Small,
    pub(crate) last: Last,
    pub(crate) relu: bool,
    pub(crate) finite: bool,
}

/// A conversion to or from small types.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Narrow {
    /// One f32.
    One { how: Narrowing, d: Reg, a: Reg },
    /// Two f32; `a` goes into the upper half.
    Two { how: Narrowing, d: Reg, a: Reg, b: Reg },
    /// The two f16 of a pair, each to eight bits.
    Halves { how: Narrowing, d: Reg, a: Reg },
    /// Two values of eight bits, each to f16.
    Widen { from: Small, relu: bool, d: Reg, a: Reg },
}

impl Narrow {
    /// Calls the visitor for every register: those that are read first, then those that are written.
    pub(super) fn visit<F: FnMut(&mut Reg, File, Role)>(&mut self, v: &mut Visitor<'_, F>) {
        match self {
            Self::One { d, a, .. } | Self::Halves { d, a, .. } | Self::Widen { d, a, .. } => {
                v.read(File::W32, [a]);
                v.write(File::W32, d);
            }
            Self::Two { d, a, b, .. } => {
                v.read(File::W32, [a, b]);
                v.write(File::W32, d);
            }
        }
    }
}
