//! Variables: their sizes, places and first values.

use std::collections::HashMap;

use super::scope::{Place, Symbol};
use super::{Lowerer, SHARED_BASE};
use crate::ir::types::Type;
use crate::module::Global;
use crate::ptx::ast::{Literal, Space, Text, Variable};
use crate::ptx::{Error, Result};

/// No module variable may be larger: far beyond any GPU's memory.
const MAX_BYTES: u64 = 1 << 40;

/// Size and alignment of a variable, in bytes; a size of 0 is one that the text leaves open.
pub(crate) fn variable_bytes(variable: &Variable<'_>) -> Result<(u64, u64)> {
    let error = |message: String| Error::new(variable.line, message);
    let ty = Type::parse(variable.element).filter(|ty| *ty != Type::Pred);
    let ty = ty.ok_or_else(|| error(format!("{} cannot have the type .{}", variable.name, variable.element)))?;
    let element = u64::from(ty.bytes() * variable.vector);
    let mut bytes = Some(element);
    for dim in &variable.dims {
        bytes = bytes.and_then(|bytes| bytes.checked_mul(*dim));
    }
    let bytes = bytes.filter(|bytes| *bytes <= MAX_BYTES);
    let bytes = bytes.ok_or_else(|| error(format!("{} is larger than any memory", variable.name)))?;
    Ok((bytes, if variable.align == 0 { element } else { variable.align }))
}

/// The module's `.global` and `.const` variables, and their numbers by name.
pub(crate) fn global_layout<'a>(text: &Text<'a>) -> Result<(Vec<Global>, HashMap<&'a str, usize>)> {
    let placed = || text.variables.iter().filter(|variable| variable.space != Space::Shared);
    let numbers: HashMap<&'a str, usize> =
        placed().enumerate().map(|(number, variable)| (variable.name, number)).collect();
    let mut globals = Vec::new();
    for variable in placed() {
        let (mut size, align) = variable_bytes(variable)?;
        let (mut init, mut relocations) = (Vec::new(), Vec::new());
        for literal in &variable.init {
            if let Literal::Symbol(name, offset) = *literal {
                let target = address_in(text, variable, name, &numbers)?;
                relocations.push((init.len(), target));
                init.extend_from_slice(&offset.to_le_bytes());
            } else {
                push_literal(variable, literal, &mut init)?;
            }
        }
        if size == 0 {
            size = init.len() as u64;
        }
        if init.len() as u64 > size {
            return Err(Error::new(variable.line, format!("{} has more values than elements", variable.name)));
        }
        if variable.external {
            let message = format!("{} is .extern: nothing defines it in this module", variable.name);
            return Err(Error::new(variable.line, message));
        }
        let constant = variable.space == Space::Const;
        globals.push(Global { name: variable.name.to_owned(), size, align, init, relocations, constant });
    }
    Ok((globals, numbers))
}

/// The number of the variable whose address is a first value of `variable`. Generic and own addresses of global
/// and constant memory are the same here.
fn address_in(text: &Text<'_>, variable: &Variable<'_>, name: &str, numbers: &HashMap<&str, usize>) -> Result<usize> {
    let error = |message: String| Err(Error::new(variable.line, message));
    if Type::parse(variable.element).is_none_or(|ty| ty.bytes() != 8 || ty.is_float()) {
        return error(format!("the address of {name} needs a 64-bit integer type"));
    }
    if text.functions.iter().any(|function| function.name == name) {
        return error(format!("{name} is a function; tables of functions are not supported, .calltargets is"));
    }
    match numbers.get(name) {
        Some(number) => Ok(*number),
        None => error(format!("{name} is no variable of .global or .const space")),
    }
}

fn push_literal(variable: &Variable<'_>, literal: &Literal<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    let ty = Type::parse(variable.element).unwrap_or(Type::B8);
    let size = ty.bytes() as usize;
    let value = match *literal {
        Literal::Integer(value) => value as u128,
        Literal::Float32(bits) if ty == Type::F64 => u128::from(f64::from(f32::from_bits(bits)).to_bits()),
        Literal::Float32(bits) => u128::from(bits),
        Literal::Float64(bits) if ty == Type::F32 => u128::from((f64::from_bits(bits) as f32).to_bits()),
        Literal::Float64(bits) => u128::from(bits),
        Literal::Symbol(name, _) => {
            return Err(Error::new(variable.line, format!("the address of {name} is no number")));
        }
    };
    bytes.extend_from_slice(&value.to_le_bytes()[..size]);
    Ok(())
}

impl<'a> Lowerer<'_, 'a> {
    /// The place of the module variable `name`; shared ones take room when a kernel first names them.
    pub(super) fn module_variable(&mut self, name: &'a str) -> Result<Option<Place>> {
        if let Some(index) = self.globals.get(name) {
            return Ok(Some(Place::Global(*index)));
        }
        let text = self.text;
        let found = text.variables.iter().find(|variable| variable.space == Space::Shared && variable.name == name);
        let Some(variable) = found else { return Ok(None) };
        if let Some(place) = self.shared.get(&std::ptr::from_ref(variable)) {
            return Ok(Some(*place));
        }
        let place = self.place_shared(variable)?;
        self.shared.insert(std::ptr::from_ref(variable), place);
        Ok(Some(place))
    }

    fn place_shared(&mut self, variable: &Variable<'a>) -> Result<Place> {
        let (size, align) = variable_bytes(variable)?;
        if !variable.init.is_empty() {
            return Err(Error::new(variable.line, "a .shared variable cannot have first values"));
        }
        if variable.external {
            self.dynamic_align = self.dynamic_align.max(align);
            return Ok(Place::DynamicShared);
        }
        let start = (u64::from(SHARED_BASE + self.shared_bytes)).next_multiple_of(align);
        let end = start + size;
        if end > u64::from(SHARED_BASE) + (1 << 20) {
            return Err(Error::new(variable.line, "more than 1 MiB of shared memory, no GPU has that"));
        }
        self.shared_bytes = end as u32 - SHARED_BASE;
        Ok(Place::Shared(start as u32))
    }

    /// Room in the thread's local memory.
    pub(super) fn place_local(&mut self, size: u64, align: u64) -> Result<u32> {
        let start = u64::from(self.local_bytes).next_multiple_of(align.max(1));
        let end = start + size;
        if end > 512 << 10 {
            return self.error("more than 512 KiB of local memory a thread, no GPU has that");
        }
        self.local_bytes = end as u32;
        Ok(start as u32)
    }

    /// A variable that a body declares.
    pub(super) fn body_variable(&mut self, variable: &Variable<'a>) -> Result<()> {
        self.line = variable.line;
        let place = match variable.space {
            Space::Shared => self.place_shared(variable)?,
            Space::Local | Space::Param => {
                let (size, align) = variable_bytes(variable)?;
                Place::Local(self.place_local(size, align)?)
            }
            Space::Global | Space::Const => return self.error("a body cannot declare this variable"),
        };
        if self.scopes.define(variable.name, Symbol::Place(place)) {
            return Ok(());
        }
        self.error(format!("{} is declared twice", variable.name))
    }
}
