//! IEEE 754 arithmetic on integers, for the roundings that the processor does not do.
//!
//! A number is a significand of up to 128 bits times a power of two. An operation works on exact significands, or
//! on ones whose lowest bit says that something was lost ("jamming"), and rounds once at its end.

use crate::ir::types::{FloatKind, Round};

/// A binary interchange format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    /// Explicit bits of the significand.
    mantissa: u32,
    /// Bits of the exponent.
    exponent: u32,
}

/// (-1)^negative * significand * 2^exponent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finite {
    pub(super) negative: bool,
    pub(super) significand: u128,
    pub(super) exponent: i32,
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Nan,
    Infinite { negative: bool },
    Finite(Finite),
}

/// What [`compute`] knows; `Div` takes two operands, `Sqrt` one, `Fma` three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Fma,
    Sqrt,
}

/// The highest bit of a significand after [`Finite::raised`]: room for one carry, and none for an overflow.
const TOP: u32 = 125;

impl Format {
    /// The format of one number of that kind.
    pub(super) fn of(kind: FloatKind) -> Self {
        let (mantissa, exponent) = match kind {
            FloatKind::F64 => (52, 11),
            FloatKind::F32 => (23, 8),
            FloatKind::F16 | FloatKind::F16x2 => (10, 5),
            FloatKind::BF16 | FloatKind::BF16x2 => (7, 8),
        };
        Self { mantissa, exponent }
    }

    fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << self.mantissa
    }

    fn sign(self, negative: bool) -> u64 {
        u64::from(negative) << (self.mantissa + self.exponent)
    }

    /// The NaN that GPUs write: all bits but the sign.
    fn nan(self) -> u64 {
        self.sign(true) - 1
    }

    fn unpack(self, bits: u64) -> Number {
        let negative = bits & self.sign(true) != 0;
        let magnitude = bits & (self.sign(true) - 1);
        if magnitude >= self.infinity() {
            return if magnitude == self.infinity() { Number::Infinite { negative } } else { Number::Nan };
        }
        let (field, fraction) = (magnitude >> self.mantissa, magnitude & ((1 << self.mantissa) - 1));
        let significand = if field == 0 { fraction } else { fraction | 1 << self.mantissa };
        // Subnormals have the exponent of the smallest normal numbers.
        let exponent = field.max(1) as i32 - self.bias() - self.mantissa as i32;
        Number::Finite(Finite { negative, significand: u128::from(significand), exponent })
    }

    /// The nearest number of the format in the direction of `round`.
    pub(super) fn pack(self, value: Finite, round: Round) -> u64 {
        let sign = self.sign(value.negative);
        if value.significand == 0 {
            return sign;
        }
        let top = value.exponent + value.significand.ilog2() as i32;
        // Below the normal range, the last place stays where the smallest normal number has it.
        let last = (top - self.mantissa as i32).max(1 - self.bias() - self.mantissa as i32);
        let (kept, up) = match last - value.exponent {
            drop if drop <= 0 => (value.significand << -drop, false),
            drop => {
                let (kept, rest) = match drop {
                    1..=127 => (value.significand >> drop, value.significand << (128 - drop)),
                    // All of it lies below the last place: less than half of it from 129 on.
                    128 => (0, value.significand),
                    _ => (0, 1),
                };
                let half = 1 << 127;
                let up = match round {
                    Round::NearestEven => rest > half || (rest == half && kept & 1 == 1),
                    Round::Zero => false,
                    Round::Down => rest != 0 && value.negative,
                    Round::Up => rest != 0 && !value.negative,
                };
                (kept, up)
            }
        };
        // The hidden bit, and a carry out of the significand, add to the exponent as they should.
        let field = (last + self.mantissa as i32 + self.bias() - 1) as u128;
        let magnitude = (field << self.mantissa) + kept + u128::from(up);
        let infinity = self.infinity();
        if magnitude < u128::from(infinity) {
            return sign | magnitude as u64;
        }
        let away = match round {
            Round::NearestEven => true,
            Round::Zero => false,
            Round::Down => value.negative,
            Round::Up => !value.negative,
        };
        sign | if away { infinity } else { infinity - 1 }
    }

    /// `bits` of this format in the format `to`.
    pub(super) fn convert(self, bits: u64, to: Self, round: Round) -> u64 {
        match self.unpack(bits) {
            Number::Nan => to.nan(),
            Number::Infinite { negative } => to.sign(negative) | to.infinity(),
            Number::Finite(value) => to.pack(value, round),
        }
    }
}

