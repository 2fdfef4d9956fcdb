//! Matrix products of a warp, and the moves of their fragments.

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::matrix::{Element, Matrix, Product, Sum};
use crate::ir::op::{Addr, Op};
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

/// Shapes of `mma`: name, m, k; n is 8 in all of them.
const SHAPES: [(&str, (u8, u8)); 7] = [
    ("m16n8k4", (16, 4)),
    ("m16n8k8", (16, 8)),
    ("m16n8k16", (16, 16)),
    ("m16n8k32", (16, 32)),
    ("m8n8k4", (8, 4)),
    ("m8n8k16", (8, 16)),
    ("m8n8k32", (8, 32)),
];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn matrix(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        self.class = match name {
            "mma" => {
                self.mma(mods, operands)?;
                Class::Matrix
            }
            "ldmatrix" => {
                self.count(operands, 2..=2)?;
                let (transposed, count, addr, space) = self.matrix_move(mods, &operands[1])?;
                let items = self.braced(&operands[0], count)?;
                let regs = items.iter().map(|item| self.dst(item, Type::B32)).collect::<Result<Vec<_>>>()?;
                let regs = self.list(&regs);
                self.emit(Op::Matrix(Matrix::Load { transposed, space, regs, addr }));
                Class::Shared
            }
            "stmatrix" => {
                self.needs(mods, 90)?;
                self.count(operands, 2..=2)?;
                let (transposed, count, addr, space) = self.matrix_move(mods, &operands[0])?;
                let items = self.braced(&operands[1], count)?;
                let regs = items.iter().map(|item| self.src(item, Type::B32)).collect::<Result<Vec<_>>>()?;
                let regs = self.list(&regs);
                self.emit(Op::Matrix(Matrix::Store { transposed, space, regs, addr }));
                Class::Shared
            }
            "movmatrix" => {
                if !["sync", "aligned", "m8n8", "trans", "b16"].iter().all(|part| mods.take(part)) {
                    return mods.error("only movmatrix.sync.aligned.m8n8.trans.b16 is supported");
                }
                self.count(operands, 2..=2)?;
                let (Operand::Name(_), Operand::Name(_)) = (&operands[0], &operands[1]) else {
                    return mods.error("both operands have to be registers");
                };
                let (d, a) = (self.dst(&operands[0], Type::B32)?, self.src(&operands[1], Type::B32)?);
                self.emit(Op::Matrix(Matrix::Transpose { d, a }));
                Class::Warp
            }
            "wgmma" => {
                self.needs_exactly(mods, 90)?;
                self.wgmma(mods, operands)?
            }
            "setmaxnreg" => {
                self.needs_specific(mods, 90)?;
                let more = mods.one_of(&[("inc", true), ("dec", false)])?;
                if !(mods.take("sync") && mods.take("aligned") && mods.take("u32")) {
                    return mods.error(".sync.aligned.u32 is missing");
                }
                self.count(operands, 1..=1)?;
                let count = self.fixed(&operands[0], 256)?;
                if count < 24 || !count.is_multiple_of(8) {
                    return mods.error("the number of registers has to be 24 to 256 and a multiple of 8");
                }
                self.emit(Op::Matrix(Matrix::Registers { count, more }));
                Class::Sync
            }
            _ => return Ok(false),
        };
        Ok(true)
    }

    /// The modifiers and the address of `ldmatrix` and `stmatrix`.
    fn matrix_move(&mut self, mods: &mut Mods<'_>, address: &Operand<'a>) -> Result<(bool, usize, Addr, Space)> {
        let all = mods.take("sync") && mods.take("aligned") && mods.take("m8n8");
        let count = mods.one_of(&[("x1", 1), ("x2", 2), ("x4", 4)])?;
        let transposed = mods.take("trans");
        let space = mods.maybe(&[("shared", Space::Shared), ("shared::cta", Space::Shared)]).unwrap_or(Space::Generic);
        if !all || !mods.take("b16") {
            return mods.error("only .sync.aligned.m8n8.xN{.trans}{.shared}.b16 is supported");
        }
        let addr = self.plain_address(address, space)?;
        Ok((transposed, count, addr, space))
    }

    /// The items of an operand that has to be in braces, even where it is one register.
    pub(super) fn braced<'o>(&self, operand: &'o Operand<'a>, len: usize) -> Result<&'o [Operand<'a>]> {
        match operand {
            Operand::Vector(_) => self.vector(operand, len),
            _ => self.error(format!("{len} registers in braces were expected")),
        }
    }

    fn mma(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        if !(mods.take("sync") && mods.take("aligned")) {
            return mods.error(".sync.aligned is missing");
        }
        let (m, k) = mods.one_of(&SHAPES)?;
        if !mods.take_pair("row", "col") {
            return mods.error("only .row.col is supported");
        }
        let (saturate, rounded) = (mods.take("satfinite"), mods.take("rn"));
        // d, a, b, c in the order of the mnemonic.
        let [d, a, b, c] = [mods.word()?, mods.word()?, mods.word()?, mods.word()?];
        let (Some(sum), Some(a), Some(b)) = (Sum::parse(d), Element::parse(a), Element::parse(b)) else {
            return mods.error("these types are not supported");
        };
        let product = Product { m, k, a, b, sum, saturate };
        let known = c == d && is_product(product);
        if !known || (saturate && sum != Sum::S32) || (rounded && sum != Sum::F64) {
            return mods.error("these types and modifiers are not supported with this shape");
        }
        if a.is_float8() {
            self.needs(mods, 89)?;
        }
        if sum == Sum::F64 && m == 16 {
            self.needs(mods, 90)?;
        }
        self.count(operands, 4..=4)?;
        let [d_regs, a_regs, b_regs] = product.registers();
        let accumulator = sum_type(sum);
        let element = if a == Element::F64 { Type::F64 } else { Type::B32 };
        let mut regs = Vec::with_capacity(16);
        for item in self.braced(&operands[0], d_regs)? {
            regs.push(self.dst(item, accumulator)?);
        }
        for (operand, count, ty) in
            [(&operands[1], a_regs, element), (&operands[2], b_regs, element), (&operands[3], d_regs, accumulator)]
        {
            for item in self.braced(operand, count)? {
                regs.push(self.src(item, ty)?);
            }
        }
        let regs = self.list(&regs);
        self.emit(Op::Matrix(Matrix::Multiply { product, regs }));
        Ok(())
    }
}

/// The type of the registers that hold accumulators.
pub(super) fn sum_type(sum: Sum) -> Type {
    match sum {
        Sum::S32 => Type::S32,
        Sum::F16 => Type::B32,
        Sum::F32 => Type::F32,
        Sum::F64 => Type::F64,
    }
}

/// Whether `mma` has these types in this shape: what ptxas assembles for sm_90.
fn is_product(product: Product) -> bool {
    let Product { m, k, a, b, sum, .. } = product;
    match (a, sum) {
        (Element::S8 | Element::U8, Sum::S32) => b.is_int8() && matches!((m, k), (8, 16) | (16, 16 | 32)),
        (Element::E4M3 | Element::E5M2, Sum::F32 | Sum::F16) => b.is_float8() && m == 16 && matches!(k, 16 | 32),
        (Element::F16, Sum::F32 | Sum::F16) | (Element::BF16, Sum::F32) => a == b && m == 16 && matches!(k, 8 | 16),
        (Element::TF32, Sum::F32) => a == b && m == 16 && matches!(k, 4 | 8),
        (Element::F64, Sum::F64) => a == b && matches!((m, k), (8, 4) | (16, 4 | 8 | 16)),
        _ => false,
    }
}
