//! Floating-point arithmetic on all lanes. Results that are NaN are the one NaN that GPUs write.

use super::half::{
    NAN16, NAN32, Narrow, add_to_odd, bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, f64_to_bf16, f64_to_f16,
};
use super::lanes::{Files, LANES};
use crate::ir::op::{Float1, Float2, FloatMode, FloatTest, Reg};
use crate::ir::types::{Compare, FloatKind};

#[inline(always)]
pub(super) fn canonical32(value: f32) -> u32 {
    if value.is_nan() { NAN32 } else { value.to_bits() }
}

#[inline(always)]
fn canonical64(value: f64) -> u64 {
    // f64 keeps a payload; the GPU's default NaN is the positive quiet one.
    if value.is_nan() { 0x7FFF_FFFF_FFFF_FFFF } else { value.to_bits() }
}

/// A subnormal becomes a zero of its sign.
#[inline(always)]
pub(super) fn flush32(value: f32) -> f32 {
    if value.is_subnormal() { f32::from_bits(value.to_bits() & 0x8000_0000) } else { value }
}

/// `.sat`: into [0, 1], NaN to 0.
#[inline(always)]
pub(super) fn saturate32(value: f32) -> f32 {
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

/// The smaller of two numbers: a NaN is ignored, -0 lies below +0.
#[inline(always)]
fn min32(a: f32, b: f32) -> f32 {
    let (x, y) = (a.to_bits(), b.to_bits());
    let equal = f32::from_bits(x | y);
    if a < b {
        a
    } else if b < a {
        b
    } else if a == b {
        equal
    } else if a.is_nan() {
        b
    } else {
        a
    }
}

#[inline(always)]
fn max32(a: f32, b: f32) -> f32 {
    let (x, y) = (a.to_bits(), b.to_bits());
    let equal = f32::from_bits(x & y);
    if a > b {
        a
    } else if b > a {
        b
    } else if a == b {
        equal
    } else if a.is_nan() {
        b
    } else {
        a
    }
}

#[inline(always)]
fn min_max64(a: f64, b: f64, max: bool) -> f64 {
    if a.is_nan() {
        return b;
    }
    let first = if a == b { a.is_sign_negative() != max } else { (a < b) != max };
    if b.is_nan() || first { a } else { b }
}

#[inline(always)]
fn float2_32(files: &mut Files, op: Float2, mask: u32, regs: [Reg; 3], finish: impl Fn(f32, f32, f32) -> u32) {
    let f = f32::from_bits;
    let nan = |a: f32, b: f32, value: f32| if a.is_nan() || b.is_nan() { f32::NAN } else { value };
    match op {
        Float2::Add => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), f(a) + f(b))),
        Float2::Sub => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), f(a) - f(b))),
        Float2::Mul => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), f(a) * f(b))),
        Float2::Div => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), f(a) / f(b))),
        Float2::Min => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), min32(f(a), f(b)))),
        Float2::Max => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), max32(f(a), f(b)))),
        Float2::MinNan => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), nan(f(a), f(b), min32(f(a), f(b))))),
        Float2::MaxNan => files.map2_32(mask, regs, |a, b| finish(f(a), f(b), nan(f(a), f(b), max32(f(a), f(b))))),
        // copysign takes the sign of its first operand.
        Float2::CopySign => files.map2_32(mask, regs, |a, b| (b & 0x7FFF_FFFF) | (a & 0x8000_0000)),
    }
}

/// One operation with inputs and result flushed and saturated as asked.
#[inline(always)]
fn with_mode(op: Float2, mode: FloatMode, a: f32, b: f32) -> f32 {
    let (a, b) = if mode.flush { (flush32(a), flush32(b)) } else { (a, b) };
    let value = match op {
        Float2::Add => a + b,
        Float2::Sub => a - b,
        Float2::Mul => a * b,
        Float2::Div => a / b,
        Float2::Min => min32(a, b),
        Float2::Max => max32(a, b),
        Float2::MinNan | Float2::MaxNan if a.is_nan() || b.is_nan() => f32::NAN,
        Float2::MinNan => min32(a, b),
        Float2::MaxNan => max32(a, b),
        Float2::CopySign => b.copysign(a),
    };
    let value = if mode.flush { flush32(value) } else { value };
    if mode.saturate { saturate32(value) } else { value }
}

/// A 16-bit format.
#[derive(Clone, Copy)]
struct Format {
    widen: fn(u16) -> f32,
    narrow: fn(f32) -> u16,
    narrow64: fn(f64, Narrow) -> u16,
    smallest: u16,
}

const F16: Format = Format { widen: f16_to_f32, narrow: f32_to_f16, narrow64: f64_to_f16, smallest: 0x0400 };
const BF16: Format = Format { widen: bf16_to_f32, narrow: f32_to_bf16, narrow64: f64_to_bf16, smallest: 0x0080 };

fn format(kind: FloatKind) -> Format {
    if matches!(kind, FloatKind::F16 | FloatKind::F16x2) { F16 } else { BF16 }
}

