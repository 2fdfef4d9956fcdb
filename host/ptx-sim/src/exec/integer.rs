//! Integer arithmetic and logic on all lanes. 16-bit values live zero-extended in 32-bit slots.

use super::lanes::{Files, LANES};
use crate::ir::op::{Int1, Int2, Op, Reg, Shift};
use crate::ir::types::{Compare, IntKind, Logic, Width};

#[inline(always)]
fn sext16(value: u32) -> i32 {
    i32::from(value as u16 as i16)
}

macro_rules! int2_word {
    ($u:ty, $s:ty, $wide_u:ty, $wide_s:ty, $name:ident, $map:ident) => {
        #[inline(always)]
        fn $name(files: &mut Files, op: Int2, mask: u32, regs: [Reg; 3]) {
            const BITS: u32 = <$u>::BITS;
            match op {
                Int2::Add => files.$map(mask, regs, |a, b| a.wrapping_add(b)),
                Int2::Sub => files.$map(mask, regs, |a, b| a.wrapping_sub(b)),
                Int2::MulLo => files.$map(mask, regs, |a, b| a.wrapping_mul(b)),
                Int2::MulHiS => {
                    files.$map(mask, regs, |a, b| ((a as $s as $wide_s).wrapping_mul(b as $s as $wide_s) >> BITS) as $u)
                }
                Int2::MulHiU => files.$map(mask, regs, |a, b| ((a as $wide_u * b as $wide_u) >> BITS) as $u),
                // PTX leaves division by zero open; GPUs give all ones.
                Int2::DivS => {
                    files.$map(
                        mask,
                        regs,
                        |a, b| if b == 0 { <$u>::MAX } else { (a as $s).wrapping_div(b as $s) as $u },
                    );
                }
                Int2::DivU => files.$map(mask, regs, |a, b| a.checked_div(b).unwrap_or(<$u>::MAX)),
                Int2::RemS => {
                    files.$map(mask, regs, |a, b| if b == 0 { a } else { (a as $s).wrapping_rem(b as $s) as $u })
                }
                Int2::RemU => files.$map(mask, regs, |a, b| a.checked_rem(b).unwrap_or(a)),
                Int2::MinS => files.$map(mask, regs, |a, b| (a as $s).min(b as $s) as $u),
                Int2::MinU => files.$map(mask, regs, |a, b| a.min(b)),
                Int2::MaxS => files.$map(mask, regs, |a, b| (a as $s).max(b as $s) as $u),
                Int2::MaxU => files.$map(mask, regs, |a, b| a.max(b)),
                Int2::And => files.$map(mask, regs, |a, b| a & b),
                Int2::Or => files.$map(mask, regs, |a, b| a | b),
                Int2::Xor => files.$map(mask, regs, |a, b| a ^ b),
                Int2::AddSatS => files.$map(mask, regs, |a, b| (a as $s).saturating_add(b as $s) as $u),
                Int2::SubSatS => files.$map(mask, regs, |a, b| (a as $s).saturating_sub(b as $s) as $u),
            }
        }
    };
}

int2_word!(u32, i32, u64, i64, int2_32, map2_32);
int2_word!(u64, i64, u128, i128, int2_64, map2_64);

/// The value of a 16-bit operation on its zero-extended operands.
fn int2_16(op: Int2, a: u32, b: u32) -> u32 {
    let (sa, sb) = (sext16(a), sext16(b));
    let value = match op {
        Int2::Add => a.wrapping_add(b),
        Int2::Sub => a.wrapping_sub(b),
        Int2::MulLo => a.wrapping_mul(b),
        Int2::MulHiS => (sa.wrapping_mul(sb) >> 16) as u32,
        Int2::MulHiU => a.wrapping_mul(b) >> 16,
        Int2::DivS => {
            if b == 0 {
                u32::MAX
            } else {
                sa.wrapping_div(sb) as u32
            }
        }
        Int2::DivU => a.checked_div(b).unwrap_or(u32::MAX),
        Int2::RemS => {
            if b == 0 {
                a
            } else {
                sa.wrapping_rem(sb) as u32
            }
        }
        Int2::RemU => a.checked_rem(b).unwrap_or(a),
        Int2::MinS => sa.min(sb) as u32,
        Int2::MinU => a.min(b),
        Int2::MaxS => sa.max(sb) as u32,
        Int2::MaxU => a.max(b),
        Int2::And => a & b,
        Int2::Or => a | b,
        Int2::Xor => a ^ b,
        Int2::AddSatS => (sa + sb).clamp(-0x8000, 0x7FFF) as u32,
        Int2::SubSatS => (sa - sb).clamp(-0x8000, 0x7FFF) as u32,
    };
    value & 0xFFFF
}

