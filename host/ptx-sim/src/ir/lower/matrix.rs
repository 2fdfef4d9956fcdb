//! Matrix products and the loads of their fragments.

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::op::{MatrixKind, Op};
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn matrix(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        match name {
            "mma" => self.mma(mods, operands)?,
            "ldmatrix" => {
                let all = mods.take("sync") && mods.take("aligned") && mods.take("m8n8");
                let count = mods.one_of(&[("x1", 1), ("x2", 2), ("x4", 4)])?;
                let transposed = mods.take("trans");
                if !(mods.take("shared") || mods.take("shared::cta")) || !all || !mods.take("b16") {
                    return mods.error("only ldmatrix.sync.aligned.m8n8.xN{.trans}.shared.b16 is supported");
                }
                self.count(operands, 2..=2)?;
                let items = self.vector(&operands[0], count)?;
                let regs = items.iter().map(|item| self.dst(item, Type::B32)).collect::<Result<Vec<_>>>()?;
                let regs = self.list(&regs);
                let addr = self.plain_address(&operands[1], Space::Shared)?;
                self.emit(Op::LoadMatrix { transposed, regs, addr });
                self.class = Class::Shared;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn mma(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        if !(mods.take("sync") && mods.take("aligned")) {
            return mods.error(".sync.aligned is missing");
        }
        let k: u8 = mods.one_of(&[("m16n8k32", 32), ("m16n8k16", 16), ("m16n8k8", 8)])?;
        if !mods.take_pair("row", "col") {
            return mods.error("only .row.col is supported");
        }
        let saturate = mods.take("satfinite");
        // d, a, b, c in the order of the mnemonic; u8 and s8 may differ.
        let [d, a, b, c] = [mods.word()?, mods.word()?, mods.word()?, mods.word()?];
        let int8 = |name: &str| matches!(name, "s8" | "u8");
        let kind = match (d, a, b, c) {
            ("s32", a, b, "s32") if int8(a) && int8(b) && k >= 16 => {
                MatrixKind::Int8 { k, a_signed: a == "s8", b_signed: b == "s8", saturate }
            }
            ("f32", "f16", "f16", "f32") if k <= 16 && !saturate => MatrixKind::F16 { k },
            ("f32", "bf16", "bf16", "f32") if k <= 16 && !saturate => MatrixKind::BF16 { k },
            _ => return mods.error("these types are not supported with this shape"),
        };
        let bits = if matches!(kind, MatrixKind::Int8 { .. }) { 8 } else { 16 };
        // Each lane holds 1/32 of a fragment, four bytes in a register.
        let (a_regs, b_regs) = (16 * usize::from(k) * bits / 1024, 8 * usize::from(k) * bits / 1024);
        self.count(operands, 4..=4)?;
        let accumulator = if bits == 8 { Type::S32 } else { Type::F32 };
        let mut regs = Vec::with_capacity(14);
        for item in self.vector(&operands[0], 4)? {
            regs.push(self.dst(item, accumulator)?);
        }
        for (operand, count, ty) in
            [(&operands[1], a_regs, Type::B32), (&operands[2], b_regs, Type::B32), (&operands[3], 4, accumulator)]
        {
            for item in self.vector(operand, count)? {
                regs.push(self.src(item, ty)?);
            }
        }
        let regs = self.list(&regs);
        self.emit(Op::Mma { kind, regs });
        self.class = Class::Matrix;
        Ok(())
    }
}
