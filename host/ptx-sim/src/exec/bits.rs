//! Operations on the bits and bytes of words.

use super::lanes::{Files, LANES};
use crate::ir::op::{Count, Op, Reg};
use crate::ir::types::Width;

/// Position of the highest bit that differs from the sign (or is set), all ones if there is none.
fn find(value: u64, bits: u32, signed: bool) -> u32 {
    let negative = signed && value >> (bits - 1) & 1 == 1;
    let value = if negative { !value & (u64::MAX >> (64 - bits)) } else { value };
    if value == 0 { u32::MAX } else { 63 - value.leading_zeros() }
}

fn count_of(op: Count, value: u64, bits: u32) -> u32 {
    let found = |signed| find(value, bits, signed);
    let shift = |found: u32| if found == u32::MAX { found } else { bits - 1 - found };
    match op {
        Count::Popc => value.count_ones(),
        Count::Clz => value.leading_zeros() - (64 - bits),
        Count::FindS => found(true),
        Count::FindU => found(false),
        Count::FindShiftS => shift(found(true)),
        Count::FindShiftU => shift(found(false)),
    }
}

#[inline(never)]
pub(super) fn count(files: &mut Files, op: Count, width: Width, mask: u32, d: Reg, a: Reg) {
    let mut out = [0; LANES];
    if width == Width::W64 {
        let a = files.r64(a);
        for lane in 0..LANES {
            out[lane] = count_of(op, a[lane], 64);
        }
    } else {
        let a = files.r32(a);
        for lane in 0..LANES {
            out[lane] = count_of(op, u64::from(a[lane]), 32);
        }
    }
    files.put32(d, mask, &out);
}

/// `bfe`: bits beyond the value repeat its sign (signed) or are zero.
fn extract(value: u64, bits: u32, pos: u32, len: u32, signed: bool) -> u64 {
    let (pos, len) = (pos & 0xFF, len & 0xFF);
    if len == 0 {
        return 0;
    }
    let wide = if signed { ((value << (64 - bits)) as i64 >> (64 - bits)) as i128 } else { i128::from(value) };
    let shifted = if pos >= bits { if wide < 0 { -1 } else { 0 } } else { wide >> pos };
    if len >= bits {
        return shifted as u64;
    }
    let cut = shifted & ((1 << len) - 1);
    // The sign is that of the highest bit taken, or of the value where the field reaches beyond it.
    let top = (pos + len - 1).min(bits - 1);
    let negative = signed && value >> top & 1 == 1;
    (if negative { cut | (-1 << len) } else { cut }) as u64
}

/// `bfi`: `len` low bits of `a` into `b` at `pos`.
fn insert(a: u64, b: u64, bits: u32, pos: u32, len: u32) -> u64 {
    let (pos, len) = (pos & 0xFF, (len & 0xFF).min(bits));
    if len == 0 || pos >= bits {
        return b;
    }
    let field = ((1_u128 << len) - 1) << pos;
    (((u128::from(b) & !field) | ((u128::from(a) << pos) & field)) & ((1_u128 << bits) - 1)) as u64
}

#[inline(never)]
pub(super) fn bit_field(files: &mut Files, op: &Op, mask: u32) {
    match *op {
        Op::BitExtract { signed, width: Width::W64, d, a, b, c } => {
            let mut out = [0; LANES];
            for (lane, slot) in out.iter_mut().enumerate() {
                *slot = extract(files.r64(a)[lane], 64, files.r32(b)[lane], files.r32(c)[lane], signed);
            }
            files.put64(d, mask, &out);
        }
        Op::BitExtract { signed, d, a, b, c, .. } => {
            files.map3_32(mask, [d, a, b, c], |a, b, c| extract(u64::from(a), 32, b, c, signed) as u32);
        }
        Op::BitInsert { width, d, a, b, c, e } => {
            let (mut out32, mut out64) = ([0; LANES], [0; LANES]);
            let (pos, len) = (*files.r32(c), *files.r32(e));
            for lane in 0..LANES {
                if width == Width::W64 {
                    out64[lane] = insert(files.r64(a)[lane], files.r64(b)[lane], 64, pos[lane], len[lane]);
                } else {
                    let (a, b) = (u64::from(files.r32(a)[lane]), u64::from(files.r32(b)[lane]));
                    out32[lane] = insert(a, b, 32, pos[lane], len[lane]) as u32;
                }
            }
            match width {
                Width::W64 => files.put64(d, mask, &out64),
                _ => files.put32(d, mask, &out32),
            }
        }
        _ => {}
    }
}

/// `prmt` in its default mode: byte `i` of the result is chosen by nibble `i` of the selector.
#[inline(always)]
pub(super) fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let mut out = 0;
    for index in 0..4 {
        let nibble = selector >> (4 * index) & 0xF;
        let byte = (bytes >> (8 * (nibble & 7))) as u8;
        // The nibble's high bit asks for the byte's sign, eight times.
        let byte = if nibble & 8 == 0 { byte } else { ((byte as i8) >> 7) as u8 };
        out |= u32::from(byte) << (8 * index);
    }
    out
}

/// `lop3`: the table has a bit for each combination of the three inputs.
#[inline(always)]
pub(super) fn lop3(table: u8, a: u32, b: u32, c: u32) -> u32 {
    let mut out = 0;
    for row in 0..8_u8 {
        if table >> row & 1 == 1 {
            let pick = |value: u32, bit: u8| if row >> bit & 1 == 1 { value } else { !value };
            out |= pick(a, 2) & pick(b, 1) & pick(c, 0);
        }
    }
    out
}

/// `shf`: the pair `b:a` shifted, of which the high (left) or low (right) half is kept.
#[inline(always)]
pub(super) fn funnel(left: bool, clamp: bool, a: u32, b: u32, c: u32) -> u32 {
    let pair = u64::from(b) << 32 | u64::from(a);
    let amount = if clamp { c.min(32) } else { c & 31 };
    if left { ((pair << amount) >> 32) as u32 } else { (pair >> amount) as u32 }
}

/// `dp4a`: the sum of four products of bytes, and `c`.
#[inline(always)]
pub(super) fn dot4(a_signed: bool, b_signed: bool, a: u32, b: u32, c: u32) -> u32 {
    let byte = |value: u32, index: u32, signed: bool| {
        let byte = (value >> (8 * index)) as u8;
        if signed { i32::from(byte as i8) } else { i32::from(byte) }
    };
    (0..4).fold(c, |sum, index| sum.wrapping_add((byte(a, index, a_signed) * byte(b, index, b_signed)) as u32))
}
