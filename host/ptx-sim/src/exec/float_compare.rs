//! Floating-point comparisons and tests on all lanes.

use super::float::flush32;
use super::float16::Format;
use super::lanes::{Files, LANES};
use crate::ir::op::{FloatTest, Reg};
use crate::ir::types::{Compare, FloatKind};

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
            let format = Format::of(kind);
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
