//! The formulas of NUMERICS.md that more than one kernel needs.

use contract::limits::{CODE_MAX, CODE_RANGE, NAN_F32, SCALE_MIN};
use cuda_std::math::div_rn_f32;

/// The value, or the one NaN that is ever written.
#[inline(always)]
pub fn canonical(value: f32) -> u32 {
    if value.is_nan() { NAN_F32 } else { value.to_bits() }
}

/// The symmetric scale of a group: absmax / 127, 1 for a group of zeros, at least 2⁻¹⁰⁰, NaN for NaN.
#[inline(always)]
pub fn scale(absmax: f32) -> f32 {
    step(absmax, CODE_MAX)
}

/// The asymmetric scale of a group: range / 255, with the same exceptions.
#[inline(always)]
pub fn scale_of_range(range: f32) -> f32 {
    step(range, CODE_RANGE)
}

/// extent / steps, 1 for an extent of 0, at least 2⁻¹⁰⁰, NaN for NaN.
#[inline(always)]
fn step(extent: f32, steps: f32) -> f32 {
    if extent == 0.0 {
        return 1.0;
    }
    let scale = div_rn_f32(extent, steps);
    // A select, not `max`: that would turn NaN into the floor.
    if scale < SCALE_MIN { SCALE_MIN } else { scale }
}
