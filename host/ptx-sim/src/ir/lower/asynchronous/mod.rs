//! What works beside the threads or beyond the block: mbarriers, bulk copies, tensor maps, clusters.

mod bulk;
mod cluster;
mod mbarrier;
mod tensor;

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::asynchronous::Async;
use crate::ir::op::{Addr, Atomic, Convert, Int2, Op, Reg};
use crate::ir::types::{File, Space, Type, Width};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

/// `.shared::cta` and `.shared::cluster` as an operation says them; generic addressing without either.
const SHARED: [(&str, Space); 3] =
    [("shared", Space::Shared), ("shared::cta", Space::Shared), ("shared::cluster", Space::Cluster)];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn asynchronous(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        let class = match name {
            "mbarrier" => {
                self.mbarrier(mods, operands)?;
                Class::Sync
            }
            "cp" if mods.has("mbarrier") => {
                self.copy_arrive(mods, operands)?;
                Class::Sync
            }
            "cp" if mods.has("bulk") => self.bulk(mods, operands)?,
            "st" | "red" if mods.has("async") => {
                self.send(name == "red", mods, operands)?;
                Class::Shared
            }
            "tensormap" => {
                self.tensormap(mods, operands)?;
                Class::Global
            }
            "fence" | "membar" if mods.has("proxy") || mods.has("mbarrier_init") => {
                self.proxy_fence(mods, operands)?;
                Class::Sync
            }
            "barrier" if mods.take("cluster") => {
                self.cluster_barrier(mods, operands)?;
                Class::Sync
            }
            "griddepcontrol" => {
                mods.one_of(&[("launch_dependents", ()), ("wait", ())])?;
                self.count(operands, 0..=0)?;
                // One grid runs at a time, and all that came before it is done.
                self.emit(Op::Hint);
                Class::Sync
            }
            "mapa" | "getctarank" => {
                self.rank_address(name == "mapa", mods, operands)?;
                Class::Control
            }
            _ => return Ok(false),
        };
        Ok(self.counts_as(class))
    }

    fn emit_async(&mut self, op: Async) {
        self.emit(Op::Async(op));
    }

    /// The state space of an mbarrier's address, and the address.
    fn shared_address(&mut self, mods: &mut Mods<'_>, operand: &Operand<'a>) -> Result<(Space, Addr)> {
        let space = mods.maybe(&SHARED).unwrap_or(Space::Generic);
        Ok((space, self.address(operand, space)?.0))
    }

    /// An address as one 64-bit register, its offset added.
    fn address64(&mut self, operand: &Operand<'a>, space: Space) -> Result<Reg> {
        let (Addr { base, wide, offset }, _) = self.address(operand, space)?;
        if base.is_none() {
            return Ok(self.constant64(u64::from(offset as u32), None));
        }
        let mut address = base;
        if offset != 0 {
            let width = if wide { Width::W64 } else { Width::W32 };
            let (d, b) = match wide {
                true => (self.fresh(File::W64), self.constant64(i64::from(offset) as u64, None)),
                false => (self.fresh(File::W32), self.constant32(offset as u32)),
            };
            self.emit_always(Op::Int2 { op: Int2::Add, width, d, a: base, b });
            address = d;
        }
        if !wide {
            let how = Convert::IntToInt { from: Type::U32, to: Type::U64, saturate: false };
            let d = self.fresh(File::W64);
            self.emit_always(Op::Convert { how, reg: Width::W64, d, a: address });
            address = d;
        }
        Ok(address)
    }

    /// `.L2::cache_hint` and its operand, the last one left: a hint about caches, checked and dropped.
    fn cache_hint(&mut self, mods: &mut Mods<'_>, operands: &mut &[Operand<'a>]) -> Result<()> {
        if !mods.take("L2::cache_hint") {
            return Ok(());
        }
        let Some((policy, rest)) = operands.split_last() else { return mods.error("the cache policy is missing") };
        self.src(policy, Type::B64)?;
        *operands = rest;
        Ok(())
    }

    /// The operation of a reduction, before its type is looked at.
    fn reduction(&self, mods: &mut Mods<'_>) -> Result<Atomic> {
        mods.one_of(&[
            ("add", Atomic::Add),
            ("min", Atomic::Min),
            ("max", Atomic::Max),
            ("inc", Atomic::Inc),
            ("dec", Atomic::Dec),
            ("and", Atomic::And),
            ("or", Atomic::Or),
            ("xor", Atomic::Xor),
        ])
    }
}