impl Format {
    fn flush(self, value: u16) -> u16 {
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
        // f32 has more than twice the bits, so that rounding its result again rounds once in effect;
        // bf16 sums span too many binades for that and go through an odd f64.
        let (x, y) = ((self.widen)(a), (self.widen)(b));
        let value = match op {
            Float2::Add | Float2::Sub => {
                let y = if op == Float2::Sub { -y } else { y };
                (self.narrow64)(add_to_odd(f64::from(x), f64::from(y)), Narrow::NearestEven)
            }
            Float2::Mul => (self.narrow64)(f64::from(x) * f64::from(y), Narrow::NearestEven),
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
            _ => self.finish(mode, (self.narrow)(f32::from_bits(unary32(op, (self.widen)(a))))),
        }
    }

    fn fma(self, mode: FloatMode, a: u16, b: u16, c: u16) -> u16 {
        let [a, b, c] = [a, b, c].map(|v| f64::from((self.widen)(if mode.flush { self.flush(v) } else { v })));
        self.finish(mode, (self.narrow64)(add_to_odd(a * b, c), Narrow::NearestEven))
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

#[inline(always)]
pub(super) fn float2(files: &mut Files, op: Float2, kind: FloatKind, mode: FloatMode, mask: u32, regs: [Reg; 3]) {
    match kind {
        FloatKind::F32 if mode == FloatMode::default() => {
            float2_32(files, op, mask, regs, |_, _, value| canonical32(value));
        }
        FloatKind::F32 => {
            files.map2_32(mask, regs, |a, b| canonical32(with_mode(op, mode, f32::from_bits(a), f32::from_bits(b))))
        }
        FloatKind::F64 => files.map2_64(mask, regs, |a, b| {
            let (x, y) = (f64::from_bits(a), f64::from_bits(b));
            let nan = x.is_nan() || y.is_nan();
            canonical64(match op {
                Float2::Add => x + y,
                Float2::Sub => x - y,
                Float2::Mul => x * y,
                Float2::Div => x / y,
                Float2::MinNan | Float2::MaxNan if nan => f64::NAN,
                Float2::Min | Float2::MinNan => min_max64(x, y, false),
                Float2::Max | Float2::MaxNan => min_max64(x, y, true),
                Float2::CopySign => return (b & (u64::MAX >> 1)) | (a & (1 << 63)),
            })
        }),
        _ => {
            let format = format(kind);
            files.map2_32(mask, regs, |a, b| halves(is_pair(kind), [a, b, 0], |a, b, _| format.op2(op, mode, a, b)));
        }
    }
}

/// Approximate instructions are computed in f64 and rounded once: closer than any GPU.
fn unary32(op: Float1, a: f32) -> u32 {
    let wide = f64::from(a);
    canonical32(match op {
        Float1::Neg => -a,
        Float1::Abs => a.abs(),
        Float1::Sqrt => a.sqrt(),
        Float1::Rcp => 1.0 / a,
        Float1::Rsqrt => (1.0 / wide.sqrt()) as f32,
        Float1::Ex2 => wide.exp2() as f32,
        Float1::Lg2 => wide.log2() as f32,
        Float1::Sin => wide.sin() as f32,
        Float1::Cos => wide.cos() as f32,
        Float1::Tanh => wide.tanh() as f32,
    })
}

#[inline(always)]
pub(super) fn float1(files: &mut Files, op: Float1, kind: FloatKind, mode: FloatMode, mask: u32, d: Reg, a: Reg) {
    match (kind, op) {
        // Sign operations keep the payload of a NaN: they are operations on bits.
        (FloatKind::F32, Float1::Neg) if !mode.flush => files.map1_32(mask, d, a, |a| a ^ 0x8000_0000),
        (FloatKind::F32, Float1::Abs) if !mode.flush => files.map1_32(mask, d, a, |a| a & 0x7FFF_FFFF),
        _ => float1_slowly(files, op, kind, mode, mask, [d, a]),
    }
}

#[inline(never)]
fn float1_slowly(files: &mut Files, op: Float1, kind: FloatKind, mode: FloatMode, mask: u32, [d, a]: [Reg; 2]) {
    match (kind, op) {
        (FloatKind::F32, _) => files.map1_32(mask, d, a, |a| {
            let a = f32::from_bits(a);
            let value = unary32(op, if mode.flush { flush32(a) } else { a });
            if mode.flush { flush32(f32::from_bits(value)).to_bits() } else { value }
        }),
        (FloatKind::F64, _) => files.map1_64(mask, d, a, |bits| {
            let a = f64::from_bits(bits);
            canonical64(match op {
                Float1::Neg => return bits ^ (1 << 63),
                Float1::Abs => return bits & (u64::MAX >> 1),
                Float1::Sqrt => a.sqrt(),
                Float1::Rcp => 1.0 / a,
                _ => 1.0 / a.sqrt(),
            })
        }),
        _ => {
            let format = format(kind);
            files.map1_32(mask, d, a, |a| halves(is_pair(kind), [a, 0, 0], |a, _, _| format.op1(op, mode, a)));
        }
    }
}

#[inline(always)]
pub(super) fn fma(files: &mut Files, kind: FloatKind, mode: FloatMode, mask: u32, regs: [Reg; 4]) {
    let f = f32::from_bits;
    match kind {
        FloatKind::F32 if mode == FloatMode::default() => {
            files.map3_32(mask, regs, |a, b, c| canonical32(f(a).mul_add(f(b), f(c))));
        }
        _ => fma_slowly(files, kind, mode, mask, regs),
    }
}

#[inline(never)]
fn fma_slowly(files: &mut Files, kind: FloatKind, mode: FloatMode, mask: u32, regs: [Reg; 4]) {
    let f = f32::from_bits;
    match kind {
        FloatKind::F32 => files.map3_32(mask, regs, |a, b, c| {
            let flush = |v: f32| if mode.flush { flush32(v) } else { v };
            let value = flush(flush(f(a)).mul_add(flush(f(b)), flush(f(c))));
            canonical32(if mode.saturate { saturate32(value) } else { value })
        }),
        FloatKind::F64 => files.map3_64(mask, regs, |a, b, c| {
            canonical64(f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)))
        }),
        _ => {
            let format = format(kind);
            files.map3_32(mask, regs, |a, b, c| halves(is_pair(kind), [a, b, c], |a, b, c| format.fma(mode, a, b, c)));
        }
    }
}

