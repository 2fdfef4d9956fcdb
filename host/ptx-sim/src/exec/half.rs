//! 16-bit floating-point values: exact widening, correctly rounded narrowing.

use crate::ir::types::Round;

/// The NaN that GPUs write, in each type.
pub(crate) const NAN32: u32 = 0x7FFF_FFFF;
pub(crate) const NAN16: u16 = 0x7FFF;

/// f16 → f32; exact.
#[inline(always)]
pub(crate) fn f16_to_f32(value: u16) -> f32 {
    let sign = u32::from(value & 0x8000) << 16;
    let magnitude = u32::from(value & 0x7FFF);
    let bits = if magnitude >= 0x7C00 {
        if magnitude > 0x7C00 { return f32::from_bits(NAN32) } else { 0x7F80_0000 }
    } else if magnitude >= 0x0400 {
        (magnitude << 13) + ((127 - 15) << 23)
    } else {
        // A subnormal is its significand times 2^-24, which f32 holds exactly.
        (magnitude as f32 * f32::from_bits(0x3380_0000)).to_bits()
    };
    f32::from_bits(sign | bits)
}

/// bf16 → f32; exact.
#[inline(always)]
pub(crate) fn bf16_to_f32(value: u16) -> f32 {
    let widened = f32::from_bits(u32::from(value) << 16);
    if widened.is_nan() { f32::from_bits(NAN32) } else { widened }
}

/// f64 → a 16-bit format of `mantissa` explicit bits and exponent bias `bias`, rounded once.
fn narrow(value: f64, mantissa: u32, bias: i32, how: Round) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 48) as u16 & 0x8000;
    let exponent = (bits >> 52 & 0x7FF) as i32;
    let infinity = ((2 * bias + 1) << mantissa) as u16;
    if value.is_nan() {
        return NAN16;
    }
    if exponent == 0x7FF {
        return sign | infinity;
    }
    let away = match how {
        Round::NearestEven | Round::Zero => false,
        Round::Down => sign != 0,
        Round::Up => sign == 0,
    };
    if exponent == 0 {
        // An f64 subnormal is far below half of the smallest value of either format.
        return sign | u16::from(away && value != 0.0);
    }
    let significand = bits & ((1 << 52) - 1) | 1 << 52;
    let target = exponent - 1023 + bias;
    // Below the normal range, the last place stays where the smallest normal number has it.
    let drop = (52 - mantissa as i32 + (1 - target).max(0)).min(60) as u32;
    let kept = significand >> drop;
    let rest = significand & ((1 << drop) - 1);
    let half = 1_u64 << (drop - 1);
    let nearer = rest > half || (rest == half && kept & 1 == 1);
    let up = if how == Round::NearestEven { nearer } else { away && rest != 0 };
    // A carry out of the significand goes into the exponent, as it should.
    let base = if target > 0 { (target as u64 - 1) << mantissa } else { 0 };
    let magnitude = base + kept + u64::from(up);
    if magnitude >= u64::from(infinity) {
        return sign | if how == Round::NearestEven || away { infinity } else { infinity - 1 };
    }
    sign | magnitude as u16
}

/// f64 → f16, rounded once.
#[inline(always)]
pub(crate) fn f64_to_f16(value: f64, how: Round) -> u16 {
    narrow(value, 10, 15, how)
}

/// f64 → bf16, rounded once.
#[inline(always)]
pub(crate) fn f64_to_bf16(value: f64, how: Round) -> u16 {
    narrow(value, 7, 127, how)
}

/// f32 → f16, to nearest even.
#[inline(always)]
pub(crate) fn f32_to_f16(value: f32) -> u16 {
    f64_to_f16(f64::from(value), Round::NearestEven)
}

/// f32 → bf16, to nearest even.
#[inline(always)]
pub(crate) fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return NAN16;
    }
    // Half of the last place, less one where the kept part is even.
    (bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

/// a + b with the last bit set wherever the sum is inexact, so that a second rounding cannot go wrong.
#[inline(always)]
pub(crate) fn add_to_odd(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if !sum.is_finite() {
        return sum;
    }
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    if error == 0.0 || sum.to_bits() & 1 == 1 {
        return sum;
    }
    // The exact sum lies between `sum` and its odd neighbour on the side of the error.
    let away = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if away { sum.to_bits() + 1 } else { sum.to_bits() - 1 })
}

#[cfg(test)]
mod tests {
    use super::{f64_to_bf16, f64_to_f16};
    use crate::exec::soft::Format;
    use crate::ir::types::{FloatKind, Round};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        // Two ways to one result: this one fast, the other general.
        #[test]
        fn narrowing_is_that_of_the_general_arithmetic(bits: u64, exponent in 0_u64..2047, near in 0x3E0_u64..0x420) {
            for field in [exponent, near] {
                let bits = bits & !(0x7FF << 52) | field << 52;
                for round in [Round::NearestEven, Round::Zero, Round::Down, Round::Up] {
                    let general = |kind| Format::of(FloatKind::F64).convert(bits, Format::of(kind), round) as u16;
                    let value = f64::from_bits(bits);
                    prop_assert_eq!(f64_to_f16(value, round), general(FloatKind::F16), "{:e} {:?}", value, round);
                    prop_assert_eq!(f64_to_bf16(value, round), general(FloatKind::BF16), "{:e} {:?}", value, round);
                }
            }
        }
    }
}
