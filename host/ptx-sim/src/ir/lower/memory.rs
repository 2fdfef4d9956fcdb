//! Loads, stores, atomics and asynchronous copies.

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::op::{Access, Addr, List, MemoryOrder, Op, Reg, Scope};
use crate::ir::types::{Extend, File, Space, Type, Width};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

const SPACES: [(&str, Space); 9] = [
    ("global", Space::Global),
    ("const", Space::Global),
    ("shared", Space::Shared),
    ("shared::cta", Space::Shared),
    ("shared::cluster", Space::Cluster),
    ("local", Space::Local),
    ("param", Space::Param),
    ("param::entry", Space::Param),
    ("param::func", Space::Param),
];

/// Hints of loads and stores: which cache keeps a line. They do not change what is loaded.
const LOAD_CACHES: [(&str, bool); 5] = [("ca", true), ("cg", true), ("cs", true), ("lu", false), ("cv", false)];
const STORE_CACHES: [(&str, bool); 4] = [("wb", true), ("cg", true), ("cs", true), ("wt", true)];
const EVICTIONS: [(&str, ()); 5] = [
    ("L1::evict_normal", ()),
    ("L1::evict_unchanged", ()),
    ("L1::evict_first", ()),
    ("L1::evict_last", ()),
    ("L1::no_allocate", ()),
];
const PREFETCHES: [(&str, ()); 3] = [("L2::64B", ()), ("L2::128B", ()), ("L2::256B", ())];

