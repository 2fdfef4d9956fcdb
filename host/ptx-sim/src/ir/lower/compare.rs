//! Comparison and selection.

use super::mods::Mods;
use super::{Lowerer, Reg};
use crate::counters::Class;
use crate::ir::op::Op;
use crate::ir::types::{Compare, File, FloatKind, IntKind, Logic, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

type Operands<'o, 'a> = &'o [Operand<'a>];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn select(&mut self, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let ty = mods.ty()?;
        self.selectable(mods, ty)?;
        self.count(operands, 4..=4)?;
        let d = self.dst(&operands[0], ty)?;
        let (a, b) = (self.src(&operands[1], ty)?, self.src(&operands[2], ty)?);
        let p = self.plain_pred(&operands[3])?;
        self.emit(Op::Select { wide: ty.bytes() == 8, d, a, b, p });
        Ok(())
    }

    /// A type of 16, 32 or 64 bits: predicates and wider values live in other registers.
    fn selectable(&self, mods: &Mods<'_>, ty: Type) -> Result<()> {
        if matches!(ty.bytes(), 2 | 4 | 8) { Ok(()) } else { mods.error("this type is not supported") }
    }

    pub(super) fn select_by_sign(&mut self, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let flush = mods.take("ftz");
        let (ty, by) = (mods.ty()?, mods.ty()?);
        self.selectable(mods, ty)?;
        self.count(operands, 4..=4)?;
        let d = self.dst(&operands[0], ty)?;
        let (a, b, c) = (self.src(&operands[1], ty)?, self.src(&operands[2], ty)?, self.src(&operands[3], by)?);
        let (p, zero) = (self.fresh(File::Pred), self.constant32(0));
        match by {
            Type::S32 if !flush => {
                self.emit_always(Op::CompareInt { op: Compare::Ge, kind: IntKind::S32, d: p, a: c, b: zero });
            }
            Type::F32 => {
                let (op, kind) = (Compare::Ge, FloatKind::F32);
                self.emit_always(Op::CompareFloat { op, kind, flush, d: p, a: c, b: zero });
            }
            _ => return mods.error("the second type has to be .s32 or .f32"),
        }
        self.emit(Op::Select { wide: ty.bytes() == 8, d, a, b, p });
        Ok(())
    }

    pub(super) fn compare(&mut self, name: &str, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let unsigned = ["lo", "ls", "hi", "hs"].iter().any(|name| mods.has(name));
        let op = mods.find(compare_op);
        let Some(op) = op else { return mods.error("the comparison is missing") };
        let combine = mods.maybe(&[("and", Logic::And), ("or", Logic::Or), ("xor", Logic::Xor)]);
        let flush = mods.take("ftz");
        // `set` names the type of its result first.
        let to = if name == "set" { Some(mods.ty()?) } else { None };
        let ty = mods.ty()?;
        if unsigned && !ty.is_unsigned() {
            return mods.error(".lo, .ls, .hi and .hs need an unsigned type");
        }
        self.count(operands, if combine.is_some() { 4..=4 } else { 3..=3 })?;
        self.keep_guard();
        let (a, b) = (self.src(&operands[1], ty)?, self.src(&operands[2], ty)?);
        let raw = self.fresh(File::Pred);
        self.emit_always(self.comparison(mods, op, ty, flush, [raw, a, b])?);
        if ty.is_float() {
            self.class = Class::Float;
        }
        let other = if combine.is_some() { Some(self.plain_pred(&operands[3])?) } else { None };
        let combined = |this: &mut Self, raw: Reg| match (combine, other) {
            (Some(op), Some(b)) => {
                let d = this.fresh(File::Pred);
                this.emit_always(Op::PredLogic { op, d, a: raw, b });
                d
            }
            _ => raw,
        };
        let result = combined(self, raw);
        if let Some(to) = to {
            let (yes, no) = match to {
                Type::U32 | Type::S32 => (self.constant32(u32::MAX), self.constant32(0)),
                Type::F32 => (self.constant32(1.0_f32.to_bits()), self.constant32(0)),
                _ => return mods.error("the result has to be .u32, .s32 or .f32"),
            };
            let d = self.dst(&operands[0], to)?;
            self.emit(Op::Select { wide: false, d, a: yes, b: no, p: result });
            return Ok(());
        }
        let (p, q) = match operands[0] {
            Operand::Pair(p, q) => (Operand::Name(p), Some(Operand::Name(q))),
            _ => (operands[0].clone(), None),
        };
        let q = match q {
            Some(q) => {
                let (d, not) = (self.dst(&q, Type::Pred)?, self.fresh(File::Pred));
                self.emit_always(Op::PredMov { d: not, a: raw, negated: true });
                Some((d, combined(self, not)))
            }
            None => None,
        };
        let d = self.dst(&p, Type::Pred)?;
        self.emit(Op::PredMov { d, a: result, negated: false });
        if let Some((d, a)) = q {
            self.emit(Op::PredMov { d, a, negated: false });
        }
        Ok(())
    }

    fn comparison(&self, mods: &Mods<'_>, op: Compare, ty: Type, flush: bool, [d, a, b]: [Reg; 3]) -> Result<Op> {
        if let Some(kind) = FloatKind::of(ty) {
            if matches!(kind, FloatKind::F16x2 | FloatKind::BF16x2) {
                return mods.error("comparing pairs is not supported");
            }
            if flush && !matches!(kind, FloatKind::F16 | FloatKind::F32) {
                return mods.error(".ftz does not go with this type");
            }
            return Ok(Op::CompareFloat { op, kind, flush, d, a, b });
        }
        let plain = matches!(op, Compare::Eq | Compare::Ne);
        let ordered = plain || matches!(op, Compare::Lt | Compare::Le | Compare::Gt | Compare::Ge);
        match IntKind::of(ty) {
            Some(kind) if !flush && ordered && (plain || ty.is_integer()) => Ok(Op::CompareInt { op, kind, d, a, b }),
            _ => mods.error("this comparison does not go with this type"),
        }
    }
}

fn compare_op(name: &str) -> Option<Compare> {
    Some(match name {
        "eq" => Compare::Eq,
        "ne" => Compare::Ne,
        "lt" | "lo" => Compare::Lt,
        "le" | "ls" => Compare::Le,
        "gt" | "hi" => Compare::Gt,
        "ge" | "hs" => Compare::Ge,
        "equ" => Compare::Equ,
        "neu" => Compare::Neu,
        "ltu" => Compare::Ltu,
        "leu" => Compare::Leu,
        "gtu" => Compare::Gtu,
        "geu" => Compare::Geu,
        "num" => Compare::Num,
        "nan" => Compare::Nan,
        _ => return None,
    })
}
