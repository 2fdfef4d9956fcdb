//! The rules by which other libraries make INT8 codes, as data: one kernel follows any of them.

use crate::args::{Codes, DevicePtr, Matrix};

/// How a number is divided by the scale, the first operation of a code.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotient {
    /// x / s.
    Divide = 0,
    /// x · (1 / s).
    Reciprocal = 1,
    /// x · (127 / absmax).
    OfAbsmax = 2,
    /// x · ((1 / absmax) · 127).
    OfAbsmaxReciprocal = 3,
}

/// Where ties go.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// To the even integer.
    Even = 0,
    /// Away from zero, as C's `roundf`.
    Away = 1,
}

/// What is rounded to the type of x besides x itself.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// Nothing: all arithmetic is f32.
    Nothing = 0,
    /// The scale, before its floor.
    Scale = 1,
    /// The scale and each quotient.
    ScaleAndQuotients = 2,
}

/// A library's rule. Uniform for a grid; every operation is f32, to nearest even.
///
/// a = max(absmax, absmax_floor); s = a / divisor, rounded as `narrow` says; where that is 0, zero_scale; at least
/// scale_floor. v = x by s as `quotient` says, rounded as `narrow` says. code = v rounded as `ties` says, clamped to
/// [least, 127]; 0 where v is NaN, and where it is infinite if `infinite_is_zero`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetRule {
    /// The least absmax.
    pub absmax_floor: f32,
    /// What absmax is divided by.
    pub divisor: f32,
    /// The scale where it would be 0.
    pub zero_scale: f32,
    /// The least scale.
    pub scale_floor: f32,
    /// The least code.
    pub least: i32,
    /// How x is divided.
    pub quotient: Quotient,
    /// Where ties go.
    pub ties: Ties,
    /// What is rounded to the type of x.
    pub narrow: Narrow,
    /// 1: an infinite quotient has code 0. 0: it saturates.
    pub infinite_is_zero: u32,
}

/// `quantize_preset`: x → codes by another library's rule, with a scale a row or a given one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizePresetArgs {
    /// Tokens or weight rows.
    pub x: Matrix,
    /// The codes.
    pub q: Codes,
    /// f32 `[rows]`, or 0 where the scale is given.
    pub scales: DevicePtr,
    /// f32 `[rows]`: the absmax of each row, floor and all; 0 where the scale is given.
    pub absmax: DevicePtr,
    /// The scale where it is given.
    pub given: f32,
    /// The rule.
    pub rule: PresetRule,
}
