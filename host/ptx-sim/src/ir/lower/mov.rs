//! Moves: registers, constants, addresses, special registers, and the parts of wider ones.

use super::mods::Mods;
use super::scope::{Place, Symbol};
use super::{Lowerer, Reg};
use crate::ir::op::{Convert, Int2, Op, Special};
use crate::ir::types::{Compare, File, IntKind, Type, Width};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

type Operands<'o, 'a> = &'o [Operand<'a>];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn mov(&mut self, mods: &mut Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let ty = mods.ty()?;
        self.count(operands, 2..=2)?;
        if ty == Type::B128 {
            return self.mov_wide(mods, operands);
        }
        // Halves and pairs move as bits.
        if ty.bytes() == 1 || (ty.is_float() && !matches!(ty, Type::F32 | Type::F64)) {
            return mods.error("this type is not supported; 16-bit floats move as .b16");
        }
        let wide = ty.bytes() == 8;
        match (&operands[0], &operands[1]) {
            (Operand::Vector(_), Operand::Vector(_)) => return mods.error("one side has to be a single register"),
            (Operand::Vector(_), _) | (_, Operand::Vector(_)) if !ty.is_bits() => {
                return mods.error("parts need a .b type");
            }
            (Operand::Vector(items), source) => {
                let part = self.part_type(mods, ty, items.len())?;
                let a = self.src(source, ty)?;
                let regs = items.iter().map(|item| self.dst(item, part)).collect::<Result<Vec<_>>>()?;
                let parts = self.list(&regs);
                self.emit(Op::Unpack { bits: part.bytes() as u8 * 8, wide, parts, a });
            }
            (target, Operand::Vector(items)) => {
                let part = self.part_type(mods, ty, items.len())?;
                let parts = self.src_list(&operands[1], part, items.len())?;
                let d = self.dst(target, ty)?;
                self.emit(Op::Pack { bits: part.bytes() as u8 * 8, wide, d, parts });
            }
            (target, Operand::Name("%is_explicit_cluster")) if ty == Type::Pred => {
                let d = self.dst(target, ty)?;
                let value = self.fresh(File::W32);
                self.emit_always(Op::Special { what: Special::IsExplicitCluster, d: value });
                let zero = self.constant32(0);
                self.emit(Op::CompareInt { op: Compare::Ne, kind: IntKind::U32, d, a: value, b: zero });
            }
            (target, source) if ty == Type::Pred => {
                let d = self.dst(target, ty)?;
                let (a, negated) = self.pred(source)?;
                self.emit(Op::PredMov { d, a, negated });
            }
            (target, Operand::Name(name)) if special(name).is_some() => {
                let (what, found) = special(name).unwrap_or((Special::LaneId, Type::U32));
                let d = self.dst(target, ty)?;
                if found.bytes() == ty.bytes() {
                    self.emit(Op::Special { what, d });
                } else {
                    // A narrower move takes the low part, a wider one extends with zeros.
                    let value = self.special_value(what, found);
                    let Some((from, to)) = unsigned(found).zip(unsigned(ty)) else {
                        return mods.error(format!("{name} has another width"));
                    };
                    let how = Convert::IntToInt { from, to, saturate: false };
                    self.emit(Op::Convert { how, reg: ty.width().unwrap_or(Width::W32), d, a: value });
                }
            }
            (target, source) => {
                let d = self.dst(target, ty)?;
                let a = self.mov_source(source, ty)?;
                match self.is_shared(source) {
                    true => self.own_address(wide, d, a),
                    false => self.emit(Op::Mov { wide, d, a }),
                }
            }
        }
        Ok(())
    }

    /// Whether the address of a shared variable is meant.
    fn is_shared(&mut self, source: &Operand<'a>) -> bool {
        let (Operand::Name(name) | Operand::NameOffset(name, _)) = *source else { return false };
        matches!(self.find(name), Ok(Symbol::Place(Place::Shared(_) | Place::DynamicShared)))
    }

    /// The address of the place `a` of the own block's shared memory, with what names the block.
    fn own_address(&mut self, wide: bool, d: Reg, a: Reg) {
        let mut block = self.special_value(Special::SharedWindow, Type::U32);
        if wide {
            let (narrow, how) = (block, Convert::IntToInt { from: Type::U32, to: Type::U64, saturate: false });
            block = self.fresh(File::W64);
            self.emit_always(Op::Convert { how, reg: Width::W64, d: block, a: narrow });
        }
        let width = if wide { Width::W64 } else { Width::W32 };
        self.emit(Op::Int2 { op: Int2::Or, width, d, a, b: block });
    }

    /// `mov.b128`: between two of them, or from and to two 64-bit registers, low one first.
    fn mov_wide(&mut self, mods: &Mods<'_>, operands: Operands<'_, 'a>) -> Result<()> {
        let side = |this: &mut Self, operand: &Operand<'a>| match operand {
            Operand::Vector(items) if items.len() == 2 => {
                Ok([this.src(&items[0], Type::B64)?, this.src(&items[1], Type::B64)?])
            }
            Operand::Name(_) => this.register128(operand),
            _ => mods.error("a .b128 register or two .b64 registers in braces are needed"),
        };
        let sources = side(self, &operands[1])?;
        let targets = match &operands[0] {
            Operand::Vector(items) if items.len() == 2 => {
                [self.dst(&items[0], Type::B64)?, self.dst(&items[1], Type::B64)?]
            }
            target => self.register128(target)?,
        };
        // The first move must not overwrite what the second one reads.
        let kept = self.fresh(File::W64);
        self.emit(Op::Mov { wide: true, d: kept, a: sources[1] });
        self.emit(Op::Mov { wide: true, d: targets[0], a: sources[0] });
        self.emit(Op::Mov { wide: true, d: targets[1], a: kept });
        Ok(())
    }

    /// The low and the high half of a `.b128` register: two neighbours among the 64-bit ones.
    pub(super) fn register128(&mut self, operand: &Operand<'a>) -> Result<[Reg; 2]> {
        let Operand::Name(name) = operand else { return self.error("a .b128 register was expected") };
        let low = self.register(name, Type::B128)?;
        Ok([low, Reg(low.0 + 1)])
    }

    /// The value of a special register in a fresh one.
    pub(super) fn special_value(&mut self, what: Special, ty: Type) -> Reg {
        let d = self.fresh(ty.file());
        self.emit_always(Op::Special { what, d });
        d
    }

    fn part_type(&self, mods: &Mods<'_>, ty: Type, count: usize) -> Result<Type> {
        match (ty.bytes() as usize, count) {
            (8, 2) => Ok(Type::B32),
            (8, 4) | (4, 2) => Ok(Type::B16),
            _ => mods.error("this number of parts is not supported"),
        }
    }

    pub(super) fn mov_source(&mut self, source: &Operand<'a>, ty: Type) -> Result<Reg> {
        let (name, offset) = match *source {
            Operand::Name(name) => (name, 0),
            Operand::NameOffset(name, offset) => (name, offset),
            _ => return self.src(source, ty),
        };
        if name == "WARP_SZ" && offset == 0 && matches!(ty, Type::U32 | Type::S32 | Type::B32) {
            return Ok(self.constant32(32));
        }
        if let Some(address) = self.function_address(name).filter(|_| offset == 0 && ty.bytes() == 8) {
            return Ok(self.constant64(address, None));
        }
        let Symbol::Place(place) = self.find(name)? else { return self.src(source, ty) };
        // The address in the variable's own state space.
        let file = ty.file();
        let start = match place {
            Place::Shared(start) | Place::Local(start) | Place::Param(start) => start,
            Place::DynamicShared => return Ok(self.dynamic_constant(file, offset as u64)),
            Place::Global(index) if ty.bytes() == 8 => return Ok(self.constant64(offset as u64, Some(index))),
            Place::Global(_) => return self.error(format!("the address of {name} needs 64 bits")),
        };
        let address = i64::from(start) + offset;
        match ty.bytes() {
            8 => Ok(self.constant64(address as u64, None)),
            4 => Ok(self.constant32(address as u32)),
            _ => self.error(format!("the address of {name} needs 32 or 64 bits")),
        }
    }
}