#[inline(always)]
fn holds<T: PartialOrd>(op: Compare, a: T, b: T) -> bool {
    let order = a.partial_cmp(&b);
    let open = order.is_none();
    match op {
        Compare::Eq => a == b,
        // Not equal is an ordered comparison: false where an operand is NaN.
        Compare::Ne => !open && a != b,
        Compare::Lt => a < b,
        Compare::Le => a <= b,
        Compare::Gt => a > b,
        Compare::Ge => a >= b,
        Compare::Equ => open || a == b,
        Compare::Neu => open || a != b,
        Compare::Ltu => open || a < b,
        Compare::Leu => open || a <= b,
        Compare::Gtu => open || a > b,
        Compare::Geu => open || a >= b,
        Compare::Num => !open,
        Compare::Nan => open,
    }
}

#[inline(always)]
pub(super) fn compare(files: &mut Files, op: Compare, kind: FloatKind, flush: bool, mask: u32, regs: [Reg; 3]) {
    let f = f32::from_bits;
    match kind {
        FloatKind::F32 if !flush => match op {
            // The common ones on their own, so that each is one vector comparison.
            Compare::Eq => files.test2_32(mask, regs, |a, b| f(a) == f(b)),
            Compare::Lt => files.test2_32(mask, regs, |a, b| f(a) < f(b)),
            Compare::Gt => files.test2_32(mask, regs, |a, b| f(a) > f(b)),
            _ => compare_slowly(files, op, kind, flush, mask, regs),
        },
        _ => compare_slowly(files, op, kind, flush, mask, regs),
    }
}

#[inline(never)]
fn compare_slowly(files: &mut Files, op: Compare, kind: FloatKind, flush: bool, mask: u32, regs: [Reg; 3]) {
    let f = f32::from_bits;
    match kind {
        FloatKind::F32 if flush => files.test2_32(mask, regs, |a, b| holds(op, flush32(f(a)), flush32(f(b)))),
        FloatKind::F32 => files.test2_32(mask, regs, |a, b| holds(op, f(a), f(b))),
        FloatKind::F64 => files.test2_64(mask, regs, |a, b| holds(op, f64::from_bits(a), f64::from_bits(b))),
        _ => {
            let format = format(kind);
            let value = |bits: u32| {
                let bits = bits as u16;
                (format.widen)(if flush { format.flush(bits) } else { bits })
            };
            files.test2_32(mask, regs, |a, b| holds(op, value(a), value(b)));
        }
    }
}

#[inline(never)]
pub(super) fn test(files: &mut Files, kind: FloatKind, test: FloatTest, mask: u32, d: Reg, a: Reg) {
    let class = |class: std::num::FpCategory| {
        use std::num::FpCategory::{Infinite, Nan, Normal, Subnormal, Zero};
        match test {
            FloatTest::Finite => !matches!(class, Infinite | Nan),
            FloatTest::Infinite => class == Infinite,
            FloatTest::Number => class != Nan,
            FloatTest::NotANumber => class == Nan,
            // PTX counts zeros among the normal numbers.
            FloatTest::Normal => matches!(class, Normal | Zero),
            FloatTest::Subnormal => class == Subnormal,
        }
    };
    let mut out = 0;
    for lane in 0..LANES {
        let found = match kind {
            FloatKind::F64 => f64::from_bits(files.r64(a)[lane]).classify(),
            _ => f32::from_bits(files.r32(a)[lane]).classify(),
        };
        out |= u32::from(class(found)) << lane;
    }
    files.put_pred(d, mask, out);
}