#[inline(always)]
pub(super) fn int2(files: &mut Files, op: Int2, width: Width, mask: u32, regs: [Reg; 3]) {
    match width {
        Width::W32 => int2_32(files, op, mask, regs),
        Width::W64 => int2_64(files, op, mask, regs),
        Width::W16 => files.map2_32(mask, regs, |a, b| int2_16(op, a, b)),
    }
}

#[inline(always)]
pub(super) fn int1(files: &mut Files, op: Int1, width: Width, mask: u32, d: Reg, a: Reg) {
    match width {
        Width::W32 => match op {
            Int1::Neg => files.map1_32(mask, d, a, u32::wrapping_neg),
            Int1::Abs => files.map1_32(mask, d, a, |a| (a as i32).wrapping_abs() as u32),
            Int1::Not => files.map1_32(mask, d, a, |a| !a),
            Int1::CNot => files.map1_32(mask, d, a, |a| u32::from(a == 0)),
            Int1::Brev => files.map1_32(mask, d, a, u32::reverse_bits),
        },
        Width::W64 => match op {
            Int1::Neg => files.map1_64(mask, d, a, u64::wrapping_neg),
            Int1::Abs => files.map1_64(mask, d, a, |a| (a as i64).wrapping_abs() as u64),
            Int1::Not => files.map1_64(mask, d, a, |a| !a),
            Int1::CNot => files.map1_64(mask, d, a, |a| u64::from(a == 0)),
            Int1::Brev => files.map1_64(mask, d, a, u64::reverse_bits),
        },
        Width::W16 => match op {
            Int1::Neg => files.map1_32(mask, d, a, |a| a.wrapping_neg() & 0xFFFF),
            Int1::Abs => files.map1_32(mask, d, a, |a| sext16(a).unsigned_abs() & 0xFFFF),
            Int1::Not => files.map1_32(mask, d, a, |a| !a & 0xFFFF),
            Int1::CNot => files.map1_32(mask, d, a, |a| u32::from(a == 0)),
            Int1::Brev => files.map1_32(mask, d, a, |a| u32::from((a as u16).reverse_bits())),
        },
    }
}

/// Shift amounts clamp at the width, they do not wrap.
#[inline(always)]
pub(super) fn shift(files: &mut Files, op: Shift, width: Width, mask: u32, [d, a, b]: [Reg; 3]) {
    match width {
        Width::W32 => match op {
            Shift::Left => files.map2_32(mask, [d, a, b], |a, b| if b > 31 { 0 } else { a << (b & 31) }),
            Shift::RightU => files.map2_32(mask, [d, a, b], |a, b| if b > 31 { 0 } else { a >> (b & 31) }),
            Shift::RightS => files.map2_32(mask, [d, a, b], |a, b| ((a as i32) >> b.min(31)) as u32),
        },
        Width::W16 => match op {
            Shift::Left => files.map2_32(mask, [d, a, b], |a, b| if b > 15 { 0 } else { (a << (b & 15)) & 0xFFFF }),
            Shift::RightU => files.map2_32(mask, [d, a, b], |a, b| if b > 15 { 0 } else { a >> (b & 15) }),
            Shift::RightS => files.map2_32(mask, [d, a, b], |a, b| (sext16(a) >> b.min(15)) as u32 & 0xFFFF),
        },
        Width::W64 => {
            let (a, b) = (files.r64(a), files.r32(b));
            let mut out = [0; LANES];
            for lane in 0..LANES {
                let (a, b) = (a[lane], b[lane]);
                out[lane] = match op {
                    Shift::Left => {
                        if b > 63 {
                            0
                        } else {
                            a << (b & 63)
                        }
                    }
                    Shift::RightU => {
                        if b > 63 {
                            0
                        } else {
                            a >> (b & 63)
                        }
                    }
                    Shift::RightS => ((a as i64) >> b.min(63)) as u64,
                };
            }
            files.put64(d, mask, &out);
        }
    }
}