/// The unsigned integer of the size of `ty`.
fn unsigned(ty: Type) -> Option<Type> {
    match ty.bytes() {
        2 => Some(Type::U16),
        4 => Some(Type::U32),
        8 => Some(Type::U64),
        _ => None,
    }
}

/// The special register of that name and its type.
pub(super) fn special(name: &str) -> Option<(Special, Type)> {
    let axis = |prefix: &str| match name.strip_prefix(prefix)? {
        ".x" => Some(0),
        ".y" => Some(1),
        ".z" => Some(2),
        _ => None,
    };
    let special = match name {
        "%laneid" => Special::LaneId,
        "%warpid" => Special::WarpId,
        "%nwarpid" => Special::NWarpId,
        "%smid" => Special::SmId,
        "%nsmid" => Special::NSmId,
        "%gridid" => return Some((Special::GridId, Type::U64)),
        "%lanemask_eq" => Special::LaneMaskEq,
        "%lanemask_lt" => Special::LaneMaskLt,
        "%lanemask_le" => Special::LaneMaskLe,
        "%lanemask_gt" => Special::LaneMaskGt,
        "%lanemask_ge" => Special::LaneMaskGe,
        "%clock" => Special::Clock,
        "%clock64" => return Some((Special::Clock64, Type::U64)),
        "%globaltimer" => return Some((Special::GlobalTimer, Type::U64)),
        "%clock_hi" => Special::ClockHigh,
        "%globaltimer_lo" => Special::Clock,
        "%globaltimer_hi" => Special::ClockHigh,
        "%aggr_smem_size" => Special::AllSharedSize,
        "%dynamic_smem_size" => Special::DynamicSharedSize,
        "%total_smem_size" => Special::TotalSharedSize,
        "%cluster_ctarank" => Special::ClusterCtaRank,
        "%cluster_nctarank" => Special::ClusterNCtaRank,
        _ => axis("%tid")
            .map(Special::Tid)
            .or_else(|| axis("%ntid").map(Special::NTid))
            .or_else(|| axis("%ctaid").map(Special::CtaId))
            .or_else(|| axis("%nctaid").map(Special::NCtaId))
            .or_else(|| axis("%cluster_ctaid").map(Special::ClusterCtaId))
            .or_else(|| axis("%cluster_nctaid").map(Special::ClusterNCtaId))
            .or_else(|| axis("%clusterid").map(Special::ClusterId))
            .or_else(|| axis("%nclusterid").map(Special::NClusterId))?,
    };
    Some((special, Type::U32))
}
