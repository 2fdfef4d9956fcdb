//! Integer operations on 32-bit registers alone, each a plain function of up to three words.

use super::op::Reg;

/// One operation; `b` and `c` are [`Reg::NONE`] where it takes fewer sources.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordOp {
    pub(crate) what: Words,
    pub(crate) d: Reg,
    pub(crate) a: Reg,
    pub(crate) b: Reg,
    pub(crate) c: Reg,
}

/// What a [`WordOp`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Words {
    /// The position of the c-th set bit of a from bit b on.
    FindNth,
    /// The low b bits of a, extended.
    Extend {
        signed: bool,
        clamp: bool,
    },
    /// b ones from bit a on.
    Mask {
        clamp: bool,
    },
    /// c + the products of two 16-bit parts of a with two bytes of b.
    Dot2 {
        a_signed: bool,
        b_signed: bool,
        high: bool,
    },
    /// Four bytes of the pair (b, a), chosen by the low bits of c.
    Pick(Pick),
    /// The low or high 32 of the 48 bits of a product of 24-bit numbers, plus c.
    Mul24 {
        signed: bool,
        high: bool,
        saturate: bool,
    },
    /// `mad.hi.sat.s32`.
    MadHighSaturating,
    /// Sums, minima and maxima of two 16-bit halves; negative ones become 0 with `relu`.
    AddPairs,
    SelectPairs {
        max: bool,
        signed: bool,
        relu: bool,
    },
    /// Two clamped numbers of so many bits, a above b; what is left above them comes from c.
    PackClamped {
        bits: u8,
        signed: bool,
    },
    /// `min.relu.s32` and `max.relu.s32`.
    SelectRelu {
        max: bool,
    },
}

/// The modes of `prmt` but the generic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pick {
    Forward4,
    Backward4,
    Replicate8,
    ClampLeft,
    ClampRight,
    Replicate16,
}

/// `mad.cc`, `madc` and `madc.cc`: d = low or high half of a * b, plus c, plus the carry flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MadCarry {
    pub(crate) wide: bool,
    pub(crate) high: bool,
    pub(crate) signed: bool,
    pub(crate) carry_in: bool,
    pub(crate) carry_out: bool,
    pub(crate) d: Reg,
    pub(crate) a: Reg,
    pub(crate) b: Reg,
    pub(crate) c: Reg,
}