impl Finite {
    /// The same number with its highest bit at [`TOP`]; must not be zero.
    fn raised(self) -> Self {
        let shift = TOP as i32 - self.significand.ilog2() as i32;
        let significand = if shift >= 0 { self.significand << shift } else { self.significand >> -shift };
        Self { significand, exponent: self.exponent - shift, ..self }
    }

    fn product(self, other: Self) -> Self {
        Self {
            negative: self.negative != other.negative,
            significand: self.significand * other.significand,
            exponent: self.exponent + other.exponent,
        }
    }

    fn sum(self, other: Self, round: Round) -> Self {
        match (self.significand == 0, other.significand == 0) {
            (true, true) => {
                let negative = if self.negative == other.negative { self.negative } else { round == Round::Down };
                return Self { negative, ..self };
            }
            (true, false) => return other,
            (false, true) => return self,
            (false, false) => {}
        }
        let (a, b) = (self.raised(), other.raised());
        let (large, small) = if a.exponent >= b.exponent { (a, b) } else { (b, a) };
        let gap = (large.exponent - small.exponent) as u32;
        let shifted = small.significand.checked_shr(gap).unwrap_or(0);
        let lost = gap > 0 && (gap > TOP || small.significand << (128 - gap) != 0);
        // Bits are lost only behind a gap that leaves no room for cancellation, so that the lowest one may stand
        // for all of them.
        let shifted = shifted | u128::from(lost);
        if large.negative == small.negative {
            return Self { significand: large.significand + shifted, ..large };
        }
        match large.significand.cmp(&shifted) {
            std::cmp::Ordering::Greater => Self { significand: large.significand - shifted, ..large },
            std::cmp::Ordering::Less => {
                Self { significand: shifted - large.significand, exponent: large.exponent, ..small }
            }
            std::cmp::Ordering::Equal => Self { negative: round == Round::Down, significand: 0, exponent: 0 },
        }
    }

    /// The quotient with a jammed last bit; neither is zero.
    fn quotient(self, other: Self) -> Self {
        // At least 125 bits by at most 53 leave 72.
        let raised = self.raised();
        let quotient = raised.significand / other.significand;
        let inexact = !raised.significand.is_multiple_of(other.significand);
        Self {
            negative: self.negative != other.negative,
            significand: quotient << 1 | u128::from(inexact),
            exponent: raised.exponent - other.exponent - 1,
        }
    }

    /// The square root with a jammed last bit; positive.
    fn root(self) -> Self {
        let raised = self.raised();
        // The exponent has to be even; one bit less leaves 124, whose root has 62.
        let odd = raised.exponent & 1;
        let (significand, exponent) = (raised.significand >> odd, raised.exponent + odd);
        let root = significand.isqrt();
        let inexact = root * root != significand;
        Self { negative: false, significand: root << 1 | u128::from(inexact), exponent: exponent / 2 - 1 }
    }
}

/// The correctly rounded result on bits of `format`; NaN as GPUs write it.
pub(super) fn compute(what: Arithmetic, format: Format, round: Round, [a, b, c]: [u64; 3]) -> u64 {
    let [a, b, c] = [a, b, c].map(|bits| format.unpack(bits));
    let result = match what {
        Arithmetic::Add => sum(a, b, round),
        Arithmetic::Sub => sum(a, negated(b), round),
        Arithmetic::Mul => product(a, b),
        Arithmetic::Fma => sum(product(a, b), c, round),
        Arithmetic::Div => quotient(a, b),
        Arithmetic::Sqrt => root(a),
    };
    match result {
        Number::Nan => format.nan(),
        Number::Infinite { negative } => format.sign(negative) | format.infinity(),
        Number::Finite(value) => format.pack(value, round),
    }
}

fn negated(a: Number) -> Number {
    match a {
        Number::Nan => Number::Nan,
        Number::Infinite { negative } => Number::Infinite { negative: !negative },
        Number::Finite(value) => Number::Finite(Finite { negative: !value.negative, ..value }),
    }
}

fn sum(a: Number, b: Number, round: Round) -> Number {
    match (a, b) {
        (Number::Finite(a), Number::Finite(b)) => Number::Finite(a.sum(b, round)),
        (Number::Nan, _) | (_, Number::Nan) => Number::Nan,
        (Number::Infinite { negative: a }, Number::Infinite { negative: b }) if a != b => Number::Nan,
        (Number::Infinite { negative }, _) | (_, Number::Infinite { negative }) => Number::Infinite { negative },
    }
}

