//! `cp.async.bulk.tensor`, `cp.reduce.async.bulk.tensor` and `tensormap.*` (PTX ISA 9.7.9.27, 9.7.9.28).

use super::super::Lowerer;
use super::super::mods::Mods;
use crate::ir::asynchronous::{Async, Way};
use crate::ir::op::Reg;
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;
use crate::tensor_map::{Field, TENSOR_MAP_BYTES};

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn tensor_copy(
        &mut self,
        way: Way,
        reduces: bool,
        mods: &mut Mods<'_>,
        mut operands: &[Operand<'a>],
    ) -> Result<()> {
        if way == Way::Between {
            return mods.error("tensor copies go between global and shared memory");
        }
        let rank = mods.one_of(&[("1d", 1), ("2d", 2), ("3d", 3), ("4d", 4), ("5d", 5)])?;
        mods.take("tile");
        let multicast = way == Way::ToCluster && mods.take("multicast::cluster");
        self.cache_hint(mods, &mut operands)?;
        let reduce = if reduces { Some(self.reduction(mods)?) } else { None };
        let at = usize::from(matches!(way, Way::ToBlock | Way::ToCluster));
        let wanted = match way {
            Way::Prefetch => 1,
            Way::ToGlobal => 2,
            _ => 3 + usize::from(multicast),
        };
        self.count(operands, wanted..=wanted)?;
        let Operand::Tensor(map, coords) = &operands[at] else {
            return mods.error("a tensor map with its coordinates was expected, as [map, {x, y}]");
        };
        let map = self.address64(&Operand::Address(*map), Space::Generic)?;
        let coords = self.src_list(&Operand::Vector(coords.clone()), Type::S32, rank)?;
        let to = if way == Way::ToCluster { Space::Cluster } else { Space::Shared };
        let (mut shared, mut bar, mut blocks) = (Reg::NONE, Reg::NONE, Reg::NONE);
        match way {
            Way::Prefetch => {}
            Way::ToGlobal => shared = self.address64(&operands[1], Space::Shared)?,
            _ => {
                shared = self.address64(&operands[0], to)?;
                bar = self.address64(&operands[2], to)?;
            }
        }
        if multicast {
            blocks = self.src(&operands[3], Type::B16)?;
        }
        self.emit_async(Async::Tensor { way, reduce, map, coords, shared, bar, blocks });
        Ok(())
    }

    pub(super) fn tensormap(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        match mods.word()? {
            "replace" => self.tensor_replace(mods, operands),
            "cp_fenceproxy" => {
                if !mods.take_pair("global", "shared::cta")
                    || !mods.take_pair("tensormap::generic", "release")
                    || !mods.take_pair("sync", "aligned")
                {
                    return mods.error("the form is .global.shared::cta.tensormap::generic.release.SCOPE.sync.aligned");
                }
                mods.one_of(&[("cta", ()), ("cluster", ()), ("gpu", ()), ("sys", ())])?;
                self.count(operands, 3..=3)?;
                let (target, _) = self.address(&operands[0], Space::Global)?;
                let (source, _) = self.address(&operands[1], Space::Shared)?;
                self.map_size(&operands[2])?;
                self.emit_async(Async::TensorPublish { target, source });
                Ok(())
            }
            other => mods.error(format!(".{other} is no operation of a tensor map")),
        }
    }

    /// The size operand of what works on whole maps.
    pub(super) fn map_size(&self, operand: &Operand<'a>) -> Result<()> {
        match *operand {
            Operand::Integer(size) if size == TENSOR_MAP_BYTES as i128 => Ok(()),
            _ => self.error("the size has to be the constant 128"),
        }
    }

    fn tensor_replace(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        mods.one_of(&[("tile", ())])?;
        type OfAxis = fn(u8) -> Field;
        let of_axis: Option<OfAxis> = mods.maybe(&[
            ("box_dim", Field::BoxDim as OfAxis),
            ("global_dim", Field::GlobalDim as OfAxis),
            ("global_stride", Field::GlobalStride as OfAxis),
            ("element_stride", Field::ElementStride as OfAxis),
        ]);
        let field = match of_axis {
            Some(of_axis) => {
                self.count(operands, 3..=3)?;
                of_axis(self.fixed(&operands[1], of_axis(0).last_ordinal())? as u8)
            }
            None => {
                self.count(operands, 2..=2)?;
                mods.one_of(&[
                    ("global_address", Field::GlobalAddress),
                    ("rank", Field::Rank),
                    ("elemtype", Field::Element),
                    ("interleave_layout", Field::Interleave),
                    ("swizzle_mode", Field::Swizzle),
                    ("swizzle_atomicity", Field::Atomicity),
                    ("fill_mode", Field::Fill),
                ])?
            }
        };
        let space = mods.maybe(&[("global", Space::Global), ("shared", Space::Shared), ("shared::cta", Space::Shared)]);
        let space = space.unwrap_or(Space::Generic);
        mods.one_of(&[("b1024", ())])?;
        let ty = mods.ty()?;
        if ty != if field.wide() { Type::B64 } else { Type::B32 } {
            return mods.error("addresses and strides are .b64, everything else .b32");
        }
        let value = &operands[operands.len() - 1];
        if field.by_code() && !matches!(value, Operand::Integer(_)) {
            return mods.error("the new value of this field has to be a constant");
        }
        let (addr, space) = self.address(&operands[0], space)?;
        let value = self.src(value, ty)?;
        self.emit_async(Async::TensorReplace { field, space, addr, value });
        Ok(())
    }
}
