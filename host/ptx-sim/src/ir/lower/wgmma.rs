//! Matrix products of a warpgroup: `wgmma` of sm_90a.

use super::Lowerer;
use super::matrix::sum_type;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::matrix::{Element, Matrix, Scale, Sum};
use crate::ir::op::{List, Op, Reg};
use crate::ir::types::Type;
use crate::ir::wgmma::Wgmma;
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    /// Lowers one `wgmma` and says what it counts as.
    pub(super) fn wgmma(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<Class> {
        let multiplies = mods.take("mma_async");
        let action = if multiplies {
            None
        } else {
            Some(mods.one_of(&[("fence", 0), ("commit_group", 1), ("wait_group", 2)])?)
        };
        if !(mods.take("sync") && mods.take("aligned")) {
            return mods.error(".sync.aligned is missing");
        }
        let Some(action) = action else {
            self.mma_async(mods, operands)?;
            return Ok(Class::Matrix);
        };
        self.count(operands, if action == 2 { 1..=1 } else { 0..=0 })?;
        self.emit(Op::Matrix(match action {
            0 => Matrix::Fence,
            1 => Matrix::Commit,
            _ => Matrix::Wait { pending: self.fixed(&operands[0], u32::MAX)?, keep: List { start: 0, len: 0 } },
        }));
        Ok(Class::Sync)
    }

    fn mma_async(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let shape = mods.find(|part| {
            let (n, k) = part.strip_prefix("m64n")?.split_once('k')?;
            Some((n.parse::<u16>().ok()?, k.parse::<usize>().ok()?))
        });
        let Some((n, k)) = shape else { return mods.error("a shape (.m64nNkK) is missing") };
        // Documents have it behind the shape and at the end; ptxas takes both.
        let saturate = mods.take("satfinite");
        mods.take("satfinite");
        let [d, a, b] = [mods.word()?, mods.word()?, mods.word()?];
        let (Some(sum), Some(a), Some(b)) = (Sum::parse(d), Element::parse(a), Element::parse(b)) else {
            return mods.error("these types are not supported");
        };
        let a_in_registers = matches!(operands.get(1), Some(Operand::Vector(_)));
        let mut product = Wgmma {
            n,
            a,
            b,
            sum,
            saturate,
            a_in_registers,
            negate_a: false,
            negate_b: false,
            a_transposed: false,
            b_transposed: false,
        };
        if k != product.k() || !is_product(product) {
            return mods.error("these types and modifiers are not supported with this shape");
        }
        // scale-d; the signs of A and B; the orders of what lies in shared memory.
        let sixteen = matches!(a, Element::F16 | Element::BF16);
        let orders = if !sixteen { 0 } else { 2 - usize::from(a_in_registers) };
        let signs = if a.is_int8() { 0 } else { 2 };
        self.count(operands, 4 + signs + orders..=4 + signs + orders)?;
        let scale = self.scale(&operands[3])?;
        if signs == 2 {
            product.negate_a = self.sign(&operands[4])?;
            product.negate_b = self.sign(&operands[5])?;
        }
        if orders == 2 {
            product.a_transposed = self.fixed(&operands[6], 1)? == 1;
        }
        if orders > 0 {
            product.b_transposed = self.fixed(&operands[5 + orders], 1)? == 1;
        }
        let [d_regs, a_regs] = product.registers();
        let mut regs = Vec::with_capacity(d_regs + a_regs);
        for item in self.braced(&operands[0], d_regs)? {
            regs.push(self.dst(item, sum_type(sum))?);
        }
        let mut descriptor = Reg::NONE;
        if a_in_registers {
            for item in self.braced(&operands[1], a_regs)? {
                regs.push(self.src_register(item, Type::B32)?);
            }
        } else {
            descriptor = self.src(&operands[1], Type::B64)?;
        }
        let b = self.src(&operands[2], Type::B64)?;
        let regs = self.list(&regs);
        self.emit(Op::Matrix(Matrix::Asynchronous { product, regs, watched: 0, a: descriptor, b, scale }));
        Ok(())
    }

    fn scale(&mut self, operand: &Operand<'a>) -> Result<Scale> {
        match operand {
            Operand::Integer(0) => Ok(Scale::Never),
            Operand::Integer(1) => Ok(Scale::Always),
            Operand::Integer(_) => self.error("scale-d has to be a predicate, 0 or 1"),
            _ => self.pred(operand).map(|(reg, negated)| Scale::Where(reg, negated)),
        }
    }

    /// Whether a matrix is negated.
    fn sign(&self, operand: &Operand<'a>) -> Result<bool> {
        match operand {
            Operand::Integer(1) => Ok(false),
            Operand::Integer(-1) => Ok(true),
            _ => self.error("imm-scale has to be 1 or -1"),
        }
    }
}

/// Whether `wgmma` has these types with this number of columns: what ptxas assembles for sm_90a.
fn is_product(product: Wgmma) -> bool {
    let Wgmma { n, a, b, sum, saturate, .. } = product;
    let columns = n.is_multiple_of(8) && (8..=256).contains(&n);
    match a {
        Element::S8 | Element::U8 => {
            b.is_int8() && sum == Sum::S32 && columns && (n.is_multiple_of(16) || n == 8 || n == 24)
        }
        Element::E4M3 | Element::E5M2 => b.is_float8() && matches!(sum, Sum::F32 | Sum::F16) && columns && !saturate,
        Element::F16 => b == a && matches!(sum, Sum::F32 | Sum::F16) && columns && !saturate,
        Element::BF16 | Element::TF32 => b == a && sum == Sum::F32 && columns && !saturate,
        Element::F64 => false,
    }
}