fn product(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Finite(a), Number::Finite(b)) => Number::Finite(a.product(b)),
        (Number::Nan, _) | (_, Number::Nan) => Number::Nan,
        (Number::Infinite { negative: a }, Number::Infinite { negative: b }) => Number::Infinite { negative: a != b },
        (Number::Infinite { negative }, Number::Finite(value))
        | (Number::Finite(value), Number::Infinite { negative }) => match value.significand {
            0 => Number::Nan,
            _ => Number::Infinite { negative: negative != value.negative },
        },
    }
}

fn quotient(a: Number, b: Number) -> Number {
    let zero = |negative| Number::Finite(Finite { negative, significand: 0, exponent: 0 });
    match (a, b) {
        (Number::Nan, _) | (_, Number::Nan) | (Number::Infinite { .. }, Number::Infinite { .. }) => Number::Nan,
        (Number::Infinite { negative }, Number::Finite(b)) => Number::Infinite { negative: negative != b.negative },
        (Number::Finite(a), Number::Infinite { negative }) => zero(a.negative != negative),
        (Number::Finite(a), Number::Finite(b)) => match (a.significand, b.significand) {
            (0, 0) => Number::Nan,
            (0, _) => zero(a.negative != b.negative),
            (_, 0) => Number::Infinite { negative: a.negative != b.negative },
            _ => Number::Finite(a.quotient(b)),
        },
    }
}

fn root(a: Number) -> Number {
    match a {
        Number::Finite(value) if value.significand == 0 => a,
        Number::Finite(value) if !value.negative => Number::Finite(value.root()),
        Number::Infinite { negative: false } => a,
        _ => Number::Nan,
    }
}

#[cfg(test)]
mod tests {
    use super::{Arithmetic, Format, compute};
    use crate::ir::types::{FloatKind, Round};
    use proptest::prelude::*;

    fn canonical(value: f64) -> u64 {
        if value.is_nan() { 0x7FFF_FFFF_FFFF_FFFF } else { value.to_bits() }
    }

    /// Bits of which many are special: subnormals, zeros, neighbours of powers of two, NaN.
    fn bits() -> impl Strategy<Value = u64> {
        let edge = prop::sample::select(vec![
            0_u64,
            1,
            0x000F_FFFF_FFFF_FFFF,
            0x7FEF_FFFF_FFFF_FFFF,
            0x7FF0 << 48,
            0x7FF8 << 48,
        ]);
        prop_oneof![
            any::<u64>(),
            (edge, any::<bool>()).prop_map(|(bits, sign)| bits | u64::from(sign) << 63),
            (0x3F0_u64..0x410, 0_u64..4, any::<bool>()).prop_map(|(e, m, sign)| e << 52 | m | u64::from(sign) << 63),
            any::<i32>().prop_map(|value| f64::from(value).to_bits()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        // To nearest even, the processor does the same: all paths but the last step are held against it.
        #[test]
        fn nearest_is_the_processors(a in bits(), b in bits(), c in bits()) {
            let [x, y, z] = [a, b, c].map(f64::from_bits);
            for (what, wanted) in [
                (Arithmetic::Add, x + y),
                (Arithmetic::Sub, x - y),
                (Arithmetic::Mul, x * y),
                (Arithmetic::Div, x / y),
                (Arithmetic::Fma, x.mul_add(y, z)),
                (Arithmetic::Sqrt, x.sqrt()),
            ] {
                let found = compute(what, Format::of(FloatKind::F64), Round::NearestEven, [a, b, c]);
                prop_assert_eq!(found, canonical(wanted), "{:?} of {:e}, {:e}, {:e}", what, x, y, z);
            }
        }

        // The directed results enclose the nearest one, and are neighbours or equal.
        #[test]
        fn directions_enclose(a in bits(), b in bits(), c in bits()) {
            for what in [Arithmetic::Add, Arithmetic::Mul, Arithmetic::Div, Arithmetic::Fma, Arithmetic::Sqrt] {
                let in_direction = |round| f64::from_bits(compute(what, Format::of(FloatKind::F64), round, [a, b, c]));
                let [near, zero, down, up] =
                    [Round::NearestEven, Round::Zero, Round::Down, Round::Up].map(in_direction);
                if near.is_nan() {
                    prop_assert!(zero.is_nan() && down.is_nan() && up.is_nan());
                    continue;
                }
                prop_assert!(down <= near && near <= up);
                prop_assert!(down == up || down.next_up() == up);
                prop_assert_eq!(zero.to_bits() & !(1 << 63), if up > 0.0 { down } else { up }.to_bits() & !(1 << 63));
            }
        }
    }
}
