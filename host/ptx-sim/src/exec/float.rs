//! f32 and f64 arithmetic on all lanes. Results that are NaN are the one NaN that GPUs write.
//!
//! `.ftz` (PTX ISA 9.7.3: "flushes subnormal inputs and results to sign-preserving zero") looks at the rounded
//! result: what rounds up to the smallest normal number stays it. For f64 the document does not say which NaN a
//! result is; here it is the positive one with every bit set, as for the other types.

use super::float16;
use super::half::NAN32;
use super::lanes::Files;
use super::soft::{self, Arithmetic, Format};
use crate::ir::op::{Float1, Float2, FloatMode, Reg};
use crate::ir::types::{FloatKind, Round};

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
fn float2_32(files: &mut Files, op: Float2, mask: u32, regs: [Reg; 3]) {
    let f = f32::from_bits;
    match op {
        Float2::Add => files.map2_32(mask, regs, |a, b| canonical32(f(a) + f(b))),
        Float2::Sub => files.map2_32(mask, regs, |a, b| canonical32(f(a) - f(b))),
        Float2::Mul => files.map2_32(mask, regs, |a, b| canonical32(f(a) * f(b))),
        Float2::Div => files.map2_32(mask, regs, |a, b| canonical32(f(a) / f(b))),
        Float2::Min => files.map2_32(mask, regs, |a, b| canonical32(min32(f(a), f(b)))),
        Float2::Max => files.map2_32(mask, regs, |a, b| canonical32(max32(f(a), f(b)))),
        // copysign takes the sign of its first operand.
        Float2::CopySign => files.map2_32(mask, regs, |a, b| (b & 0x7FFF_FFFF) | (a & 0x8000_0000)),
        _ => files.map2_32(mask, regs, |a, b| canonical32(with_mode(op, FloatMode::default(), f(a), f(b)))),
    }
}

/// An operation in another rounding than the processor's.
fn directed32(what: Arithmetic, round: Round, sources: [f32; 3]) -> f32 {
    let bits = sources.map(|value| u64::from(value.to_bits()));
    f32::from_bits(soft::compute(what, Format::of(FloatKind::F32), round, bits) as u32)
}

fn arithmetic_of(op: Float2) -> Option<Arithmetic> {
    Some(match op {
        Float2::Add => Arithmetic::Add,
        Float2::Sub => Arithmetic::Sub,
        Float2::Mul => Arithmetic::Mul,
        Float2::Div => Arithmetic::Div,
        _ => return None,
    })
}

/// One operation with inputs and result flushed and saturated as asked.
#[inline(always)]
pub(super) fn with_mode(op: Float2, mode: FloatMode, a: f32, b: f32) -> f32 {
    let (a, b) = if mode.flush { (flush32(a), flush32(b)) } else { (a, b) };
    let nan = a.is_nan() || b.is_nan();
    let signs = |value: f32| {
        if value.is_nan() { value } else { f32::from_bits(value.to_bits() | (a.to_bits() ^ b.to_bits()) & 0x8000_0000) }
    };
    let value = match (op, arithmetic_of(op)) {
        (_, Some(what)) if mode.round != Round::NearestEven => directed32(what, mode.round, [a, b, 0.0]),
        (Float2::Add, _) => a + b,
        (Float2::Sub, _) => a - b,
        (Float2::Mul, _) => a * b,
        (Float2::Div, _) => a / b,
        (Float2::Min, _) => min32(a, b),
        (Float2::Max, _) => max32(a, b),
        (Float2::MinNan | Float2::MaxNan | Float2::MinNanSigns | Float2::MaxNanSigns, _) if nan => f32::NAN,
        (Float2::MinNan, _) => min32(a, b),
        (Float2::MaxNan, _) => max32(a, b),
        (Float2::MinSigns | Float2::MinNanSigns, _) => signs(min32(a.abs(), b.abs())),
        (Float2::MaxSigns | Float2::MaxNanSigns, _) => signs(max32(a.abs(), b.abs())),
        (Float2::CopySign, _) => b.copysign(a),
    };
    let value = if mode.flush { flush32(value) } else { value };
    if mode.saturate { saturate32(value) } else { value }
}

#[inline(always)]
pub(super) fn float2(files: &mut Files, op: Float2, kind: FloatKind, mode: FloatMode, mask: u32, regs: [Reg; 3]) {
    match kind {
        FloatKind::F32 if mode == FloatMode::default() => {
            float2_32(files, op, mask, regs);
        }
        FloatKind::F32 => {
            files.map2_32(mask, regs, |a, b| canonical32(with_mode(op, mode, f32::from_bits(a), f32::from_bits(b))))
        }
        FloatKind::F64 => float2_64(files, op, mode.round, mask, regs),
        _ => float16::float2(files, op, kind, mode, mask, regs),
    }
}

