//! Widening and narrowing between f32, f16 and bf16, with the one NaN that is ever written.
//!
//! Widening is exact. Narrowing rounds once, to nearest even, and overflows to infinity: this is what
//! `cvt.rn.f16.f32` and `cvt.rn.bf16.f32` do.

use half::{bf16, f16};

/// The NaN of f32 results.
pub const NAN_F32: u32 = 0x7fff_ffff;
/// The NaN of f16 and bf16 results.
pub const NAN_16: u16 = 0x7fff;

/// `v`, with every NaN replaced by the one that results have (0x7FFFFFFF).
///
/// Processors differ in the NaN that an operation makes: x86 keeps an operand's payload, NVIDIA's GPUs
/// write this one.
pub fn canonical(v: f32) -> f32 {
    if v.is_nan() { f32::from_bits(NAN_F32) } else { v }
}

/// f32 → f16, rounded to nearest even; NaN is 0x7FFF.
pub fn narrow_f16(v: f32) -> f16 {
    if v.is_nan() { f16::from_bits(NAN_16) } else { f16::from_f32(v) }
}

/// f32 → bf16, rounded to nearest even; NaN is 0x7FFF.
pub fn narrow_bf16(v: f32) -> bf16 {
    if v.is_nan() { bf16::from_bits(NAN_16) } else { bf16::from_f32(v) }
}

/// f16 → f32, exactly.
pub fn widen_f16(x: &[f16]) -> Vec<f32> {
    x.iter().map(|v| v.to_f32()).collect()
}

/// bf16 → f32, exactly.
pub fn widen_bf16(x: &[bf16]) -> Vec<f32> {
    x.iter().map(|v| v.to_f32()).collect()
}
