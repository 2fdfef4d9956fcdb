//! Integer arithmetic and logic.

use super::mods::Mods;
use super::{Lowerer, Reg};
use crate::counters::Class;
use crate::ir::op::{Count, Int1, Int2, Op, Shift};
use crate::ir::types::{IntKind, Logic, Type, Width};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

type Operands<'o, 'a> = &'o [Operand<'a>];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn arith(&mut self, name: &str, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<bool> {
        let float = mods.peek_type().is_some_and(Type::is_float);
        match name {
            "mov" => self.mov(mods, operands)?,
            "setp" | "set" => self.compare(name, mods, operands)?,
            "selp" => self.select(mods, operands)?,
            "slct" => self.select_by_sign(mods, operands)?,
            "add" | "sub" | "mul" | "div" | "min" | "max" | "abs" | "neg" | "mad" if float => return Ok(false),
            "add" | "sub" | "addc" | "subc" => self.add(name, mods, operands)?,
            "mul" | "mad" => self.multiply(name, mods, operands)?,
            "div" | "rem" | "min" | "max" => {
                let ty = mods.ty()?;
                let op = match (name, ty.is_signed()) {
                    ("div", true) => Int2::DivS,
                    ("div", false) => Int2::DivU,
                    ("rem", true) => Int2::RemS,
                    ("rem", false) => Int2::RemU,
                    ("min", true) => Int2::MinS,
                    ("min", false) => Int2::MinU,
                    (_, true) => Int2::MaxS,
                    (_, false) => Int2::MaxU,
                };
                self.integer(mods, ty)?;
                self.int2(op, ty, operands)?;
            }
            "and" | "or" | "xor" | "not" | "cnot" => self.logic(name, mods, operands)?,
            "abs" | "neg" => {
                let ty = mods.ty()?;
                if !ty.is_signed() {
                    return mods.error("a signed type is needed");
                }
                self.int1(if name == "abs" { Int1::Abs } else { Int1::Neg }, ty, operands)?;
            }
            "shl" | "shr" => {
                let ty = mods.ty()?;
                let op = match name {
                    "shl" if ty.is_bits() => Shift::Left,
                    "shr" if ty.is_signed() => Shift::RightS,
                    "shr" => Shift::RightU,
                    _ => return mods.error("a bit type is needed"),
                };
                let width = self.width(mods, ty)?;
                self.count(operands, 3..=3)?;
                let (d, a) = (self.dst(&operands[0], ty)?, self.src(&operands[1], ty)?);
                let b = self.src(&operands[2], Type::U32)?;
                self.emit(Op::Shift { op, width, d, a, b });
            }
            "popc" | "clz" | "bfind" => {
                let shift = name == "bfind" && mods.take("shiftamt");
                let ty = mods.ty()?;
                let op = match (name, ty.is_signed(), shift) {
                    ("popc", ..) => Count::Popc,
                    ("clz", ..) => Count::Clz,
                    (_, true, false) => Count::FindS,
                    (_, false, false) => Count::FindU,
                    (_, true, true) => Count::FindShiftS,
                    (_, false, true) => Count::FindShiftU,
                };
                let width = self.word_width(mods, ty)?;
                // Counts take bits; bfind needs to know whether there is a sign.
                if ty.is_bits() == (name == "bfind") {
                    return mods.error("this type is not supported");
                }
                self.count(operands, 2..=2)?;
                let (d, a) = (self.dst(&operands[0], Type::U32)?, self.src(&operands[1], ty)?);
                self.emit(Op::Count { op, width, d, a });
            }
            "brev" => {
                let ty = mods.ty()?;
                self.word_width(mods, ty)?;
                if !ty.is_bits() {
                    return mods.error("a bit type is needed");
                }
                self.int1(Int1::Brev, ty, operands)?;
            }
            "bfe" | "bfi" => self.bit_field(name, mods, operands)?,
            "prmt" => {
                if mods.ty()? != Type::B32 {
                    return mods.error("the type has to be .b32");
                }
                let [d, a, b, c] = self.four(operands, [Type::B32; 4])?;
                self.emit(Op::Permute { d, a, b, c });
            }
            "lop3" => {
                if mods.ty()? != Type::B32 {
                    return mods.error("the type has to be .b32");
                }
                self.count(operands, 5..=5)?;
                let table = self.fixed(&operands[4], 255)? as u8;
                let [d, a, b, c] = self.four(&operands[..4], [Type::B32; 4])?;
                self.emit(Op::Lop3 { table, d, a, b, c });
            }
            "shf" => {
                let left = mods.one_of(&[("l", true), ("r", false)])?;
                let clamp = mods.one_of(&[("clamp", true), ("wrap", false)])?;
                if mods.ty()? != Type::B32 {
                    return mods.error("the type has to be .b32");
                }
                let [d, a, b, c] = self.four(operands, [Type::B32; 4])?;
                self.emit(Op::Funnel { left, clamp, d, a, b, c });
            }
            "dp4a" => {
                let (at, bt) = (mods.ty()?, mods.ty()?);
                if ![at, bt].iter().all(|ty| matches!(ty, Type::U32 | Type::S32)) {
                    return mods.error("the types have to be .u32 or .s32");
                }
                let [d, a, b, c] = self.four(operands, [Type::B32; 4])?;
                self.emit(Op::Dot4 { a_signed: at.is_signed(), b_signed: bt.is_signed(), d, a, b, c });
            }
            "sad" => {
                let ty = mods.ty()?;
                let Some(kind) = IntKind::of(ty).filter(|_| ty.is_integer()) else {
                    return mods.error("an integer type is needed");
                };
                let [d, a, b, c] = self.four(operands, [ty; 4])?;
                self.emit(Op::Sad { kind, d, a, b, c });
            }
            _ => return Ok(false),
        }
        Ok(self.counts_as(Class::Integer))
    }

    fn integer(&self, mods: &Mods<'_>, ty: Type) -> Result<()> {
        if ty.is_integer() && ty.bytes() > 1 {
            Ok(())
        } else {
            mods.error("a 16-, 32- or 64-bit integer type is needed")
        }
    }

    pub(super) fn width(&self, mods: &Mods<'_>, ty: Type) -> Result<Width> {
        ty.width().filter(|_| !ty.is_float()).map_or_else(|| mods.error("this type is not supported"), Ok)
    }

    fn word_width(&self, mods: &Mods<'_>, ty: Type) -> Result<Width> {
        let width = self.width(mods, ty)?;
        if width == Width::W16 { mods.error("a 32- or 64-bit type is needed") } else { Ok(width) }
    }

    fn int2(&mut self, op: Int2, ty: Type, operands: Operands<'_, 'a>) -> Result<()> {
        self.count(operands, 3..=3)?;
        let d = self.dst(&operands[0], ty)?;
        let (a, b) = (self.src(&operands[1], ty)?, self.src(&operands[2], ty)?);
        let Some(width) = ty.width() else { return self.error("this type is not supported") };
        self.emit(Op::Int2 { op, width, d, a, b });
        Ok(())
    }

    fn int1(&mut self, op: Int1, ty: Type, operands: Operands<'_, 'a>) -> Result<()> {
        self.count(operands, 2..=2)?;
        let (d, a) = (self.dst(&operands[0], ty)?, self.src(&operands[1], ty)?);
        let Some(width) = ty.width() else { return self.error("this type is not supported") };
        self.emit(Op::Int1 { op, width, d, a });
        Ok(())
    }

    /// A result and three sources.
    pub(super) fn four(&mut self, operands: Operands<'_, 'a>, types: [Type; 4]) -> Result<[Reg; 4]> {
        self.count(operands, 4..=4)?;
        let d = self.dst(&operands[0], types[0])?;
        let a = self.src(&operands[1], types[1])?;
        let b = self.src(&operands[2], types[2])?;
        Ok([d, a, b, self.src(&operands[3], types[3])?])
    }

    fn add(&mut self, name: &str, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let (carry_in, carry_out) = (name.ends_with('c'), mods.take("cc"));
        let subtract = name.starts_with("sub");
        let saturate = mods.take("sat");
        let ty = mods.ty()?;
        self.integer(mods, ty)?;
        if !carry_in && !carry_out {
            let op = match (subtract, saturate) {
                (false, false) => Int2::Add,
                (true, false) => Int2::Sub,
                (false, true) => Int2::AddSatS,
                (true, true) => Int2::SubSatS,
            };
            if saturate && ty != Type::S32 {
                return mods.error(".sat needs .s32");
            }
            return self.int2(op, ty, operands);
        }
        let width = self.word_width(mods, ty)?;
        if saturate {
            return mods.error(".sat does not go with a carry");
        }
        self.count(operands, 3..=3)?;
        let d = self.dst(&operands[0], ty)?;
        let (a, b) = (self.src(&operands[1], ty)?, self.src(&operands[2], ty)?);
        self.emit(Op::Carry { subtract, width, carry_in, carry_out, d, a, b });
        Ok(())
    }

    fn multiply(&mut self, name: &str, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        #[derive(Clone, Copy)]
        enum Part {
            Lo,
            Hi,
            Wide,
        }
        let part = mods.one_of(&[("lo", Part::Lo), ("hi", Part::Hi), ("wide", Part::Wide)])?;
        let ty = mods.ty()?;
        self.integer(mods, ty)?;
        let to = match (part, ty) {
            (Part::Wide, Type::U16 | Type::S16) => Type::B32,
            (Part::Wide, Type::U32 | Type::S32) => Type::B64,
            (Part::Wide, _) => return mods.error(".wide needs a 16- or 32-bit type"),
            _ => ty,
        };
        let op = match (part, ty.is_signed()) {
            (Part::Hi, true) => Int2::MulHiS,
            (Part::Hi, false) => Int2::MulHiU,
            _ => Int2::MulLo,
        };
        self.count(operands, if name == "mad" { 4..=4 } else { 3..=3 })?;
        let d = self.dst(&operands[0], to)?;
        let (a, b) = (self.src(&operands[1], ty)?, self.src(&operands[2], ty)?);
        let c = if name == "mad" { self.src(&operands[3], to)? } else { Reg::NONE };
        let (Some(width), Some(kind)) = (ty.width(), IntKind::of(ty)) else {
            return mods.error("this type is not supported");
        };
        self.emit(match (part, c.is_none()) {
            (Part::Wide, true) => Op::MulWide { kind, d, a, b },
            (Part::Wide, false) => Op::MadWide { kind, d, a, b, c },
            (_, true) => Op::Int2 { op, width, d, a, b },
            (_, false) => Op::Mad { op, width, d, a, b, c },
        });
        Ok(())
    }

    fn logic(&mut self, name: &str, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let ty = mods.ty()?;
        if ty == Type::Pred {
            return self.pred_logic(name, operands);
        }
        if !ty.is_bits() || ty.bytes() == 1 || ty.bytes() == 16 {
            return mods.error("a bit type is needed");
        }
        match name {
            "and" => self.int2(Int2::And, ty, operands),
            "or" => self.int2(Int2::Or, ty, operands),
            "xor" => self.int2(Int2::Xor, ty, operands),
            "not" => self.int1(Int1::Not, ty, operands),
            _ => self.int1(Int1::CNot, ty, operands),
        }
    }

    fn pred_logic(&mut self, name: &str, operands: Operands<'_, 'a>) -> Result<()> {
        self.count(operands, if name == "not" { 2..=2 } else { 3..=3 })?;
        let d = self.dst(&operands[0], Type::Pred)?;
        let a = self.plain_pred(&operands[1])?;
        let op = match name {
            "and" => Logic::And,
            "or" => Logic::Or,
            "xor" => Logic::Xor,
            "not" => {
                self.emit(Op::PredMov { d, a, negated: true });
                return Ok(());
            }
            _ => return self.error(format!("{name} does not take predicates")),
        };
        let b = self.plain_pred(&operands[2])?;
        self.emit(Op::PredLogic { op, d, a, b });
        Ok(())
    }

    fn bit_field(&mut self, name: &str, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let ty = mods.ty()?;
        let width = self.word_width(mods, ty)?;
        if name == "bfe" {
            self.integer(mods, ty)?;
            let [d, a, b, c] = self.four(operands, [ty, ty, Type::U32, Type::U32])?;
            self.emit(Op::BitExtract { signed: ty.is_signed(), width, d, a, b, c });
            return Ok(());
        }
        if !ty.is_bits() {
            return mods.error("a bit type is needed");
        }
        self.count(operands, 5..=5)?;
        let e = self.src(&operands[4], Type::U32)?;
        let [d, a, b, c] = self.four(&operands[..4], [ty, ty, ty, Type::U32])?;
        self.emit(Op::BitInsert { width, d, a, b, c, e });
        Ok(())
    }
}