/// Scopes of ordered accesses and of fences.
pub(super) const SCOPES: [(&str, Scope); 4] =
    [("cta", Scope::Cta), ("cluster", Scope::Cluster), ("gpu", Scope::Gpu), ("sys", Scope::Sys)];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn memory(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        match name {
            "ld" | "st" => self.load_store(name == "ld", mods, operands)?,
            "atom" | "red" => self.atomic(name == "atom", mods, operands)?,
            "ldu" => self.load_uniform(mods, operands)?,
            "cp" if mods.take("async") => self.copy_async(mods, operands)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn space(&self, mods: &mut Mods<'_>) -> (bool, Space) {
        let found = mods.maybe(&SPACES);
        (found.is_some(), found.unwrap_or(Space::Generic))
    }

    /// `.volatile`, `.relaxed.gpu` and the like; `ordered` is what this kind of access can do besides.
    fn strength(&self, mods: &mut Mods<'_>, ordered: (&str, MemoryOrder)) -> Result<MemoryOrder> {
        let volatile = MemoryOrder { scope: Scope::Sys, ..MemoryOrder::ATOMIC };
        let mapped = mods.take("mmio");
        let plain = mods.maybe(&[("weak", MemoryOrder::WEAK), ("volatile", volatile)]);
        let order = mods.maybe(&[("relaxed", MemoryOrder::ATOMIC), ordered]);
        let scope = mods.maybe(&SCOPES);
        if mapped && (order != Some(MemoryOrder::ATOMIC) || scope != Some(Scope::Sys) || !mods.has("global")) {
            return mods.error(".mmio needs .relaxed.sys.global");
        }
        match (plain, order, scope) {
            (plain, None, None) => Ok(plain.unwrap_or(MemoryOrder::WEAK)),
            (None, Some(order), Some(scope)) => Ok(MemoryOrder { scope, ..order }),
            _ => mods.error("a memory order and its scope come together, without .weak or .volatile"),
        }
    }

    /// The hints about caches, each kind at most once and only where there is one.
    fn caches(&self, load: bool, mods: &mut Mods<'_>, space: Space, strong: bool) -> Result<()> {
        let cached = mods.maybe(if load { &LOAD_CACHES[..] } else { &STORE_CACHES[..] });
        if cached.is_some() && strong {
            return mods.error("a volatile or ordered access takes no cache operator");
        }
        if load && mods.take("nc") && (space != Space::Global || strong || cached == Some(false)) {
            return mods.error(".nc is for plain loads of .global memory");
        }
        if mods.maybe(&EVICTIONS).is_some() && !matches!(space, Space::Global | Space::Generic) {
            return mods.error("only global memory has an eviction priority");
        }
        if load && mods.maybe(&PREFETCHES).is_some() && !matches!(space, Space::Global | Space::Generic) {
            return mods.error("only global memory has an L2 prefetch");
        }
        Ok(())
    }

    fn load_store(&mut self, load: bool, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let acquire = MemoryOrder { acquire: true, ..MemoryOrder::ATOMIC };
        let release = MemoryOrder { release: true, ..MemoryOrder::ATOMIC };
        let order = self.strength(mods, if load { ("acquire", acquire) } else { ("release", release) })?;
        if !load && mods.has("const") {
            return mods.error("constant memory cannot be written");
        }
        let (_, space) = self.space(mods);
        self.caches(load, mods, space, order.strong)?;
        let policy = self.cache_policy(mods, space)?;
        let count = mods.maybe(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let ty = self.element(mods, count)?;
        self.count(operands, if policy { 3..=3 } else { 2..=2 })?;
        if policy {
            self.src(&operands[2], Type::B64)?;
        }
        let (value, at) = if load { (&operands[0], &operands[1]) } else { (&operands[1], &operands[0]) };
        let (addr, space) = self.address(at, space)?;
        let (ty, (regs, reg)) = if ty == Type::B128 {
            // Sixteen bytes at once, as two registers of eight.
            let halves = self.register128(value)?;
            (Type::B64, (self.list(&halves), Width::W64))
        } else {
            (ty, self.values(mods, load, value, ty, count)?)
        };
        let extend = if ty.is_signed() { Extend::Sign } else { Extend::Zero };
        let access = Access { space, bytes: ty.bytes() as u8, extend, reg, order };
        self.class = class_of(space);
        if !load && space == Space::Param {
            return mods.error("a kernel's parameters cannot be written");
        }
        self.emit(if load { Op::Load { access, regs, addr } } else { Op::Store { access, regs, addr } });
        Ok(())
    }

    /// `.L2::cache_hint`: another operand names a policy.
    pub(super) fn cache_policy(&self, mods: &mut Mods<'_>, space: Space) -> Result<bool> {
        let policy = mods.take("L2::cache_hint");
        if policy && !matches!(space, Space::Global | Space::Generic) {
            return mods.error("a cache policy needs global memory");
        }
        Ok(policy)
    }

    /// The type of what a load or store moves, `count` of them in at most sixteen bytes. Halves move as bits.
    fn element(&self, mods: &mut Mods<'_>, count: usize) -> Result<Type> {
        let ty = mods.ty()?;
        if ty == Type::Pred || (ty.is_float() && !matches!(ty, Type::F32 | Type::F64)) {
            return mods.error("this type is not supported; 16-bit floats move as .b16");
        }
        if count as u32 * ty.bytes() > 16 {
            return mods.error("a vector of more than 16 bytes needs .target sm_100");
        }
        Ok(ty)
    }

    /// `ldu`: a load of global memory whose address is the same in all threads, or at least meant to be.
    fn load_uniform(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let space = mods.maybe(&[("global", Space::Global)]).unwrap_or(Space::Generic);
        let count = mods.maybe(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let ty = self.element(mods, count)?;
        if ty == Type::B128 {
            return mods.error("this type is not supported");
        }
        self.count(operands, 2..=2)?;
        let (addr, space) = self.address(&operands[1], space)?;
        let (regs, reg) = self.values(mods, true, &operands[0], ty, count)?;
        let extend = if ty.is_signed() { Extend::Sign } else { Extend::Zero };
        let access = Access { space, bytes: ty.bytes() as u8, extend, reg, order: MemoryOrder::WEAK };
        self.class = class_of(space);
        self.emit(Op::Load { access, regs, addr });
        Ok(())
    }

    /// The registers of a load or store; those of one instruction must have the same width.
    fn values(
        &mut self,
        mods: &Mods<'_>,
        load: bool,
        operand: &Operand<'a>,
        ty: Type,
        count: usize,
    ) -> Result<(List, Width)> {
        let items = self.vector(operand, count)?;
        let mut regs = Vec::with_capacity(count);
        let mut sinks = Vec::new();
        let mut width = None;
        for item in items {
            let (reg, found) = match item {
                Operand::Name("_") if load => {
                    sinks.push(regs.len());
                    (Reg::NONE, None)
                }
                Operand::Name(name) => {
                    let (reg, declared) = self.declared(name)?;
                    if declared.bytes() < ty.bytes() || !declared.agrees(ty) {
                        return self.misfit(name, declared, ty);
                    }
                    (reg, declared.width())
                }
                _ if load => return mods.error("the result has to be a register"),
                // Constants of a byte come in the 16-bit form.
                _ => (self.src(item, if ty.bytes() == 1 { Type::B16 } else { ty })?, None),
            };
            if let (Some(found), Some(width)) = (found, width)
                && found != width
            {
                return mods.error("the registers of a vector must have one width");
            }
            width = width.or(found);
            regs.push(reg);
        }
        let natural = ty.width().unwrap_or(Width::W16);
        let width = width.unwrap_or(natural);
        // Only now is it known in which file a sink has to lie.
        let file = if width == Width::W64 { File::W64 } else { File::W32 };
        for at in sinks {
            regs[at] = self.fresh(file);
        }
        if width == Width::W64 && ty.bytes() < 8 && regs.iter().any(|reg| reg.0 & Reg::CONSTANT != 0) {
            return mods.error("constants and 64-bit registers cannot be mixed here");
        }
        Ok((self.list(&regs), width))
    }

    fn copy_async(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        self.class = Class::Sync;
        if mods.take("commit_group") {
            self.count(operands, 0..=0)?;
            self.emit(Op::CopyCommit);
            return Ok(());
        }
        if mods.take("wait_all") {
            self.count(operands, 0..=0)?;
            self.emit(Op::CopyWait { pending: 0, all: true });
            return Ok(());
        }
        if mods.take("wait_group") {
            self.count(operands, 1..=1)?;
            let pending = self.fixed(&operands[0], u32::MAX)?;
            self.emit(Op::CopyWait { pending, all: false });
            return Ok(());
        }
        let all_levels = mods.one_of(&[("ca", true), ("cg", false)])?;
        if !mods.take_pair("shared", "global") && !mods.take_pair("shared::cta", "global") {
            return mods.error("only copies from .global to .shared are supported");
        }
        mods.maybe(&PREFETCHES);
        self.count(operands, 3..=4)?;
        let bytes = self.fixed(&operands[2], 16)? as u8;
        if !matches!(bytes, 4 | 8 | 16) || (!all_levels && bytes != 16) {
            return mods.error("the size has to be 4, 8 or 16 bytes, and 16 with .cg");
        }
        let (target, _) = self.address(&operands[0], Space::Shared)?;
        let (source, _) = self.address(&operands[1], Space::Global)?;
        let (mut source_bytes, mut ignore) = (Reg::NONE, Reg::NONE);
        match operands.get(3) {
            Some(Operand::Name(name)) if self.declared(name)?.1 == Type::Pred => {
                ignore = self.register(name, Type::Pred)?;
            }
            Some(Operand::Not(_)) => ignore = self.plain_pred(&operands[3])?,
            Some(operand) => source_bytes = self.src(operand, Type::U32)?,
            None => {}
        }
        self.class = Class::Global;
        self.emit(Op::CopyAsync { bytes, target, source, source_bytes, ignore });
        Ok(())
    }

    /// An address with its offset in a register: where an operation takes no offset.
    pub(super) fn plain_address(&mut self, operand: &Operand<'a>, space: Space) -> Result<Addr> {
        Ok(self.address(operand, space)?.0)
    }
}

pub(super) fn class_of(space: Space) -> Class {
    match space {
        Space::Generic | Space::Global => Class::Global,
        Space::Shared | Space::Cluster => Class::Shared,
        Space::Local | Space::Param => Class::Local,
    }
}
