//! Branches, returns and traps.

use super::Lowerer;
use super::mods::Mods;
use super::scope::Symbol;
use crate::ir::op::{Guard, Op};
use crate::ir::types::Type;
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn control(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        match name {
            "bra" => {
                mods.take("uni");
                self.count(operands, 1..=1)?;
                let target = self.label(&operands[0])?;
                self.emit_jump(target);
            }
            "brx" => {
                mods.take("uni");
                mods.one_of(&[("idx", ())])?;
                self.count(operands, 2..=2)?;
                let index = self.src(&operands[0], Type::U32)?;
                let Operand::Name(name) = operands[1] else { return mods.error("a list of targets was expected") };
                let Symbol::Table(table) = self.find(name)? else {
                    return mods.error(format!("{name} is no .branchtargets"));
                };
                self.emit(Op::BranchTable { table, index });
            }
            "ret" => {
                mods.take("uni");
                self.count(operands, 0..=0)?;
                match self.return_label {
                    Some(label) => self.emit_jump(label),
                    None => self.emit(Op::Exit),
                }
            }
            "exit" => {
                self.count(operands, 0..=0)?;
                self.emit(Op::Exit);
            }
            "pmevent" => {
                let most = if mods.take("mask") { 0xFFFF } else { 15 };
                self.count(operands, 1..=1)?;
                self.fixed(&operands[0], most)?;
                self.emit(Op::Hint);
            }
            "trap" | "brkpt" => {
                self.count(operands, 0..=0)?;
                self.emit(Op::Trap);
            }
            "call" => self.call(mods, operands)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A branch under the statement's guard.
    fn emit_jump(&mut self, target: u32) {
        let op = if self.guard == Guard::ALWAYS { Op::Jump { target } } else { Op::Branch { target } };
        self.emit(op);
    }

    fn label(&mut self, operand: &Operand<'a>) -> Result<u32> {
        let Operand::Name(name) = *operand else { return self.error("a label was expected") };
        match self.find(name)? {
            Symbol::Label(label) => Ok(label),
            _ => self.error(format!("{name} is no label")),
        }
    }
}
