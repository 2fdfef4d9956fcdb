//! Integer operations on words (PTX ISA 9.7.1 and 9.7.9.7).

use super::lanes::{Files, LANES, each, lanes_of};
use crate::ir::words::{MadCarry, Pick, WordOp, Words};

#[inline(never)]
pub(super) fn words(files: &mut Files, op: &WordOp, mask: u32) {
    let value = |reg: crate::ir::op::Reg, lane: usize| if reg.is_none() { 0 } else { files.r32(reg)[lane] };
    let mut out = [0; LANES];
    for lane in lanes_of(mask) {
        out[lane] = compute(op.what, value(op.a, lane), value(op.b, lane), value(op.c, lane));
    }
    files.put32(op.d, mask, &out);
}

fn compute(what: Words, a: u32, b: u32, c: u32) -> u32 {
    match what {
        Words::FindNth => find_nth(a, b, c as i32),
        Words::Extend { signed, clamp } => extend(signed, clamp, a, b),
        Words::Mask { clamp } => mask(clamp, a, b),
        Words::Dot2 { a_signed, b_signed, high } => dot2(a_signed, b_signed, high, [a, b, c]),
        Words::Pick(pick) => bytes(pick, a, b, c & 3),
        Words::Mul24 { signed, high, saturate } => mul24(signed, high, saturate, [a, b, c]),
        Words::MadHighSaturating => {
            let product = (i64::from(a as i32) * i64::from(b as i32)) >> 32;
            (product as i32).saturating_add(c as i32) as u32
        }
        Words::AddPairs => halves(a, b, u16::wrapping_add),
        Words::SelectPairs { max, signed, relu } => halves(a, b, |a, b| match signed {
            true => select(max, relu, i32::from(a as i16), i32::from(b as i16)) as u16,
            false => select(max, false, i32::from(a), i32::from(b)) as u16,
        }),
        Words::PackClamped { bits, signed } => pack(u32::from(bits), signed, [a, b, c]),
        Words::SelectRelu { max } => select(max, true, a as i32, b as i32) as u32,
    }
}

fn select(max: bool, relu: bool, a: i32, b: i32) -> i32 {
    let chosen = if max { a.max(b) } else { a.min(b) };
    if relu { chosen.max(0) } else { chosen }
}

fn halves(a: u32, b: u32, f: impl Fn(u16, u16) -> u16) -> u32 {
    u32::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16 | u32::from(f(a as u16, b as u16))
}

fn pack(bits: u32, signed: bool, [a, b, c]: [u32; 3]) -> u32 {
    let (least, most) = if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
    let clamped = |value: u32| (value as i32).clamp(least, most) as u32 & ((1 << bits) - 1);
    // Sixteen bits each leave no room for the third.
    c.checked_shl(2 * bits).unwrap_or(0) | clamped(a) << bits | clamped(b)
}

/// Searches upwards for a positive `nth`, downwards for a negative one; 0 asks for bit `base` itself.
fn find_nth(a: u32, base: u32, nth: i32) -> u32 {
    let set = |at: i64| (0..32).contains(&at) && a >> at & 1 == 1;
    if nth == 0 {
        return if set(i64::from(base)) { base } else { u32::MAX };
    }
    let mut left = nth.unsigned_abs();
    let mut at = i64::from(base);
    while (0..32).contains(&at) {
        left -= u32::from(set(at));
        if left == 0 {
            return at as u32;
        }
        at += i64::from(nth.signum());
    }
    u32::MAX
}

fn extend(signed: bool, clamp: bool, a: u32, bits: u32) -> u32 {
    match if clamp { bits } else { bits & 31 } {
        0 => 0,
        32.. => a,
        bits if signed => ((a << (32 - bits)) as i32 >> (32 - bits)) as u32,
        bits => a & ((1 << bits) - 1),
    }
}

fn mask(clamp: bool, at: u32, bits: u32) -> u32 {
    let (at, bits) = if clamp { (at.min(32), bits.min(32)) } else { (at & 31, bits & 31) };
    // What reaches beyond bit 31 is cut off.
    (((1_u64 << bits) - 1) << at) as u32
}

fn dot2(a_signed: bool, b_signed: bool, high: bool, [a, b, c]: [u32; 3]) -> u32 {
    (0..2).fold(c, |sum, i| {
        let half = (a >> (16 * i)) as u16;
        let byte = (b >> (8 * i + if high { 16 } else { 0 })) as u8;
        let half = if a_signed { i32::from(half as i16) } else { i32::from(half) };
        let byte = if b_signed { i32::from(byte as i8) } else { i32::from(byte) };
        sum.wrapping_add((half * byte) as u32)
    })
}

fn bytes(pick: Pick, a: u32, b: u32, by: u32) -> u32 {
    let source = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |out, i| {
        let from = match pick {
            Pick::Forward4 => by + i,
            Pick::Backward4 => by.wrapping_sub(i) & 7,
            Pick::Replicate8 => by,
            Pick::ClampLeft => i.max(by),
            Pick::ClampRight => i.min(by),
            Pick::Replicate16 => 2 * (by & 1) + (i & 1),
        };
        out | ((source >> (8 * from)) as u32 & 0xFF) << (8 * i)
    })
}

/// The product of the low 24 bits is 48 bits wide; the high form takes its upper 32.
fn mul24(signed: bool, high: bool, saturate: bool, [a, b, c]: [u32; 3]) -> u32 {
    let low24 = |value: u32| match signed {
        true => i64::from((value << 8) as i32 >> 8),
        false => i64::from(value & 0xFF_FFFF),
    };
    let product = low24(a) * low24(b);
    let part = if high { product >> 16 } else { product } as u32;
    if saturate { (part as i32).saturating_add(c as i32) as u32 } else { part.wrapping_add(c) }
}

/// Returns the carry flags of all lanes.
#[inline(never)]
pub(super) fn mad_carry(files: &mut Files, op: &MadCarry, mask: u32, flags: u32) -> u32 {
    let MadCarry { wide, high, signed, carry_in, carry_out, d, a, b, c } = *op;
    let bits = if wide { 64 } else { 32 };
    let value = |reg, lane: usize| if wide { files.r64(reg)[lane] } else { u64::from(files.r32(reg)[lane]) };
    let number = |value: u64| match (signed, wide) {
        (true, true) => i128::from(value as i64),
        (true, false) => i128::from(value as u32 as i32),
        (false, _) => i128::from(value),
    };
    let mut new = flags;
    let mut out = [0_u64; LANES];
    for lane in lanes_of(mask) {
        // Bits of the product are the same however far it is extended; unsigned ones fill i128 without its sign.
        let product = number(value(a, lane)).wrapping_mul(number(value(b, lane))) as u128;
        let part = (if high { product >> bits } else { product }) & (u128::MAX >> (128 - bits));
        let sum = part + u128::from(value(c, lane)) + u128::from(carry_in && flags >> lane & 1 == 1);
        out[lane] = sum as u64;
        if carry_out {
            new = (new & !(1 << lane)) | ((sum >> bits) as u32 & 1) << lane;
        }
    }
    match wide {
        true => files.put64(d, mask, &out),
        false => files.put32(d, mask, &each(&out, |value| value as u32)),
    }
    new
}
