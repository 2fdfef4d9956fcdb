//! `mbarrier.*` (PTX ISA 9.7.13.15).

use super::super::Lowerer;
use super::super::mods::Mods;
use crate::ir::asynchronous::{Arrive, Async, Wait};
use crate::ir::op::Reg;
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn mbarrier(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let action = mods.word()?;
        match action {
            "init" => {
                let (space, addr) = self.own_barrier(mods, operands, 0, 2..=2)?;
                let count = self.src(&operands[1], Type::U32)?;
                self.emit_async(Async::BarrierInit { space, addr, count });
            }
            "inval" => {
                let (space, addr) = self.own_barrier(mods, operands, 0, 1..=1)?;
                self.emit_async(Async::BarrierInval { space, addr });
            }
            "expect_tx" | "complete_tx" => {
                self.ordering(mods, &[("relaxed", true)])?;
                self.count(operands, 2..=2)?;
                let (space, addr) = self.shared_address(mods, &operands[0])?;
                let bytes = self.src(&operands[1], Type::U32)?;
                self.emit_async(Async::BarrierBytes { complete: action == "complete_tx", space, addr, bytes });
            }
            "arrive" | "arrive_drop" => self.arrive(action == "arrive_drop", mods, operands)?,
            "test_wait" | "try_wait" => self.test_wait(action == "try_wait", mods, operands)?,
            "pending_count" => {
                self.count(operands, 2..=2)?;
                let d = self.dst(&operands[0], Type::U32)?;
                let state = self.src(&operands[1], Type::B64)?;
                self.emit_async(Async::PendingCount { d, state });
            }
            _ => return mods.error(format!(".{action} is no operation of an mbarrier")),
        }
        self.barrier_type(mods)
    }

    fn barrier_type(&self, mods: &mut Mods<'_>) -> Result<()> {
        if mods.ty()? == Type::B64 { Ok(()) } else { mods.error("the type of an mbarrier is .b64") }
    }

    /// The address of an mbarrier that has to lie in the block's own shared memory.
    fn own_barrier(
        &mut self,
        mods: &mut Mods<'_>,
        operands: &[Operand<'a>],
        at: usize,
        count: std::ops::RangeInclusive<usize>,
    ) -> Result<(Space, crate::ir::op::Addr)> {
        self.count(operands, count)?;
        let (space, addr) = self.shared_address(mods, &operands[at])?;
        if space == Space::Cluster {
            return mods.error("only arrive, expect_tx and complete_tx reach an mbarrier of another block");
        }
        Ok((space, addr))
    }

    /// Memory order and scope, which come together; whether the order is `.relaxed`.
    fn ordering(&self, mods: &mut Mods<'_>, orders: &[(&str, bool)]) -> Result<bool> {
        let order = mods.maybe(orders);
        let scope = mods.maybe(&[("cta", ()), ("cluster", ())]);
        if order.is_some() != scope.is_some() {
            return mods.error("a memory order and its scope (.cta or .cluster) come together");
        }
        Ok(order.unwrap_or(false))
    }

    fn arrive(&mut self, drop: bool, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let expects = mods.take("expect_tx");
        let no_complete = mods.take("noComplete");
        let relaxed = self.ordering(mods, &[("release", false), ("relaxed", true)])?;
        if no_complete && (expects || relaxed) {
            return mods.error(".noComplete goes with neither .expect_tx nor .relaxed");
        }
        let least = if expects || no_complete { 3 } else { 2 };
        self.count(operands, least..=3)?;
        let (space, addr) = self.shared_address(mods, &operands[1])?;
        let sink = operands[0] == Operand::Name("_");
        if space == Space::Cluster && !sink {
            return mods.error("an arrival in .shared::cluster returns no state: write _");
        }
        let d = if sink { Reg::NONE } else { self.dst(&operands[0], Type::B64)? };
        let (mut count, mut bytes) = (Reg::NONE, Reg::NONE);
        if let Some(operand) = operands.get(2) {
            *(if expects { &mut bytes } else { &mut count }) = self.src(operand, Type::U32)?;
        }
        let how = Arrive { drop, no_complete, relaxed };
        self.emit_async(Async::BarrierArrive { how, space, addr, d, count, bytes });
        Ok(())
    }

    fn test_wait(&mut self, may_block: bool, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let parity = mods.take("parity");
        let relaxed = self.ordering(mods, &[("acquire", false), ("relaxed", true)])?;
        let (space, addr) = self.own_barrier(mods, operands, 1, 3..=3 + usize::from(may_block))?;
        let d = self.dst(&operands[0], Type::Pred)?;
        let phase = self.src(&operands[2], if parity { Type::U32 } else { Type::B64 })?;
        if let Some(hint) = operands.get(3) {
            // Time here is not that of a clock: how long a thread sleeps does not matter.
            self.src(hint, Type::U32)?;
        }
        let how = Wait { may_block, parity, relaxed };
        self.emit_async(Async::BarrierWait { how, space, addr, d, phase });
        Ok(())
    }

    /// `cp.async.mbarrier.arrive`.
    pub(super) fn copy_arrive(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        for word in ["async", "mbarrier", "arrive"] {
            mods.one_of(&[(word, ())])?;
        }
        let increments = !mods.take("noinc");
        let (space, addr) = self.own_barrier(mods, operands, 0, 1..=1)?;
        self.emit_async(Async::CopyArrive { increments, space, addr });
        self.barrier_type(mods)
    }
}
