//! Barriers and fences.

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::op::{BarrierKind, Op, Reg, Scope};
use crate::ir::types::Type;
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn sync(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        match name {
            "bar" if mods.take("warp") => {
                mods.one_of(&[("sync", ())])?;
                self.count(operands, 1..=1)?;
                let mask = self.src(&operands[0], Type::B32)?;
                self.emit(Op::WarpSync { mask });
            }
            "bar" | "barrier" => self.barrier(name == "bar", mods, operands)?,
            "membar" => {
                let scope = mods.one_of(&[("cta", Scope::Cta), ("gl", Scope::Gpu), ("sys", Scope::Sys)])?;
                self.count(operands, 0..=0)?;
                self.emit(Op::Fence { scope });
            }
            "fence" => {
                mods.maybe(&[("sc", ()), ("acq_rel", ()), ("acquire", ()), ("release", ())]);
                let scope = mods.one_of(&super::memory::SCOPES)?;
                self.count(operands, 0..=0)?;
                self.emit(Op::Fence { scope });
            }
            "nanosleep" => {
                if mods.ty()? != Type::U32 {
                    return mods.error("the type has to be .u32");
                }
                self.count(operands, 1..=1)?;
                self.src(&operands[0], Type::U32)?;
                self.emit(Op::Hint);
            }
            _ => return Ok(false),
        }
        Ok(self.counts_as(Class::Sync))
    }

    /// A barrier's number; a constant has to be one that there is.
    fn barrier_id(&mut self, operand: &Operand<'a>) -> Result<Reg> {
        match operand {
            Operand::Integer(id) if !(0..16).contains(id) => self.error(format!("barrier {id}: there are 0 to 15")),
            _ => self.src(operand, Type::U32),
        }
    }

    /// The threads that a barrier is for; warps arrive as a whole.
    fn barrier_count(&mut self, operand: &Operand<'a>) -> Result<Reg> {
        match operand {
            Operand::Integer(count) if *count <= 0 || count % 32 != 0 => {
                self.error(format!("{count} threads at a barrier: the count has to be a multiple of 32"))
            }
            _ => self.src(operand, Type::U32),
        }
    }

    fn barrier(&mut self, aligned: bool, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        // A warp arrives as a whole in either form; only the aligned ones need threads that have not exited.
        // `bar` is aligned by itself and does not say so.
        let aligned = aligned || mods.take("aligned");
        mods.take("cta");
        let action = mods.one_of(&[("sync", 0), ("arrive", 1), ("red", 2)])?;
        if action != 2 {
            self.count(operands, 1 + action..=2)?;
            let id = self.barrier_id(&operands[0])?;
            let count = operands.get(1).map_or(Ok(Reg::NONE), |operand| self.barrier_count(operand))?;
            let kind = if action == 0 { BarrierKind::Sync } else { BarrierKind::Arrive };
            self.emit(Op::Barrier { kind, aligned, id, count, d: Reg::NONE, p: Reg::NONE, negated: false });
            return Ok(());
        }
        let kind =
            mods.one_of(&[("popc", BarrierKind::RedPopc), ("and", BarrierKind::RedAnd), ("or", BarrierKind::RedOr)])?;
        let ty = mods.ty()?;
        let wanted = if kind == BarrierKind::RedPopc { Type::U32 } else { Type::Pred };
        if ty != wanted {
            return mods.error("the type does not go with this reduction");
        }
        self.count(operands, 3..=4)?;
        let d = self.dst(&operands[0], ty)?;
        let id = self.barrier_id(&operands[1])?;
        let count = if operands.len() == 4 { self.barrier_count(&operands[2])? } else { Reg::NONE };
        let (p, negated) = self.pred(&operands[operands.len() - 1])?;
        self.emit(Op::Barrier { kind, aligned, id, count, d, p, negated });
        Ok(())
    }
}
