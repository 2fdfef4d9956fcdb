//! `cvt` to and from the element types of tensor cores.

use super::Lowerer;
use super::mods::Mods;
use crate::ir::narrow::{Last, Narrow, Narrowing, Small};
use crate::ir::op::Op;
use crate::ir::types::Type;
use crate::ptx::Result;
use crate::ptx::ast::Operand;

const LASTS: [(&str, Last); 3] = [("rn", Last::NearestEven), ("rna", Last::NearestAway), ("rz", Last::Zero)];
const TO: [(&str, Small); 3] = [("e4m3x2", Small::E4M3), ("e5m2x2", Small::E5M2), ("tf32", Small::TF32)];
const PAIRS: [(&str, Small); 2] = [("f16x2", Small::F16), ("bf16x2", Small::BF16)];

impl<'a> Lowerer<'_, 'a> {
    /// Lowers a conversion of this family; false when it is another `cvt`, of which nothing was taken then.
    pub(super) fn narrow(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        let ours = ["e4m3x2", "e5m2x2", "tf32", "f16x2", "bf16x2", "satfinite"];
        if !ours.iter().any(|part| mods.has(part)) {
            return Ok(false);
        }
        let Some(last) = mods.maybe(&LASTS) else { return mods.error("one of .rn, .rna, .rz is missing") };
        let (relu, finite) = (mods.take("relu"), mods.take("satfinite"));
        // The type of the result, then that of the source.
        let (to, from) = (mods.word()?, mods.word()?);
        let find = |name: &str, table: &[(&str, Small)]| {
            table.iter().find(|(known, _)| *known == name).map(|(_, small)| *small)
        };
        if let (Some(Small::F16), Some(small @ (Small::E4M3 | Small::E5M2))) = (find(to, &PAIRS), find(from, &TO)) {
            self.needs(mods, 89)?;
            if last != Last::NearestEven || finite {
                return mods.error("only .rn and .relu go with this conversion");
            }
            self.count(operands, 2..=2)?;
            let d = self.dst(&operands[0], Type::F16x2)?;
            let a = self.src_register(&operands[1], Type::B16)?;
            self.emit(Op::Narrow(Narrow::Widen { from: small, relu, d, a }));
            return Ok(true);
        }
        let scalar = match to {
            "f16" => Some(Small::F16),
            "bf16" => Some(Small::BF16),
            _ => None,
        };
        let pair = find(to, &PAIRS);
        let Some(small) = find(to, &TO).or(pair).or(scalar) else {
            return mods.error("this conversion is not supported");
        };
        let how = Narrowing { to: small, last, relu, finite };
        match (small, from) {
            (Small::E4M3 | Small::E5M2, "f32" | "f16x2") => self.eight_bits(mods, how, from == "f32", operands)?,
            (Small::TF32, "f32") => {
                // ptxas: the newer roundings are sm_90's, and .satfinite with them is not.
                if last == Last::NearestAway {
                    if relu {
                        return mods.error(".relu does not go with .rna");
                    }
                    self.needs(mods, 80)?;
                } else {
                    self.needs(mods, if finite { 100 } else { 90 })?;
                }
                self.count(operands, 2..=2)?;
                let (d, a) = (self.dst(&operands[0], Type::B32)?, self.src(&operands[1], Type::F32)?);
                self.emit(Op::Narrow(Narrow::One { how, d, a }));
            }
            (Small::F16 | Small::BF16, "f32") if last != Last::NearestAway => {
                self.needs(mods, 80)?;
                self.count(operands, if pair.is_some() { 3..=3 } else { 2..=2 })?;
                let a = self.src(&operands[1], Type::F32)?;
                let op = match pair {
                    Some(_) => {
                        let b = self.src(&operands[2], Type::F32)?;
                        Narrow::Two { how, d: self.dst(&operands[0], Type::F16x2)?, a, b }
                    }
                    None => Narrow::One { how, d: self.dst(&operands[0], Type::B16)?, a },
                };
                self.emit(Op::Narrow(op));
            }
            _ => return mods.error("this conversion is not supported"),
        }
        Ok(true)
    }

    fn eight_bits(&mut self, mods: &Mods<'_>, how: Narrowing, singles: bool, operands: &[Operand<'a>]) -> Result<()> {
        self.needs(mods, 89)?;
        if how.last != Last::NearestEven || !how.finite {
            return mods.error("a conversion to eight bits needs .rn and .satfinite");
        }
        self.count(operands, if singles { 3..=3 } else { 2..=2 })?;
        let d = self.dst(&operands[0], Type::B16)?;
        let op = match singles {
            true => {
                let (a, b) = (self.src(&operands[1], Type::F32)?, self.src(&operands[2], Type::F32)?);
                Narrow::Two { how, d, a, b }
            }
            false => Narrow::Halves { how, d, a: self.src_register(&operands[1], Type::F16x2)? },
        };
        self.emit(Op::Narrow(op));
        Ok(())
    }

    /// A source that cannot be a constant.
    pub(super) fn src_register(&mut self, operand: &Operand<'a>, ty: Type) -> Result<crate::ir::op::Reg> {
        match operand {
            Operand::Name(_) => self.src(operand, ty),
            _ => self.error("the source has to be a register"),
        }
    }
}
