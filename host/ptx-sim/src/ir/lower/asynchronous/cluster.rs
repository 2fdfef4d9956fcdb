//! Clusters and the fences between proxies (PTX ISA 9.7.9.23, 9.7.13.3, 9.7.13.4).

use super::super::Lowerer;
use super::super::mods::Mods;
use crate::ir::asynchronous::{Async, ProxyFence};
use crate::ir::op::Op;
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

const SCOPES: [(&str, ()); 4] = [("cta", ()), ("cluster", ()), ("gpu", ()), ("sys", ())];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn cluster_barrier(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        self.count(operands, 0..=0)?;
        let arrives = mods.one_of(&[("arrive", true), ("wait", false)])?;
        let order = mods.maybe(if arrives { &[("release", false), ("relaxed", true)] } else { &[("acquire", false)] });
        let (relaxed, aligned) = (order == Some(true), mods.take("aligned"));
        self.emit_async(match arrives {
            true => Async::ClusterArrive { aligned, relaxed },
            false => Async::ClusterWait { aligned },
        });
        Ok(())
    }

    /// `mapa` and `getctarank`.
    pub(super) fn rank_address(&mut self, maps: bool, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let space = if mods.take("shared::cluster") { Space::Cluster } else { Space::Generic };
        let ty = mods.ty()?;
        if !matches!(ty, Type::U32 | Type::U64) || (space == Space::Generic && ty == Type::U32) {
            return mods.error("the type is .u64, or .u32 with .shared::cluster");
        }
        let wide = ty == Type::U64;
        self.count(operands, 2 + usize::from(maps)..=2 + usize::from(maps))?;
        let d = self.dst(&operands[0], if maps { ty } else { Type::U32 })?;
        let a = match space {
            Space::Cluster => self.mov_source(&operands[1], ty)?,
            _ => self.src(&operands[1], ty)?,
        };
        if maps {
            let b = self.src(&operands[2], Type::U32)?;
            self.emit_async(Async::MapRank { space, wide, d, a, b });
        } else {
            self.emit_async(Async::RankOf { space, wide, d, a });
        }
        Ok(())
    }

    /// `fence.proxy.*`, `membar.proxy.*` and `fence.mbarrier_init`.
    pub(super) fn proxy_fence(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        if mods.take("mbarrier_init") {
            mods.one_of(&[("release", ())])?;
            mods.one_of(&[("cluster", ())])?;
            self.count(operands, 0..=0)?;
            self.emit_async(Async::ProxyFence(ProxyFence::BarrierInit));
            return Ok(());
        }
        mods.one_of(&[("proxy", ())])?;
        if mods.take("tensormap::generic") {
            let acquires = mods.one_of(&[("acquire", true), ("release", false)])?;
            mods.one_of(&SCOPES)?;
            if !acquires {
                self.count(operands, 0..=0)?;
                self.emit_async(Async::ProxyFence(ProxyFence::TensorRelease));
                return Ok(());
            }
            self.count(operands, 2..=2)?;
            let map = self.address64(&operands[0], Space::Generic)?;
            self.map_size(&operands[1])?;
            self.emit_async(Async::TensorAcquire { map });
            return Ok(());
        }
        self.count(operands, 0..=0)?;
        if mods.take("async::generic") {
            // One-way fences towards the async proxy, restricted to the memory that their order is about.
            let release = mods.one_of(&[("acquire", false), ("release", true)])?;
            let restrict = if release { "sync_restrict::shared::cta" } else { "sync_restrict::shared::cluster" };
            mods.one_of(&[(restrict, ())])?;
            mods.one_of(&[("cluster", ())])?;
            self.emit_async(Async::ProxyFence(ProxyFence::Async { global: false, shared: true }));
            return Ok(());
        }
        let both = ProxyFence::Async { global: true, shared: true };
        let kind = mods.one_of(&[("async", both), ("async.global", both), ("alias", ProxyFence::Other)])?;
        let restricted = mods.maybe(&[
            ("global", (true, false)),
            ("shared::cta", (false, true)),
            ("shared::cluster", (false, true)),
        ]);
        let kind = match (kind, restricted) {
            (ProxyFence::Async { .. }, Some((global, shared))) => ProxyFence::Async { global, shared },
            (_, Some(_)) => return mods.error("only .async is restricted to a state space"),
            (kind, None) => kind,
        };
        if kind == ProxyFence::Other {
            // One address for each byte: aliases do not exist here.
            self.emit(Op::Hint);
        } else {
            self.emit_async(Async::ProxyFence(kind));
        }
        Ok(())
    }
}