#[inline(always)]
pub(super) fn mad(files: &mut Files, op: Int2, width: Width, mask: u32, regs: [Reg; 4]) {
    match (width, op) {
        (Width::W32, Int2::MulHiS) => files.map3_32(mask, regs, |a, b, c| {
            ((i64::from(a as i32) * i64::from(b as i32)) >> 32).wrapping_add(i64::from(c)) as u32
        }),
        (Width::W32, Int2::MulHiU) => {
            files
                .map3_32(mask, regs, |a, b, c| ((u64::from(a) * u64::from(b)) >> 32).wrapping_add(u64::from(c)) as u32);
        }
        (Width::W32, _) => files.map3_32(mask, regs, |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
        (Width::W64, Int2::MulHiS) => files.map3_64(mask, regs, |a, b, c| {
            ((i128::from(a as i64) * i128::from(b as i64)) >> 64).wrapping_add(i128::from(c)) as u64
        }),
        (Width::W64, Int2::MulHiU) => {
            files.map3_64(mask, regs, |a, b, c| (((u128::from(a) * u128::from(b)) >> 64) as u64).wrapping_add(c));
        }
        (Width::W64, _) => files.map3_64(mask, regs, |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
        (Width::W16, _) => files.map3_32(mask, regs, |a, b, c| int2_16(op, a, b).wrapping_add(c) & 0xFFFF),
    }
}

/// The product of two 16- or 32-bit values in twice their width.
#[inline(always)]
fn wide_product(kind: IntKind, a: u32, b: u32) -> u64 {
    match kind {
        IntKind::S16 => i64::from(sext16(a) * sext16(b)) as u64,
        IntKind::U16 => u64::from((a & 0xFFFF) * (b & 0xFFFF)),
        IntKind::S32 | IntKind::S64 => (i64::from(a as i32) * i64::from(b as i32)) as u64,
        IntKind::U32 | IntKind::U64 => u64::from(a) * u64::from(b),
    }
}

#[inline(always)]
pub(super) fn mad_wide(files: &mut Files, kind: IntKind, mask: u32, [d, a, b]: [Reg; 3], c: Option<Reg>) {
    if matches!(kind, IntKind::S16 | IntKind::U16) {
        match c {
            Some(c) => files.map3_32(mask, [d, a, b, c], |a, b, c| (wide_product(kind, a, b) as u32).wrapping_add(c)),
            None => files.map2_32(mask, [d, a, b], |a, b| wide_product(kind, a, b) as u32),
        }
        return;
    }
    let mut out = [0; LANES];
    let (x, y) = (files.r32(a), files.r32(b));
    // One loop for each sign, so that each is a vector multiplication.
    if kind == IntKind::U32 {
        for lane in 0..LANES {
            out[lane] = wide_product(IntKind::U32, x[lane], y[lane]);
        }
    } else {
        for lane in 0..LANES {
            out[lane] = wide_product(IntKind::S32, x[lane], y[lane]);
        }
    }
    if let Some(c) = c {
        let c = files.r64(c);
        for lane in 0..LANES {
            out[lane] = out[lane].wrapping_add(c[lane]);
        }
    }
    files.put64(d, mask, &out);
}

/// `add.cc` and its like; returns the carry flags of all lanes.
#[inline(never)]
pub(super) fn carry(files: &mut Files, op: &Op, mask: u32, flags: u32) -> u32 {
    let Op::Carry { subtract, width, carry_in, carry_out, d, a, b } = *op else { return flags };
    let mut new = flags;
    let (mut out32, mut out64) = ([0; LANES], [0; LANES]);
    for lane in 0..LANES {
        let bits = if width == Width::W64 { 64 } else { 32 };
        let (a, b) = match width {
            Width::W64 => (files.r64(a)[lane], files.r64(b)[lane]),
            _ => (u64::from(files.r32(a)[lane]), u64::from(files.r32(b)[lane])),
        };
        let flag = u128::from(carry_in && flags >> lane & 1 == 1);
        // A borrow is kept as the flag itself: 1 means that one more has to be taken away.
        let sum = match subtract {
            false => u128::from(a) + u128::from(b) + flag,
            true => u128::from(a).wrapping_sub(u128::from(b)).wrapping_sub(flag),
        };
        let over = (sum >> bits & 1) as u32;
        if carry_out && mask >> lane & 1 == 1 {
            new = (new & !(1 << lane)) | (over << lane);
        }
        out64[lane] = sum as u64;
        out32[lane] = sum as u32;
    }
    match width {
        Width::W64 => files.put64(d, mask, &out64),
        _ => files.put32(d, mask, &out32),
    }
    new
}

#[inline(never)]
pub(super) fn sad(files: &mut Files, kind: IntKind, mask: u32, regs: [Reg; 4]) {
    match kind {
        IntKind::S16 => {
            files.map3_32(mask, regs, |a, b, c| sext16(a).abs_diff(sext16(b)).wrapping_add(c) & 0xFFFF);
        }
        IntKind::U16 => files.map3_32(mask, regs, |a, b, c| a.abs_diff(b).wrapping_add(c) & 0xFFFF),
        IntKind::S32 => files.map3_32(mask, regs, |a, b, c| (a as i32).abs_diff(b as i32).wrapping_add(c)),
        IntKind::U32 => files.map3_32(mask, regs, |a, b, c| a.abs_diff(b).wrapping_add(c)),
        IntKind::S64 => files.map3_64(mask, regs, |a, b, c| (a as i64).abs_diff(b as i64).wrapping_add(c)),
        IntKind::U64 => files.map3_64(mask, regs, |a, b, c| a.abs_diff(b).wrapping_add(c)),
    }
}

macro_rules! compare_with {
    ($files:expr, $test:ident, $op:expr, $mask:expr, $regs:expr, $cast:expr) => {{
        let cast = $cast;
        match $op {
            Compare::Eq => $files.$test($mask, $regs, |a, b| a == b),
            Compare::Lt => $files.$test($mask, $regs, |a, b| cast(a) < cast(b)),
            Compare::Le => $files.$test($mask, $regs, |a, b| cast(a) <= cast(b)),
            Compare::Gt => $files.$test($mask, $regs, |a, b| cast(a) > cast(b)),
            Compare::Ge => $files.$test($mask, $regs, |a, b| cast(a) >= cast(b)),
            _ => $files.$test($mask, $regs, |a, b| a != b),
        }
    }};
}

#[inline(always)]
pub(super) fn compare(files: &mut Files, op: Compare, kind: IntKind, mask: u32, regs: [Reg; 3]) {
    match kind {
        IntKind::S16 => compare_with!(files, test2_32, op, mask, regs, sext16),
        IntKind::S32 => compare_with!(files, test2_32, op, mask, regs, |a: u32| a as i32),
        IntKind::U16 | IntKind::U32 => compare_with!(files, test2_32, op, mask, regs, |a: u32| a),
        IntKind::S64 => compare_with!(files, test2_64, op, mask, regs, |a: u64| a as i64),
        IntKind::U64 => compare_with!(files, test2_64, op, mask, regs, |a: u64| a),
    }
}

#[inline(always)]
pub(super) fn logic(op: Logic, a: u32, b: u32) -> u32 {
    match op {
        Logic::And => a & b,
        Logic::Or => a | b,
        Logic::Xor => a ^ b,
    }
}
