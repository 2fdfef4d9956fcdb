//! Conversions on all lanes.

use super::float::{canonical32, flush32};
use super::half::{bf16_to_f32, f16_to_f32, f64_to_bf16, f64_to_f16};
use super::lanes::{Files, LANES, each};
use super::soft::{Finite, Format};
use crate::ir::op::{Convert, FloatMode, Reg};
use crate::ir::types::{File, FloatKind, Round, Type, Width};

/// The value of `bits` read as an integer of type `ty`.
#[inline(always)]
fn integer(bits: u64, ty: Type) -> i128 {
    match ty {
        Type::S8 => i128::from(bits as i8),
        Type::S16 => i128::from(bits as i16),
        Type::S32 => i128::from(bits as i32),
        Type::S64 => i128::from(bits as i64),
        Type::U8 => i128::from(bits as u8),
        Type::U16 => i128::from(bits as u16),
        Type::U32 => i128::from(bits as u32),
        _ => i128::from(bits),
    }
}

/// Least and greatest value of an integer type.
fn range(ty: Type) -> (i128, i128) {
    let bits = ty.bytes() * 8;
    if ty.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// `value` cut to `ty`, extended with its sign to the register.
#[inline(always)]
fn fit(value: i128, ty: Type, reg: Width) -> u64 {
    let cut = integer(value as u64, ty) as u64;
    match reg {
        Width::W16 => cut & 0xFFFF,
        Width::W32 => cut & 0xFFFF_FFFF,
        Width::W64 => cut,
    }
}

#[inline(always)]
pub(super) fn convert(files: &mut Files, how: Convert, reg: Width, mask: u32, d: Reg, a: Reg) {
    match how {
        Convert::IntToInt { from, to, saturate } => int_to_int(files, from, to, saturate, reg, mask, d, a),
        Convert::FloatToInt { from: FloatKind::F32, to: Type::S8, round: Round::NearestEven, .. } => {
            // The heart of every quantizer; `as` clamps and turns NaN into 0 just as the instruction does.
            let keep = if reg == Width::W16 { 0xFFFF } else { u32::MAX };
            if reg != Width::W64 {
                files.map1_32(mask, d, a, |a| i32::from(f32::from_bits(a).round_ties_even() as i8) as u32 & keep);
                return;
            }
            float_to_int(files, how, reg, mask, d, a);
        }
        Convert::FloatToInt { .. } => float_to_int(files, how, reg, mask, d, a),
        Convert::IntToFloat { from: Type::S32, to: FloatKind::F32, round: Round::NearestEven, saturate: false } => {
            files.map1_32(mask, d, a, |a| (a as i32 as f32).to_bits());
        }
        Convert::IntToFloat { .. } => int_to_float(files, how, mask, d, a),
        Convert::FloatToFloat { from: FloatKind::F16, to: FloatKind::F32, mode, .. }
            if mode == FloatMode::default() =>
        {
            files.map1_32(mask, d, a, |a| f16_to_f32(a as u16).to_bits());
        }
        Convert::FloatToFloat { .. } => float_to_float(files, how, mask, d, a),
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the fields of one operation")]
fn int_to_int(files: &mut Files, from: Type, to: Type, saturate: bool, reg: Width, mask: u32, d: Reg, a: Reg) {
    if !saturate {
        // What compilers write all the time: widening and cutting between 32 and 64 bits.
        match (from, to, reg) {
            (Type::U32, Type::U64 | Type::S64, Width::W64) => return widen(files, mask, d, a, u64::from),
            (Type::S32, Type::U64 | Type::S64, Width::W64) => return widen(files, mask, d, a, |a| a as i32 as u64),
            (Type::U64 | Type::S64, Type::U32 | Type::S32, Width::W32) => {
                let a = files.r64(a);
                let mut out = [0; LANES];
                for lane in 0..LANES {
                    out[lane] = a[lane] as u32;
                }
                return files.put32(d, mask, &out);
            }
            (Type::U32 | Type::S32 | Type::U16, Type::U16, _) if reg != Width::W64 => {
                return files.map1_32(mask, d, a, |a| a & 0xFFFF);
            }
            (Type::U16, Type::U32 | Type::S32, Width::W32) => return files.map1_32(mask, d, a, |a| a & 0xFFFF),
            _ => {}
        }
    }
    int_to_int_slowly(files, (from, to, saturate), reg, mask, d, a);
}

#[inline(never)]
fn int_to_int_slowly(files: &mut Files, how: (Type, Type, bool), reg: Width, mask: u32, d: Reg, a: Reg) {
    let (from, to, saturate) = how;
    let (least, most) = range(to);
    let mut out = [0; LANES];
    for (lane, slot) in out.iter_mut().enumerate() {
        let bits = if from.file() == File::W64 { files.r64(a)[lane] } else { u64::from(files.r32(a)[lane]) };
        let value = integer(bits, from);
        *slot = fit(if saturate { value.clamp(least, most) } else { value }, to, reg);
    }
    put(files, reg, mask, d, &out);
}

#[inline(always)]
fn widen(files: &mut Files, mask: u32, d: Reg, a: Reg, f: impl Fn(u32) -> u64) {
    let a = files.r32(a);
    let mut out = [0; LANES];
    for lane in 0..LANES {
        out[lane] = f(a[lane]);
    }
    files.put64(d, mask, &out);
}

#[inline(always)]
fn put(files: &mut Files, reg: Width, mask: u32, d: Reg, values: &[u64; LANES]) {
    if reg == Width::W64 {
        files.put64(d, mask, values);
    } else {
        files.put32(d, mask, &each(values, |value| value as u32));
    }
}

/// The operand of a lane, widened exactly.
#[inline(always)]
fn wide(files: &Files, kind: FloatKind, lane: usize, a: Reg) -> f64 {
    match kind {
        FloatKind::F64 => f64::from_bits(files.r64(a)[lane]),
        FloatKind::F32 => f64::from(f32::from_bits(files.r32(a)[lane])),
        FloatKind::F16 | FloatKind::F16x2 => f64::from(f16_to_f32(files.r32(a)[lane] as u16)),
        FloatKind::BF16 | FloatKind::BF16x2 => f64::from(bf16_to_f32(files.r32(a)[lane] as u16)),
    }
}

fn to_integral(value: f64, round: Round) -> f64 {
    match round {
        Round::NearestEven => value.round_ties_even(),
        Round::Zero => value.trunc(),
        Round::Down => value.floor(),
        Round::Up => value.ceil(),
    }
}

/// The value of a conversion to an integer, clamped to its type.
pub(super) fn rounded_integer(value: f64, from: FloatKind, to: Type, round: Round) -> i128 {
    let (least, most) = range(to);
    if value.is_nan() {
        // PTX: 0 where the source is not f64 and the result not 64 bits wide, else the pattern 0x80..0.
        let zero = from != FloatKind::F64 && to.bytes() < 8;
        return if zero { 0 } else { integer(1 << (to.bytes() * 8 - 1), to) };
    }
    // The cast clamps to i128, which holds every 64-bit value.
    (to_integral(value, round) as i128).clamp(least, most)
}

#[inline(never)]
fn float_to_int(files: &mut Files, how: Convert, reg: Width, mask: u32, d: Reg, a: Reg) {
    let Convert::FloatToInt { from, to, round, flush } = how else { return };
    let mut out = [0; LANES];
    for (lane, slot) in out.iter_mut().enumerate() {
        let value = wide(files, from, lane, a);
        let value = if flush && from == FloatKind::F32 { f64::from(flush32(value as f32)) } else { value };
        *slot = fit(rounded_integer(value, from, to, round), to, reg);
    }
    put(files, reg, mask, d, &out);
}

#[inline(never)]
fn int_to_float(files: &mut Files, how: Convert, mask: u32, d: Reg, a: Reg) {
    let Convert::IntToFloat { from, to, round, saturate } = how else { return };
    let mut out = [0; LANES];
    for (lane, slot) in out.iter_mut().enumerate() {
        let bits = if from.file() == File::W64 { files.r64(a)[lane] } else { u64::from(files.r32(a)[lane]) };
        let value = integer(bits, from);
        // Clamped before it is rounded: 0 and 1 are exact.
        let value = if saturate { value.clamp(0, 1) } else { value };
        let exact = Finite { negative: value < 0, significand: value.unsigned_abs(), exponent: 0 };
        *slot = Format::of(to).pack(exact, round);
    }
    put(files, if to == FloatKind::F64 { Width::W64 } else { Width::W32 }, mask, d, &out);
}

/// `value`, whose `.ftz` is done, in the format `to`.
fn narrow(value: f64, to: FloatKind, mode: FloatMode) -> u64 {
    // -0 and negatives become +0; a NaN stays one.
    let value = if mode.relu && !value.is_nan() && value.is_sign_negative() { 0.0 } else { value };
    match to {
        FloatKind::F64 if value.is_nan() => 0x7FFF_FFFF_FFFF_FFFF,
        FloatKind::F64 => value.to_bits(),
        FloatKind::F32 if mode.round == Round::NearestEven => u64::from(canonical32(value as f32)),
        FloatKind::F32 => Format::of(FloatKind::F64).convert(value.to_bits(), Format::of(to), mode.round),
        FloatKind::F16 | FloatKind::F16x2 => u64::from(f64_to_f16(value, mode.round)),
        FloatKind::BF16 | FloatKind::BF16x2 => u64::from(f64_to_bf16(value, mode.round)),
    }
}

#[inline(never)]
fn float_to_float(files: &mut Files, how: Convert, mask: u32, d: Reg, a: Reg) {
    let Convert::FloatToFloat { from, to, integral, mode } = how else { return };
    let mut out = [0; LANES];
    for (lane, slot) in out.iter_mut().enumerate() {
        let mut value = wide(files, from, lane, a);
        if mode.flush && from == FloatKind::F32 {
            value = f64::from(flush32(value as f32));
        }
        if integral {
            value = to_integral(value, mode.round);
        }
        if mode.saturate {
            value = if value > 0.0 { value.min(1.0) } else { 0.0 };
        }
        let bits = narrow(value, to, mode);
        *slot = match to {
            FloatKind::F32 if mode.flush => u64::from(flush32(f32::from_bits(bits as u32)).to_bits()),
            _ => bits,
        };
    }
    put(files, if to == FloatKind::F64 { Width::W64 } else { Width::W32 }, mask, d, &out);
}
