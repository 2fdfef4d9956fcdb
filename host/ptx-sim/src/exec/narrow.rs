//! Conversions to and from the element types of tensor cores (PTX ISA, `cvt`).
//!
//! Each value is rounded once. Without `.satfinite` what is too large becomes infinity where it is rounded to the
//! nearest, with it the greatest finite value; NaN stays NaN: 0x7FFFFFFF in tf32, 0x7FFF in 16 bits, 0x7F in eight.

use super::half::{NAN32, f16_to_f32, f32_to_bf16, f64_to_bf16, f64_to_f16};
use super::lanes::Files;
use super::matrix::{e4m3_value, e5m2_value};
use crate::ir::narrow::{Last, Narrow, Narrowing, Small};
use crate::ir::types::Round;

/// The greatest finite magnitudes.
const MAX_E4M3: u8 = 0x7E;
const MAX_E5M2: u8 = 0x7B;
const MAX_F16: u16 = 0x7BFF;
const MAX_BF16: u16 = 0x7F7F;
const MAX_TF32: u32 = 0x7F7F_E000;
/// Bits of an f32 that tf32 does not have.
const TF32_DROPS: u32 = 0x1FFF;

/// Runs one conversion on the lanes of `mask`.
#[inline(never)]
pub(super) fn narrow(files: &mut Files, mask: u32, op: &Narrow) {
    match *op {
        Narrow::One { how, d, a } => files.map1_32(mask, d, a, |a| one(how, f32::from_bits(a))),
        Narrow::Two { how, d, a, b } => {
            let bits = if matches!(how.to, Small::E4M3 | Small::E5M2) { 8 } else { 16 };
            files.map2_32(mask, [d, a, b], |a, b| one(how, f32::from_bits(a)) << bits | one(how, f32::from_bits(b)));
        }
        Narrow::Halves { how, d, a } => {
            files.map1_32(mask, d, a, |a| one(how, f16_to_f32((a >> 16) as u16)) << 8 | one(how, f16_to_f32(a as u16)))
        }
        Narrow::Widen { from, relu, d, a } => files.map1_32(mask, d, a, |a| {
            let value = |bits: u32| if from == Small::E4M3 { e4m3_value(bits as u8) } else { e5m2_value(bits as u8) };
            let half = |bits: u32| {
                let value = rectified(relu, value(bits));
                // Exact: f16 has more of everything than both types.
                u32::from(f64_to_f16(f64::from(value), Round::NearestEven))
            };
            half(a >> 8) << 16 | half(a)
        }),
    }
}

/// `.relu`: negative values and -0 become +0, NaN stays.
fn rectified(relu: bool, value: f32) -> f32 {
    if relu && !value.is_nan() && value.is_sign_negative() { 0.0 } else { value }
}

/// The bits of one converted value.
fn one(how: Narrowing, value: f32) -> u32 {
    let value = rectified(how.relu, value);
    match how.to {
        Small::E4M3 => u32::from(eight(value, 3, 7, MAX_E4M3)),
        Small::E5M2 => u32::from(eight(value, 2, 15, MAX_E5M2)),
        Small::TF32 => tf32(how, value),
        Small::F16 | Small::BF16 => u32::from(sixteen(how, value)),
    }
}

fn sixteen(how: Narrowing, value: f32) -> u16 {
    let (wide, zero) = (f64::from(value), Round::Zero);
    let (bits, most) = match (how.to, how.last) {
        (Small::F16, Last::Zero) => (f64_to_f16(wide, zero), MAX_F16),
        (Small::F16, _) => (f64_to_f16(wide, Round::NearestEven), MAX_F16),
        (_, Last::Zero) => (f64_to_bf16(wide, zero), MAX_BF16),
        _ => (f32_to_bf16(value), MAX_BF16),
    };
    // Infinity follows the greatest finite magnitude.
    if how.finite && bits & 0x7FFF == most + 1 { bits & 0x8000 | most } else { bits }
}

fn tf32(how: Narrowing, value: f32) -> u32 {
    if value.is_nan() {
        return NAN32;
    }
    let (bits, sign) = (value.to_bits(), value.to_bits() & 0x8000_0000);
    let up = match how.last {
        Last::Zero => 0,
        Last::NearestAway => 1 << 12,
        // Half of the last place, less one where the kept part is even.
        Last::NearestEven => TF32_DROPS / 2 + (bits >> 13 & 1),
    };
    // A carry goes on into the exponent, up to infinity, which itself does not change.
    let rounded = (bits & 0x7FFF_FFFF).wrapping_add(if value.is_infinite() { 0 } else { up }) & !TF32_DROPS;
    sign | if how.finite { rounded.min(MAX_TF32) } else { rounded }
}

/// To eight bits, to nearest even, never beyond the greatest finite value: `.satfinite` is always there.
fn eight(value: f32, mantissa: i32, bias: i32, most: u8) -> u8 {
    if value.is_nan() {
        return 0x7F;
    }
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    let magnitude = f64::from(value.abs());
    if magnitude >= 1e6 {
        return sign | most;
    }
    // The binade of the value; all below the normal range share the last place of its first binade.
    let exponent = ((magnitude.to_bits() >> 52) as i32 - 1023).max(1 - bias);
    let last_place = f64::from_bits(((exponent - mantissa + 1023) as u64) << 52);
    let steps = (magnitude / last_place).round_ties_even() as u32;
    // With its leading one, a normal significand carries into the exponent field.
    let bits = ((exponent + bias - 1) as u32) << mantissa;
    sign | (bits + steps).min(u32::from(most)) as u8
}

#[cfg(test)]
mod tests;
