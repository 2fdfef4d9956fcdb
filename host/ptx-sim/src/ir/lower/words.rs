//! Integer instructions that only exist for 32-bit registers, and multiplications with a carry.

use super::mods::Mods;
use super::{Lowerer, Reg};
use crate::counters::Class;
use crate::ir::op::Op;
use crate::ir::types::{Compare, File, IntKind, Logic, Type};
use crate::ir::words::{MadCarry, Pick, WordOp, Words};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

type Operands<'o, 'a> = &'o [Operand<'a>];

const LOW_HIGH: [(&str, bool); 2] = [("lo", false), ("hi", true)];
const CLAMP: [(&str, bool); 2] = [("clamp", true), ("wrap", false)];

impl<'a> Lowerer<'_, 'a> {
    /// Takes what it knows; `false` leaves the statement to others.
    pub(super) fn words(&mut self, name: &str, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<bool> {
        let pairs = mods.has("s16x2") || mods.has("u16x2");
        match name {
            "fns" => {
                self.bits32(mods)?;
                self.word_op(Words::FindNth, 3, operands)?;
            }
            "szext" => {
                let clamp = mods.one_of(&CLAMP)?;
                let signed = mods.one_of(&[("s32", true), ("u32", false)])?;
                self.word_op(Words::Extend { signed, clamp }, 2, operands)?;
            }
            "bmsk" => {
                let clamp = mods.one_of(&CLAMP)?;
                self.bits32(mods)?;
                self.word_op(Words::Mask { clamp }, 2, operands)?;
            }
            "dp2a" => {
                let high = mods.one_of(&LOW_HIGH)?;
                let signs = [("s32", true), ("u32", false)];
                let (a_signed, b_signed) = (mods.one_of(&signs)?, mods.one_of(&signs)?);
                self.word_op(Words::Dot2 { a_signed, b_signed, high }, 3, operands)?;
            }
            "cvt" if mods.starts_with("pack") => self.pack_clamped(mods, operands)?,
            "prmt" => return self.pick(mods, operands),
            "lop3" if mods.has("and") || mods.has("or") => self.lop3_with_predicate(mods, operands)?,
            "mul24" | "mad24" => {
                let high = mods.one_of(&LOW_HIGH)?;
                let saturate = mods.take("sat");
                let signed = mods.one_of(&[("s32", true), ("u32", false)])?;
                let mad = name == "mad24";
                if saturate && !(mad && high && signed) {
                    return mods.error(".sat is for mad24.hi.sat.s32");
                }
                self.word_op(Words::Mul24 { signed, high, saturate }, if mad { 3 } else { 2 }, operands)?;
            }
            "mad" if mods.has("hi") && mods.has("sat") => {
                mods.one_of(&[("hi", ())])?;
                mods.take("sat");
                mods.one_of(&[("s32", ())])?;
                self.word_op(Words::MadHighSaturating, 3, operands)?;
            }
            "mad" | "madc" if name == "madc" || mods.has("cc") => self.mad_carry(name == "madc", mods, operands)?,
            "add" if pairs => {
                mods.one_of(&[("s16x2", ()), ("u16x2", ())])?;
                self.word_op(Words::AddPairs, 2, operands)?;
            }
            "min" | "max" if pairs => {
                let relu = mods.take("relu");
                let signed = mods.one_of(&[("s16x2", true), ("u16x2", false)])?;
                if relu && !signed {
                    return mods.error(".relu needs a signed type");
                }
                self.word_op(Words::SelectPairs { max: name == "max", signed, relu }, 2, operands)?;
            }
            "min" | "max" if mods.has("relu") && mods.has("s32") => {
                mods.take("relu");
                mods.take("s32");
                self.word_op(Words::SelectRelu { max: name == "max" }, 2, operands)?;
            }
            _ => return Ok(false),
        }
        Ok(self.counts_as(Class::Integer))
    }

    fn bits32(&self, mods: &mut Mods<'_>) -> Result<()> {
        if mods.ty()? == Type::B32 { Ok(()) } else { mods.error("the type has to be .b32") }
    }

    fn word_op(&mut self, what: Words, sources: usize, operands: Operands<'_, 'a>) -> Result<()> {
        self.count(operands, sources + 1..=sources + 1)?;
        let d = self.dst(&operands[0], Type::B32)?;
        let mut regs = [Reg::NONE; 3];
        for (reg, operand) in regs.iter_mut().zip(&operands[1..]) {
            *reg = self.src(operand, Type::B32)?;
        }
        let [a, b, c] = regs;
        self.emit(Op::Word(WordOp { what, d, a, b, c }));
        Ok(())
    }

    /// `cvt.pack.sat.s8.s32.b32 d, a, b, c` and its like.
    fn pack_clamped(&mut self, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        mods.take("pack");
        mods.one_of(&[("sat", ())])?;
        let types = [("u2", (2, false)), ("s2", (2, true)), ("u4", (4, false)), ("s4", (4, true))];
        let more = [("u8", (8, false)), ("s8", (8, true)), ("u16", (16, false)), ("s16", (16, true))];
        let (bits, signed) = match mods.maybe(&types) {
            Some(found) => found,
            None => mods.one_of(&more)?,
        };
        mods.one_of(&[("s32", ())])?;
        if bits < 16 {
            mods.one_of(&[("b32", ())])?;
        }
        let what = Words::PackClamped { bits, signed };
        self.word_op(what, if bits < 16 { 3 } else { 2 }, operands)
    }

    fn pick(&mut self, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<bool> {
        let mode = mods.maybe(&[
            ("f4e", Pick::Forward4),
            ("b4e", Pick::Backward4),
            ("rc8", Pick::Replicate8),
            ("ecl", Pick::ClampLeft),
            ("ecr", Pick::ClampRight),
            ("rc16", Pick::Replicate16),
        ]);
        let Some(mode) = mode else { return Ok(false) };
        self.bits32(mods)?;
        self.word_op(Words::Pick(mode), 3, operands)?;
        Ok(self.counts_as(Class::Integer))
    }

    /// `lop3.op.b32 d|p, a, b, c, table, q`: p = (d != 0) op q.
    fn lop3_with_predicate(&mut self, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let op = mods.one_of(&[("and", Logic::And), ("or", Logic::Or)])?;
        self.bits32(mods)?;
        self.count(operands, 6..=6)?;
        let Operand::Pair(d, p) = operands[0] else { return mods.error("a register and a predicate, d|p, are needed") };
        self.keep_guard();
        let table = self.fixed(&operands[4], 255)? as u8;
        let [_, a, b, c] = self.four(&operands[..4].iter().map(plain).collect::<Vec<_>>(), [Type::B32; 4])?;
        let q = self.plain_pred(&operands[5])?;
        // All of it is computed before either result is written: they may be sources too.
        let (value, set, result) = (self.fresh(File::W32), self.fresh(File::Pred), self.fresh(File::Pred));
        let zero = self.constant32(0);
        self.emit_always(Op::Lop3 { table, d: value, a, b, c });
        self.emit_always(Op::CompareInt { op: Compare::Ne, kind: IntKind::U32, d: set, a: value, b: zero });
        self.emit_always(Op::PredLogic { op, d: result, a: set, b: q });
        let d = self.dst(&Operand::Name(d), Type::B32)?;
        let p = self.dst(&Operand::Name(p), Type::Pred)?;
        self.emit(Op::Mov { wide: false, d, a: value });
        self.emit(Op::PredMov { d: p, a: result, negated: false });
        Ok(())
    }

    fn mad_carry(&mut self, carry_in: bool, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let high = mods.one_of(&LOW_HIGH)?;
        let carry_out = mods.take("cc");
        let ty = mods.ty()?;
        if !ty.is_integer() || ty.bytes() < 4 {
            return mods.error("a 32- or 64-bit integer type is needed");
        }
        let [d, a, b, c] = self.four(operands, [ty; 4])?;
        let (wide, signed) = (ty.bytes() == 8, ty.is_signed());
        self.emit(Op::MadCarry(MadCarry { wide, high, signed, carry_in, carry_out, d, a, b, c }));
        Ok(())
    }
}

/// A destination `d|p` as one that [`Lowerer::four`] can look at: its registers are taken apart elsewhere.
fn plain<'a>(operand: &Operand<'a>) -> Operand<'a> {
    if matches!(operand, Operand::Pair(..)) { Operand::Name("_") } else { operand.clone() }
}