#[inline(never)]
fn float2_64(files: &mut Files, op: Float2, round: Round, mask: u32, regs: [Reg; 3]) {
    if let Some(what) = arithmetic_of(op).filter(|_| round != Round::NearestEven) {
        let format = Format::of(FloatKind::F64);
        return files.map2_64(mask, regs, |a, b| soft::compute(what, format, round, [a, b, 0]));
    }
    files.map2_64(mask, regs, |a, b| {
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        canonical64(match op {
            Float2::Add => x + y,
            Float2::Sub => x - y,
            Float2::Mul => x * y,
            Float2::Div => x / y,
            Float2::CopySign => return (b & (u64::MAX >> 1)) | (a & (1 << 63)),
            // The other forms do not exist for f64.
            _ => min_max64(x, y, op == Float2::Max),
        })
    });
}

/// Approximate instructions are computed in f64 and rounded once: closer than any GPU.
pub(super) fn unary32(op: Float1, round: Round, a: f32) -> u32 {
    let wide = f64::from(a);
    canonical32(match op {
        Float1::Sqrt if round != Round::NearestEven => directed32(Arithmetic::Sqrt, round, [a, 0.0, 0.0]),
        Float1::Rcp if round != Round::NearestEven => directed32(Arithmetic::Div, round, [1.0, a, 0.0]),
        Float1::Neg => -a,
        Float1::Abs => a.abs(),
        Float1::Sqrt => a.sqrt(),
        Float1::Rcp | Float1::RcpGross => 1.0 / a,
        Float1::Rsqrt | Float1::RsqrtGross => (1.0 / wide.sqrt()) as f32,
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
    match kind {
        FloatKind::F32 => files.map1_32(mask, d, a, |a| {
            let a = f32::from_bits(a);
            let value = unary32(op, mode.round, if mode.flush { flush32(a) } else { a });
            if mode.flush { flush32(f32::from_bits(value)).to_bits() } else { value }
        }),
        FloatKind::F64 => files.map1_64(mask, d, a, |bits| unary64(op, mode.round, bits)),
        _ => float16::float1(files, op, kind, mode, mask, [d, a]),
    }
}

fn unary64(op: Float1, round: Round, bits: u64) -> u64 {
    let a = f64::from_bits(bits);
    let directed = |what, sources| soft::compute(what, Format::of(FloatKind::F64), round, sources);
    canonical64(match op {
        Float1::Neg => return bits ^ (1 << 63),
        Float1::Abs => return bits & (u64::MAX >> 1),
        Float1::Sqrt if round != Round::NearestEven => return directed(Arithmetic::Sqrt, [bits, 0, 0]),
        Float1::Rcp if round != Round::NearestEven => return directed(Arithmetic::Div, [1.0_f64.to_bits(), bits, 0]),
        Float1::Sqrt => a.sqrt(),
        Float1::Rcp => 1.0 / a,
        Float1::RcpGross | Float1::RsqrtGross => return gross64(op, bits),
        _ => 1.0 / a.sqrt(),
    })
}

/// `rcp` and `rsqrt.approx.ftz.f64` (PTX ISA 9.7.3.14 and .17): the lower words of source and result are zero.
fn gross64(op: Float1, bits: u64) -> u64 {
    const UPPER: u64 = 0xFFFF_FFFF_0000_0000;
    let flush = |value: f64| if value.is_subnormal() { 0.0_f64.copysign(value) } else { value };
    let a = flush(f64::from_bits(bits & UPPER));
    let value = flush(if op == Float1::RcpGross { 1.0 / a } else { 1.0 / a.sqrt() });
    // A NaN in the lower word only is one still.
    if value.is_nan() || f64::from_bits(bits).is_nan() { 0x7FFF_FFFF_0000_0000 } else { value.to_bits() & UPPER }
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
    let nearest = mode.round == Round::NearestEven;
    match kind {
        FloatKind::F32 => files.map3_32(mask, regs, |a, b, c| {
            let flush = |v: f32| if mode.flush { flush32(v) } else { v };
            let [a, b, c] = [a, b, c].map(|bits| flush(f32::from_bits(bits)));
            let value =
                flush(if nearest { a.mul_add(b, c) } else { directed32(Arithmetic::Fma, mode.round, [a, b, c]) });
            canonical32(if mode.saturate { saturate32(value) } else { value })
        }),
        FloatKind::F64 if nearest => files.map3_64(mask, regs, |a, b, c| {
            canonical64(f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)))
        }),
        FloatKind::F64 => {
            let format = Format::of(FloatKind::F64);
            files.map3_64(mask, regs, |a, b, c| soft::compute(Arithmetic::Fma, format, mode.round, [a, b, c]));
        }
        _ => float16::fma(files, kind, mode, mask, regs),
    }
}
