//! Operations between the lanes of a warp.

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::op::{Op, Redux, Reg, Shuffle, Vote};
use crate::ir::types::{File, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn warp(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        if !matches!(name, "shfl" | "vote" | "match" | "redux" | "elect" | "activemask") {
            return Ok(false);
        }
        if name == "activemask" {
            if mods.ty()? != Type::B32 {
                return mods.error("the type has to be .b32");
            }
            self.count(operands, 1..=1)?;
            let d = self.dst(&operands[0], Type::B32)?;
            self.emit(Op::ActiveMask { d });
            return Ok(self.counts_as(Class::Warp));
        }
        if !mods.take("sync") {
            return mods.error("only the .sync form is supported");
        }
        match name {
            "shfl" => self.shuffle(mods, operands)?,
            "vote" => self.vote(mods, operands)?,
            "match" => self.matching(mods, operands)?,
            "redux" => self.redux(mods, operands)?,
            _ => {
                self.count(operands, 2..=2)?;
                let (d, p) = self.pair(&operands[0], Type::B32)?;
                let mask = self.src(&operands[1], Type::B32)?;
                self.emit(Op::Elect { d, p, mask });
            }
        }
        Ok(self.counts_as(Class::Warp))
    }

    /// `d|p` or `d`.
    fn pair(&mut self, operand: &Operand<'a>, ty: Type) -> Result<(Reg, Reg)> {
        match *operand {
            Operand::Pair(d, p) => {
                let d = self.dst(&Operand::Name(d), ty)?;
                Ok((d, self.dst(&Operand::Name(p), Type::Pred)?))
            }
            _ => Ok((self.dst(operand, ty)?, self.fresh(File::Pred))),
        }
    }

    fn shuffle(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let op = mods.one_of(&[
            ("up", Shuffle::Up),
            ("down", Shuffle::Down),
            ("bfly", Shuffle::Bfly),
            ("idx", Shuffle::Idx),
        ])?;
        if mods.ty()? != Type::B32 {
            return mods.error("the type has to be .b32");
        }
        self.count(operands, 5..=5)?;
        let (d, p) = self.pair(&operands[0], Type::B32)?;
        let a = self.src(&operands[1], Type::B32)?;
        let (b, c) = (self.src(&operands[2], Type::B32)?, self.src(&operands[3], Type::B32)?);
        let mask = self.src(&operands[4], Type::B32)?;
        self.emit(Op::Shuffle { op, d, p, a, b, c, mask, defined: [Reg::NONE; 2] });
        Ok(())
    }

    fn vote(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let op =
            mods.one_of(&[("all", Vote::All), ("any", Vote::Any), ("uni", Vote::Uni), ("ballot", Vote::Ballot)])?;
        let ty = if op == Vote::Ballot { Type::B32 } else { Type::Pred };
        if mods.ty()? != ty {
            return mods.error("the type does not go with this vote");
        }
        self.count(operands, 3..=3)?;
        let d = self.dst(&operands[0], ty)?;
        let (p, negated) = self.pred(&operands[1])?;
        let mask = self.src(&operands[2], Type::B32)?;
        self.emit(Op::Vote { op, d, p, negated, mask });
        Ok(())
    }

    fn matching(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let all = mods.one_of(&[("all", true), ("any", false)])?;
        let ty = mods.ty()?;
        if !matches!(ty, Type::B32 | Type::B64) {
            return mods.error("the type has to be .b32 or .b64");
        }
        self.count(operands, 3..=3)?;
        if !all && matches!(operands[0], Operand::Pair(..)) {
            return mods.error(".any has no predicate");
        }
        let (d, p) = self.pair(&operands[0], Type::B32)?;
        let a = self.src(&operands[1], ty)?;
        let mask = self.src(&operands[2], Type::B32)?;
        self.emit(Op::Match { all, wide: ty == Type::B64, d, p, a, mask });
        Ok(())
    }

    fn redux(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let op =
            mods.find(|part| matches!(part, "add" | "min" | "max" | "and" | "or" | "xor").then(|| part.to_owned()));
        let ty = mods.ty()?;
        let op = match (op.as_deref(), ty) {
            (Some("add"), Type::U32 | Type::S32) => Redux::Add,
            (Some("min"), Type::S32) => Redux::MinS,
            (Some("min"), Type::U32) => Redux::MinU,
            (Some("max"), Type::S32) => Redux::MaxS,
            (Some("max"), Type::U32) => Redux::MaxU,
            (Some("and"), Type::B32) => Redux::And,
            (Some("or"), Type::B32) => Redux::Or,
            (Some("xor"), Type::B32) => Redux::Xor,
            _ => return mods.error("this operation does not go with this type"),
        };
        self.count(operands, 3..=3)?;
        let (d, a) = (self.dst(&operands[0], Type::B32)?, self.src(&operands[1], Type::B32)?);
        let mask = self.src(&operands[2], Type::B32)?;
        self.emit(Op::Redux { op, d, a, mask });
        Ok(())
    }
}
