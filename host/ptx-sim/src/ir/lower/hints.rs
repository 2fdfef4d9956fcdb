//! Instructions about caches: their operands are checked, and nothing happens.

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::op::Op;
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

/// The only size that `applypriority` and `discard` take.
const LINE_BYTES: u32 = 128;

const PRIORITIES: [(&str, ()); 4] =
    [("L2::evict_last", ()), ("L2::evict_normal", ()), ("L2::evict_first", ()), ("L2::evict_unchanged", ())];

impl<'a> Lowerer<'_, 'a> {
    /// `prefetch`, `prefetchu`, `applypriority`, `discard` and `createpolicy`.
    pub(super) fn hints(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        match name {
            "prefetch" if mods.has("tensormap") => {
                mods.take("tensormap");
                let space = mods.maybe(&[("const", Space::Global), ("param", Space::Param)]);
                self.count(operands, 1..=1)?;
                self.address(&operands[0], space.unwrap_or(Space::Generic))?;
            }
            "prefetch" => {
                let spaces = [("global", Space::Global), ("local", Space::Local)];
                let space = mods.maybe(&spaces).unwrap_or(Space::Generic);
                let priority = mods.maybe(&[("L2::evict_last", ()), ("L2::evict_normal", ())]);
                match priority {
                    Some(()) if space == Space::Global => {}
                    Some(()) => return mods.error("an eviction priority needs .global"),
                    None => mods.one_of(&[("L1", ()), ("L2", ())])?,
                }
                self.count(operands, 1..=1)?;
                self.address(&operands[0], space)?;
            }
            "prefetchu" => {
                mods.one_of(&[("L1", ())])?;
                self.count(operands, 1..=1)?;
                self.address(&operands[0], Space::Generic)?;
            }
            "applypriority" => {
                let space = mods.maybe(&[("global", Space::Global)]).unwrap_or(Space::Generic);
                mods.one_of(&[("L2::evict_normal", ())])?;
                self.line(mods, operands, space)?;
            }
            "discard" => {
                let space = mods.maybe(&[("global", Space::Global)]).unwrap_or(Space::Generic);
                mods.one_of(&[("L2", ())])?;
                self.line(mods, operands, space)?;
            }
            "createpolicy" => return self.create_policy(mods, operands),
            _ => return Ok(false),
        }
        self.emit(Op::Hint);
        Ok(self.counts_as(Class::Global))
    }

    /// An address and the size of a cache line.
    fn line(&mut self, mods: &Mods<'_>, operands: &[Operand<'a>], space: Space) -> Result<()> {
        self.count(operands, 2..=2)?;
        self.address(&operands[0], space)?;
        if self.fixed(&operands[1], u32::MAX)? != LINE_BYTES {
            return mods.error("the size has to be 128");
        }
        Ok(())
    }

    /// A policy is an opaque number for `.L2::cache_hint`; as hints do nothing, every policy is zero here.
    fn create_policy(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        if mods.take("cvt") {
            mods.one_of(&[("L2", ())])?;
            self.count(operands, 2..=2)?;
            self.src(&operands[1], Type::B64)?;
        } else if mods.take("range") {
            let space = mods.maybe(&[("global", Space::Global)]).unwrap_or(Space::Generic);
            self.priorities(mods)?;
            self.count(operands, 4..=4)?;
            self.address(&operands[1], space)?;
            self.src(&operands[2], Type::B32)?;
            self.src(&operands[3], Type::B32)?;
        } else {
            mods.one_of(&[("fractional", ())])?;
            self.priorities(mods)?;
            self.count(operands, 1..=2)?;
            if let Some(fraction) = operands.get(1) {
                self.src(fraction, Type::F32)?;
            }
        }
        if mods.ty()? != Type::B64 {
            return mods.error("the type has to be .b64");
        }
        let (d, a) = (self.dst(&operands[0], Type::B64)?, self.constant64(0, None));
        self.emit(Op::Mov { wide: true, d, a });
        Ok(self.counts_as(Class::Integer))
    }

    /// A primary priority and maybe a secondary one.
    fn priorities(&self, mods: &mut Mods<'_>) -> Result<()> {
        mods.one_of(&PRIORITIES)?;
        match mods.maybe(&PRIORITIES[2..]) {
            Some(()) => Ok(()),
            None if PRIORITIES.iter().any(|(name, ())| mods.has(name)) => mods.error("this second priority is not one"),
            None => Ok(()),
        }
    }
}
