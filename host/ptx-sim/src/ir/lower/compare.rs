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

    /// A type of 16, 32 or 64 bits: predicates and wider values live in other registers, halves count as bits.
    fn selectable(&self, mods: &Mods<'_>, ty: Type) -> Result<()> {
        let fits = matches!(ty.bytes(), 2 | 4 | 8) && (!ty.is_float() || matches!(ty, Type::F32 | Type::F64));
        if fits { Ok(()) } else { mods.error("this type is not supported") }
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
        let Some(op) = mods.find(compare_op) else { return mods.error("the comparison is missing") };
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
        if ty.is_float() {
            self.class = Class::Float;
        }
        let other = match combine {
            Some(op) => Some((op, self.plain_pred(&operands[3])?)),
            None => None,
        };
        if let Some(half) = half_of(ty) {
            let [a, b] = [self.halves(a), self.halves(b)];
            let mut bits = [Reg::NONE; 2];
            for (bit, (a, b)) in bits.iter_mut().zip(a.into_iter().zip(b)) {
                let raw = self.fresh(File::Pred);
                self.emit_always(self.comparison(mods, op, half, flush, [raw, a, b])?);
                *bit = self.combined(raw, other);
            }
            return match to {
                Some(to) => self.set_halves(mods, to, ty, bits, &operands[0]),
                None => self.write_predicates(&operands[0], bits[0], Some(bits[1])),
            };
        }
        let raw = self.fresh(File::Pred);
        self.emit_always(self.comparison(mods, op, ty, flush, [raw, a, b])?);
        let result = self.combined(raw, other);
        if let Some(to) = to {
            let (yes, no) = self.truths(mods, to, ty)?;
            let d = self.dst(&operands[0], to)?;
            self.emit(Op::Select { wide: false, d, a: yes, b: no, p: result });
            return Ok(());
        }
        // The second result is the opposite comparison, combined in the same way.
        let second = match operands[0] {
            Operand::Pair(..) => {
                let not = self.fresh(File::Pred);
                self.emit_always(Op::PredMov { d: not, a: raw, negated: true });
                Some(self.combined(not, other))
            }
            _ => None,
        };
        self.write_predicates(&operands[0], result, second)
    }

    fn combined(&mut self, raw: Reg, other: Option<(Logic, Reg)>) -> Reg {
        let Some((op, b)) = other else { return raw };
        let d = self.fresh(File::Pred);
        self.emit_always(Op::PredLogic { op, d, a: raw, b });
        d
    }

    /// `p` or `p|q`.
    fn write_predicates(&mut self, target: &Operand<'a>, first: Reg, second: Option<Reg>) -> Result<()> {
        let (p, q) = match *target {
            Operand::Pair(p, q) => (Operand::Name(p), Some(Operand::Name(q))),
            _ => (target.clone(), None),
        };
        let d = self.dst(&p, Type::Pred)?;
        self.emit(Op::PredMov { d, a: first, negated: false });
        if let (Some(q), Some(a)) = (q, second) {
            let d = self.dst(&q, Type::Pred)?;
            self.emit(Op::PredMov { d, a, negated: false });
        }
        Ok(())
    }

    /// What `set` writes for true and for false, as words; 16-bit values where the type has 16 bits.
    fn truths(&mut self, mods: &Mods<'_>, to: Type, from: Type) -> Result<(Reg, Reg)> {
        let half = matches!(from, Type::F16 | Type::BF16);
        let yes = match to {
            Type::U32 | Type::S32 => u32::MAX,
            Type::F32 if !half => 1.0_f32.to_bits(),
            Type::U16 | Type::S16 if half => 0xFFFF,
            Type::F16 if from != Type::BF16 => 0x3C00,
            Type::BF16 if from != Type::F16 => 0x3F80,
            _ => return mods.error("this result type does not go with this comparison"),
        };
        Ok((self.constant32(yes), self.constant32(0)))
    }

    /// Both results of a comparison of pairs into one register.
    fn set_halves(
        &mut self,
        mods: &Mods<'_>,
        to: Type,
        from: Type,
        bits: [Reg; 2],
        target: &Operand<'a>,
    ) -> Result<()> {
        let yes = match to {
            Type::U32 | Type::S32 => 0xFFFF,
            Type::F16x2 if from == to => 0x3C00,
            Type::BF16x2 if from == to => 0x3F80,
            _ => return mods.error("this result type does not go with this comparison"),
        };
        let (yes, no) = (self.constant32(yes), self.constant32(0));
        let parts = [self.fresh(File::W32), self.fresh(File::W32)];
        for (d, p) in parts.into_iter().zip(bits) {
            self.emit_always(Op::Select { wide: false, d, a: yes, b: no, p });
        }
        let parts = self.list(&parts);
        let d = self.dst(target, to)?;
        self.emit(Op::Pack { bits: 16, wide: false, d, parts });
        Ok(())
    }

    /// The two 16-bit values of a register, low one first.
    fn halves(&mut self, a: Reg) -> [Reg; 2] {
        let halves = [self.fresh(File::W32), self.fresh(File::W32)];
        let parts = self.list(&halves);
        self.emit_always(Op::Unpack { bits: 16, wide: false, parts, a });
        halves
    }

    fn comparison(&self, mods: &Mods<'_>, op: Compare, ty: Type, flush: bool, [d, a, b]: [Reg; 3]) -> Result<Op> {
        if let Some(kind) = FloatKind::of(ty) {
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

/// The type of one half of a pair.
fn half_of(ty: Type) -> Option<Type> {
    match ty {
        Type::F16x2 => Some(Type::F16),
        Type::BF16x2 => Some(Type::BF16),
        _ => None,
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
