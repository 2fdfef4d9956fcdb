//! `cp.async.bulk`, `cp.reduce.async.bulk`, their groups, and `st.async` (PTX ISA 9.7.9.25.4).

use super::super::Lowerer;
use super::super::mods::Mods;
use crate::counters::Class;
use crate::ir::asynchronous::{Async, Way};
use crate::ir::op::{Atomic, Reg};
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn bulk(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<Class> {
        let reduces = mods.take("reduce");
        for word in ["async", "bulk"] {
            mods.one_of(&[(word, ())])?;
        }
        if mods.take("commit_group") {
            self.count(operands, 0..=0)?;
            self.emit_async(Async::BulkCommit);
            return Ok(Class::Sync);
        }
        if mods.take("wait_group") {
            self.count(operands, 1..=1)?;
            let pending = self.fixed(&operands[0], u32::MAX)?;
            let read = mods.take("read");
            self.emit_async(Async::BulkWait { pending, read });
            return Ok(Class::Sync);
        }
        let tensor = mods.has("tensor");
        let way = self.way(mods, reduces)?;
        if tensor {
            self.tensor_copy(way, reduces, mods, operands)?;
        } else {
            self.plain_copy(way, reduces, mods, operands)?;
        }
        Ok(Class::Global)
    }

    /// The state spaces, target first, and how the copy is completed.
    fn way(&self, mods: &mut Mods<'_>, reduces: bool) -> Result<Way> {
        if mods.take("prefetch") {
            mods.take("tensor");
            let global = mods.take_pair("L2", "global");
            return if global && !reduces { Ok(Way::Prefetch) } else { mods.error("a prefetch is .L2.global") };
        }
        mods.take("tensor");
        let ways = [
            ("shared::cta", "global", Way::ToBlock),
            ("shared::cluster", "global", Way::ToCluster),
            ("shared::cluster", "shared::cta", Way::Between),
            ("global", "shared::cta", Way::ToGlobal),
        ];
        let found = ways.iter().find(|(target, source, _)| mods.take_pair(target, source));
        let Some((_, _, way)) = found.copied() else {
            return mods.error("this pair of state spaces (target, source) is not supported");
        };
        if reduces && matches!(way, Way::ToBlock | Way::ToCluster) {
            return mods.error("a reduction cannot read global memory");
        }
        match way {
            Way::ToGlobal => mods.one_of(&[("bulk_group", ())])?,
            _ => mods.one_of(&[("mbarrier::complete_tx::bytes", ())])?,
        }
        Ok(way)
    }

    fn plain_copy(&mut self, way: Way, reduces: bool, mods: &mut Mods<'_>, mut operands: &[Operand<'a>]) -> Result<()> {
        let multicast = way == Way::ToCluster && mods.take("multicast::cluster");
        if way != Way::Between {
            self.cache_hint(mods, &mut operands)?;
        }
        let reduce = if reduces { Some(self.bulk_reduction(way, mods)?) } else { None };
        if way == Way::Prefetch {
            self.count(operands, 2..=2)?;
            let source = self.address64(&operands[0], Space::Global)?;
            let bytes = self.src(&operands[1], Type::U32)?;
            let (target, bar, blocks) = (Reg::NONE, Reg::NONE, Reg::NONE);
            self.emit_async(Async::Bulk { way, reduce, target, source, bytes, bar, blocks });
            return Ok(());
        }
        let (to, from) = match way {
            Way::ToBlock => (Space::Shared, Space::Global),
            Way::ToCluster => (Space::Cluster, Space::Global),
            Way::Between => (Space::Cluster, Space::Shared),
            _ => (Space::Global, Space::Shared),
        };
        let by_barrier = way != Way::ToGlobal;
        let wanted = 3 + usize::from(by_barrier) + usize::from(multicast);
        self.count(operands, wanted..=wanted)?;
        let target = self.address64(&operands[0], to)?;
        let source = self.address64(&operands[1], from)?;
        let bytes = self.src(&operands[2], Type::U32)?;
        let bar = if by_barrier { self.address64(&operands[3], to)? } else { Reg::NONE };
        let blocks = if multicast { self.src(&operands[4], Type::B16)? } else { Reg::NONE };
        self.emit_async(Async::Bulk { way, reduce, target, source, bytes, bar, blocks });
        Ok(())
    }

    /// Operation and type of `cp.reduce.async.bulk`, by the document's table.
    fn bulk_reduction(&self, way: Way, mods: &mut Mods<'_>) -> Result<(Atomic, Type)> {
        use Type::{B32, B64, BF16, F16, F32, F64, S32, S64, U32, U64};
        let op = self.reduction(mods)?;
        let keeps_subnormals = mods.take("noftz");
        let ty = mods.ty()?;
        let global = way == Way::ToGlobal;
        let fits = match op {
            Atomic::Add => matches!(ty, U32 | S32 | U64) || (global && matches!(ty, F16 | BF16 | F32 | F64)),
            Atomic::Min | Atomic::Max => matches!(ty, U32 | S32) || (global && matches!(ty, U64 | S64 | F16 | BF16)),
            Atomic::Inc | Atomic::Dec => ty == U32,
            _ => ty == B32 || (global && ty == B64),
        };
        let half_sum = op == Atomic::Add && matches!(ty, F16 | BF16);
        if !fits || keeps_subnormals != half_sum {
            return mods.error("this operation does not go with this type (sums of f16 and bf16 need .noftz)");
        }
        Ok((op, ty))
    }

    /// `st.async` and `red.async`.
    pub(super) fn send(&mut self, reduces: bool, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        mods.one_of(&[("async", ())])?;
        // Weak and to the cluster's shared memory are what both mean by default; other forms are of later GPUs.
        if mods.take("relaxed") != mods.take("cluster") {
            return mods.error(".relaxed and its scope .cluster come together");
        }
        mods.take("weak");
        mods.take("shared::cluster");
        mods.one_of(&[("mbarrier::complete_tx::bytes", ())])?;
        self.count(operands, 3..=3)?;
        let (addr, _) = self.address(&operands[0], Space::Cluster)?;
        if reduces {
            let (op, ty) = self.bulk_reduction(Way::Between, mods)?;
            let b = self.src(&operands[1], ty)?;
            let bar = self.address64(&operands[2], Space::Cluster)?;
            self.emit_async(Async::Reduce { op, ty, addr, b, bar });
            return Ok(());
        }
        let count = mods.maybe(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let ty = mods.ty()?;
        let plain = ty.is_bits() || ty.is_integer() || matches!(ty, Type::F32 | Type::F64);
        if !plain || !matches!(ty.bytes(), 4 | 8) || (count == 4 && ty.bytes() == 8) {
            return mods.error("the types are those of 32 or 64 bits, with .v4 of 32");
        }
        let regs = self.src_list(&operands[1], ty, count)?;
        let bar = self.address64(&operands[2], Space::Cluster)?;
        self.emit_async(Async::Store { ty, addr, regs, bar });
        Ok(())
    }
}
