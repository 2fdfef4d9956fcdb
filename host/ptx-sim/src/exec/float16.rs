//! Arithmetic of the 16-bit formats, alone and in pairs.

use super::float::{saturate32, unary32, with_mode};
use super::half::{NAN16, add_to_odd, bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, f64_to_bf16, f64_to_f16};
use super::lanes::Files;
use crate::ir::op::{Float1, Float2, FloatMode, Reg};
use crate::ir::types::{FloatKind, Round};

/// A 16-bit format.
#[derive(Clone, Copy)]
pub(super) struct Format {
    pub(super) widen: fn(u16) -> f32,
    narrow: fn(f32) -> u16,
    narrow64: fn(f64, Round) -> u16,
    smallest: u16,
}

const F16: Format = Format { widen: f16_to_f32, narrow: f32_to_f16, narrow64: f64_to_f16, smallest: 0x0400 };
const BF16: Format = Format { widen: bf16_to_f32, narrow: f32_to_bf16, narrow64: f64_to_bf16, smallest: 0x0080 };

/// What a tensor copy fills elements out of bounds with when it is asked for NaN (PTX ISA, tensors).
const OUT_OF_BOUNDS: u16 = 0x7FFF;

impl Format {
    pub(super) fn of(kind: FloatKind) -> Self {
        if matches!(kind, FloatKind::F16 | FloatKind::F16x2) { F16 } else { BF16 }
    }

    pub(super) fn flush(self, value: u16) -> u16 {
        if value & 0x7FFF < self.smallest { value & 0x8000 } else { value }
    }

    fn finish(self, mode: FloatMode, value: u16) -> u16 {
        let value = if mode.flush { self.flush(value) } else { value };
        let number = (self.widen)(value);
        if mode.saturate {
            return (self.narrow)(saturate32(number));
        }
        if mode.relu && !number.is_nan() && (number < 0.0 || value == 0x8000) { 0 } else { value }
    }

    fn op2(self, op: Float2, mode: FloatMode, a: u16, b: u16) -> u16 {
        let (a, b) = if mode.flush { (self.flush(a), self.flush(b)) } else { (a, b) };
        let (x, y) = ((self.widen)(a), (self.widen)(b));
        let value = match op {
            // Sums of bf16 span more binades than f64 has bits: an odd f64 keeps what decides the rounding.
            Float2::Add | Float2::Sub => {
                let y = if op == Float2::Sub { -y } else { y };
                (self.narrow64)(add_to_odd(f64::from(x), f64::from(y)), Round::NearestEven)
            }
            Float2::Mul => (self.narrow64)(f64::from(x) * f64::from(y), Round::NearestEven),
            _ => (self.narrow)(with_mode(op, FloatMode::default(), x, y)),
        };
        self.finish(mode, value)
    }

    fn op1(self, op: Float1, mode: FloatMode, a: u16) -> u16 {
        let a = if mode.flush { self.flush(a) } else { a };
        match op {
            Float1::Neg | Float1::Abs if (self.widen)(a).is_nan() => NAN16,
            Float1::Neg => a ^ 0x8000,
            Float1::Abs => a & 0x7FFF,
            _ => self.finish(mode, (self.narrow)(f32::from_bits(unary32(op, Round::NearestEven, (self.widen)(a))))),
        }
    }

    fn fma(self, mode: FloatMode, sources: [u16; 3]) -> u16 {
        if mode.oob && sources.contains(&OUT_OF_BOUNDS) {
            return 0;
        }
        let [a, b, c] = sources.map(|v| f64::from((self.widen)(if mode.flush { self.flush(v) } else { v })));
        self.finish(mode, (self.narrow64)(add_to_odd(a * b, c), Round::NearestEven))
    }
}

/// Applies `f` to the low half, and to the high half of a pair.
#[inline(always)]
fn halves(pair: bool, [a, b, c]: [u32; 3], f: impl Fn(u16, u16, u16) -> u16) -> u32 {
    let low = u32::from(f(a as u16, b as u16, c as u16));
    if !pair {
        return low;
    }
    low | u32::from(f((a >> 16) as u16, (b >> 16) as u16, (c >> 16) as u16)) << 16
}

fn is_pair(kind: FloatKind) -> bool {
    matches!(kind, FloatKind::F16x2 | FloatKind::BF16x2)
}

/// One operation on a value or a pair of them, without flushing.
pub(super) fn once(op: Float2, kind: FloatKind, a: u32, b: u32) -> u32 {
    let format = Format::of(kind);
    halves(is_pair(kind), [a, b, 0], |a, b, _| format.op2(op, FloatMode::default(), a, b))
}

#[inline(never)]
pub(super) fn float2(files: &mut Files, op: Float2, kind: FloatKind, mode: FloatMode, mask: u32, regs: [Reg; 3]) {
    let format = Format::of(kind);
    files.map2_32(mask, regs, |a, b| halves(is_pair(kind), [a, b, 0], |a, b, _| format.op2(op, mode, a, b)));
}

#[inline(never)]
pub(super) fn float1(files: &mut Files, op: Float1, kind: FloatKind, mode: FloatMode, mask: u32, [d, a]: [Reg; 2]) {
    let format = Format::of(kind);
    files.map1_32(mask, d, a, |a| halves(is_pair(kind), [a, 0, 0], |a, _, _| format.op1(op, mode, a)));
}

#[inline(never)]
pub(super) fn fma(files: &mut Files, kind: FloatKind, mode: FloatMode, mask: u32, regs: [Reg; 4]) {
    let format = Format::of(kind);
    files.map3_32(mask, regs, |a, b, c| halves(is_pair(kind), [a, b, c], |a, b, c| format.fma(mode, [a, b, c])));
}
