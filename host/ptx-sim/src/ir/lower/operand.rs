//! Operands: registers with their types checked, constants, addresses.

use super::{Lowerer, Place};
use crate::ir::lower::mov::special;
use crate::ir::lower::scope::Symbol;
use crate::ir::op::{Addr, List, Op, Reg};
use crate::ir::types::{File, Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::{Address, Operand};

/// Special registers whose values only a machine or its driver has.
const NO_VALUE: [(&str, &str); 4] = [
    ("%envreg", "a driver of another language sets it"),
    ("%pm", "there are no performance counters"),
    ("%reserved_smem", "where the system's own shared memory lies is not known"),
    ("%current_graph_exec", "kernels are not launched from device graphs"),
];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn find(&mut self, name: &'a str) -> Result<Symbol> {
        let (next, names) = (&mut self.next, &mut self.names);
        let fresh = |ty: Type| {
            let next = &mut next[ty.file() as usize];
            let first = Reg(*next);
            // 128 bits are two neighbours of 64.
            for _ in 0..if ty == Type::B128 { 2 } else { 1 } {
                names.push((ty.file(), Reg(*next), name));
                *next += 1;
            }
            first
        };
        if let Some(symbol) = self.scopes.find(name, fresh) {
            return Ok(symbol);
        }
        if let Some(place) = self.module_variable(name)? {
            return Ok(Symbol::Place(place));
        }
        if let Some((_, why)) = NO_VALUE.iter().find(|(start, _)| name.starts_with(start)) {
            return self.error(format!("{name} is not supported: {why}"));
        }
        self.error(format!("{name} is not declared"))
    }

    /// The register `name` and its declared type.
    pub(super) fn declared(&mut self, name: &'a str) -> Result<(Reg, Type)> {
        match self.find(name)? {
            Symbol::Register(reg, ty) => Ok((reg, ty)),
            _ => self.error(format!("a register was expected, {name} is none")),
        }
    }

    /// The register `name`, which must be as wide as `ty`.
    pub(super) fn register(&mut self, name: &'a str, ty: Type) -> Result<Reg> {
        let (reg, declared) = self.declared(name)?;
        if declared.bytes() != ty.bytes() || !declared.agrees(ty) {
            return self.misfit(name, declared, ty);
        }
        Ok(reg)
    }

    pub(super) fn misfit<T>(&self, name: &str, declared: Type, ty: Type) -> Result<T> {
        self.error(format!("{name} is declared .{declared:?}, which does not fit .{ty:?}").to_lowercase())
    }

    /// A result register of exactly the width of `ty`.
    pub(super) fn dst(&mut self, operand: &Operand<'a>, ty: Type) -> Result<Reg> {
        match operand {
            Operand::Name("_") => Ok(self.fresh(ty.file())),
            Operand::Name(name) => self.register(name, ty),
            _ => self.error("the result has to be a register"),
        }
    }

    /// A result register at least as wide as `ty`, and its declared type.
    pub(super) fn wide_dst(&mut self, operand: &Operand<'a>, ty: Type) -> Result<(Reg, Type)> {
        match operand {
            Operand::Name("_") => Ok((self.fresh(ty.file()), ty)),
            Operand::Name(name) => {
                let (reg, declared) = self.declared(name)?;
                if declared.bytes() < ty.bytes() || !declared.agrees(ty) {
                    return self.misfit(name, declared, ty);
                }
                Ok((reg, declared))
            }
            _ => self.error("the result has to be a register"),
        }
    }

    /// A source of exactly the width of `ty`: a register or a constant.
    pub(super) fn src(&mut self, operand: &Operand<'a>, ty: Type) -> Result<Reg> {
        match operand {
            Operand::Name(name) => self.register(name, ty),
            _ => self.immediate(operand, ty),
        }
    }

    /// A source at least as wide as `ty`; a wider register is cut to the file that `ty` lives in.
    pub(super) fn wide_src(&mut self, operand: &Operand<'a>, ty: Type) -> Result<Reg> {
        let Operand::Name(name) = operand else { return self.immediate(operand, ty) };
        let (reg, declared) = match special(name) {
            Some((what, found)) => (self.special_value(what, found), found),
            None => self.declared(name)?,
        };
        if declared.bytes() < ty.bytes() || !declared.agrees(ty) {
            return self.misfit(name, declared, ty);
        }
        if declared.file() == ty.file() {
            return Ok(reg);
        }
        let (low, high) = (self.fresh(File::W32), self.fresh(File::W32));
        let parts = self.list(&[low, high]);
        self.emit_always(Op::Unpack { bits: 32, wide: true, parts, a: reg });
        Ok(low)
    }

    fn immediate(&mut self, operand: &Operand<'a>, ty: Type) -> Result<Reg> {
        let bits = match *operand {
            Operand::Integer(value) if ty.is_float() && ty.bytes() > 2 && value != 0 => {
                return self.error(format!("{value} is an integer, a floating-point constant was expected"));
            }
            Operand::Integer(value) => {
                let bits = ty.bytes() * 8;
                let (least, most) = (-(1_i128 << (bits.max(8) - 1)), (1_i128 << bits.min(64)) - 1);
                // Compilers write 16-bit and 32-bit constants with or without their sign.
                if value < least || value > most {
                    return self.error(format!("{value} does not fit {bits} bits"));
                }
                value as u64
            }
            Operand::Float32(bits) if ty == Type::F32 || ty == Type::B32 => u64::from(bits),
            Operand::Float32(bits) if ty == Type::F64 => f64::from(f32::from_bits(bits)).to_bits(),
            Operand::Float64(bits) if ty == Type::F64 || ty == Type::B64 => bits,
            Operand::Float64(bits) if ty == Type::F32 => u64::from((f64::from_bits(bits) as f32).to_bits()),
            _ => return self.error(format!("this operand cannot be a .{ty:?}").to_lowercase()),
        };
        Ok(match ty.bytes() {
            8 => self.constant64(bits, None),
            4 => self.constant32(bits as u32),
            2 => self.constant32(bits as u32 & 0xFFFF),
            _ => return self.error(format!("a constant cannot be a .{ty:?}").to_lowercase()),
        })
    }

    /// A predicate source, maybe negated.
    pub(super) fn pred(&mut self, operand: &Operand<'a>) -> Result<(Reg, bool)> {
        match operand {
            Operand::Name(name) => Ok((self.register(name, Type::Pred)?, false)),
            Operand::Not(name) => Ok((self.register(name, Type::Pred)?, true)),
            Operand::Integer(value) => {
                let d = self.fresh(File::Pred);
                self.emit_always(Op::PredConst { d, value: *value != 0 });
                Ok((d, false))
            }
            _ => self.error("a predicate was expected"),
        }
    }

    /// A predicate source as a register that holds it without negation.
    pub(super) fn plain_pred(&mut self, operand: &Operand<'a>) -> Result<Reg> {
        let (reg, negated) = self.pred(operand)?;
        if !negated {
            return Ok(reg);
        }
        let d = self.fresh(File::Pred);
        self.emit_always(Op::PredMov { d, a: reg, negated });
        Ok(d)
    }

    /// A constant of the instruction itself.
    pub(super) fn fixed(&self, operand: &Operand<'a>, most: u32) -> Result<u32> {
        match operand {
            Operand::Integer(value) if (0..=i128::from(most)).contains(value) => Ok(*value as u32),
            _ => self.error(format!("a constant from 0 to {most} was expected")),
        }
    }

    pub(super) fn count(&self, operands: &[Operand<'a>], wanted: std::ops::RangeInclusive<usize>) -> Result<()> {
        if wanted.contains(&operands.len()) {
            return Ok(());
        }
        let (least, most) = (wanted.start(), wanted.end());
        let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
        self.error(format!("{range} operands were expected, {} were found", operands.len()))
    }

    /// The elements of `{a, b}`, or the operand alone.
    pub(super) fn elements<'o>(&self, operand: &'o Operand<'a>) -> &'o [Operand<'a>] {
        match operand {
            Operand::Vector(items) => items,
            single => std::slice::from_ref(single),
        }
    }

    /// Sources of a vector operand, each as wide as `ty`.
    pub(super) fn src_list(&mut self, operand: &Operand<'a>, ty: Type, len: usize) -> Result<List> {
        let items = self.vector(operand, len)?;
        let regs = items.iter().map(|item| self.src(item, ty)).collect::<Result<Vec<_>>>()?;
        Ok(self.list(&regs))
    }

    /// The `len` items of a vector operand.
    pub(super) fn vector<'o>(&self, operand: &'o Operand<'a>, len: usize) -> Result<&'o [Operand<'a>]> {
        let items = self.elements(operand);
        if items.len() != len {
            return self.error(format!("{len} registers were expected, {} were found", items.len()));
        }
        Ok(items)
    }

    /// An address in `space`, and the space it turns out to be in: parameters of inlined functions are local.
    pub(super) fn address(&mut self, operand: &Operand<'a>, space: Space) -> Result<(Addr, Space)> {
        let Operand::Address(Address { base, offset }) = *operand else {
            return self.error("an address in brackets was expected");
        };
        let Ok(small) = i32::try_from(offset) else { return self.error("the offset does not fit 32 bits") };
        let Some(name) = base else {
            let base = self.constant64(offset as u64, None);
            return Ok((Addr { base, wide: true, offset: 0 }, space));
        };
        match self.find(name)? {
            Symbol::Register(base, ty) => {
                let wide = ty.bytes() == 8;
                if !wide && (ty.bytes() != 4 || matches!(space, Space::Global | Space::Generic)) {
                    return self.error(format!("{name} cannot hold an address of this state space"));
                }
                Ok((Addr { base, wide, offset: small }, space))
            }
            Symbol::Place(place) => self.symbol_address(name, place, offset, space),
            _ => self.error(format!("{name} is no address")),
        }
    }

    fn symbol_address(&mut self, name: &str, place: Place, offset: i64, space: Space) -> Result<(Addr, Space)> {
        let direct = |start: u32, found: Space| {
            let offset = i64::from(start) + offset;
            (i32::try_from(offset).ok().map(|offset| Addr { base: Reg::NONE, wide: false, offset }), found)
        };
        let (addr, found) = match place {
            Place::Shared(start) => direct(start, Space::Shared),
            Place::Local(start) => direct(start, Space::Local),
            Place::Param(start) => direct(start, Space::Param),
            Place::DynamicShared => {
                let base = self.dynamic_constant(File::W32, offset as u64);
                (Some(Addr { base, wide: false, offset: 0 }), Space::Shared)
            }
            Place::Global(index) => {
                let base = self.constant64(offset as u64, Some(index));
                (Some(Addr { base, wide: true, offset: 0 }), Space::Global)
            }
        };
        let Some(addr) = addr else { return self.error("the offset does not fit 32 bits") };
        let inlined = space == Space::Param && found == Space::Local;
        // A variable is reached through a generic address only after cvta, except for global ones.
        let clustered = space == Space::Cluster && found == Space::Shared;
        let fits = space == found || inlined || clustered || (space == Space::Generic && found == Space::Global);
        if !fits {
            return self.error(format!("{name} does not lie in the state space of this instruction"));
        }
        Ok((addr, found))
    }
}
