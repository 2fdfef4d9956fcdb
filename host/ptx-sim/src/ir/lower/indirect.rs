//! Calls through pointers: the address of a function is a number of its own, and a call compares it with that of
//! every function that it may mean.

use std::collections::HashSet;

use super::Lowerer;
use super::scope::Symbol;
use super::variables::variable_bytes;
use crate::ir::op::{Guard, Op};
use crate::ir::types::{Compare, File, IntKind, Type};
use crate::ptx::Result;
use crate::ptx::ast::{Formal, Function, Operand, Statement, Text};

/// Addresses of functions lie where no memory does, so that a load through one is out of bounds.
const FUNCTIONS: u64 = 0x7E00_0000_0000_0000;
/// Between two of them.
const STRIDE: u64 = 256;

/// What `.calltargets` or `.callprototype` says.
#[derive(Clone, Debug)]
pub(super) enum Callees<'a> {
    Targets(Vec<&'a str>),
    Prototype { results: Vec<Formal<'a>>, params: Vec<Formal<'a>> },
}

impl<'t, 'a> Lowerer<'t, 'a> {
    /// The address of the function `name`, if there is one with a body.
    pub(super) fn function_address(&self, name: &str) -> Option<u64> {
        let name = self.text.resolve(name);
        let at = self.text.functions.iter().position(|function| function.name == name && function.body.is_some())?;
        (!self.text.functions[at].entry).then_some(FUNCTIONS + STRIDE * at as u64)
    }

    /// A call of whatever `pointer` holds; a value that is none of the functions traps.
    pub(super) fn call_pointer(
        &mut self,
        pointer: &Operand<'a>,
        results: &[Operand<'a>],
        arguments: &[Operand<'a>],
        list: &Operand<'a>,
    ) -> Result<()> {
        let callees = self.callees(list)?;
        let pointer = self.src(pointer, Type::U64)?;
        let end = self.new_label();
        for function in callees {
            let Some(address) = self.function_address(function.name) else { continue };
            let (other, next) = (self.fresh(File::Pred), self.new_label());
            let b = self.constant64(address, None);
            self.emit(Op::CompareInt { op: Compare::Ne, kind: IntKind::U64, d: other, a: pointer, b });
            self.guard = Guard { pred: other, negated: false };
            self.emit(Op::Branch { target: next });
            self.guard = Guard::ALWAYS;
            self.inline(function, results, arguments)?;
            self.emit(Op::Jump { target: end });
            self.place_label(next);
        }
        self.emit(Op::Trap);
        self.place_label(end);
        Ok(())
    }

    /// The functions that a call through a pointer may mean.
    fn callees(&mut self, list: &Operand<'a>) -> Result<Vec<&'t Function<'a>>> {
        let Operand::Name(name) = *list else {
            return self.error("a label of .calltargets or .callprototype was expected");
        };
        let Symbol::Callees(index) = self.find(name)? else {
            return self.error(format!("{name} is no .calltargets and no .callprototype"));
        };
        let text = self.text;
        match self.callees[index as usize].clone() {
            Callees::Targets(names) => names.into_iter().map(|name| self.callable(name)).collect(),
            Callees::Prototype { results, params } => {
                let wanted = (sizes(&results)?, sizes(&params)?);
                let taken = addresses_taken(text);
                let mut found = Vec::new();
                for function in text.functions.iter().filter(|function| !function.entry && function.body.is_some()) {
                    let fits = (sizes(&function.results)?, sizes(&function.params)?) == wanted;
                    if fits && taken.contains(function.name) {
                        found.push(function);
                    }
                }
                Ok(found)
            }
        }
    }
}

/// Bytes of each parameter.
fn sizes(formals: &[Formal<'_>]) -> Result<Vec<u64>> {
    let size = |formal: &Formal<'_>| match formal {
        Formal::Variable(variable) => Ok(variable_bytes(variable)?.0),
        Formal::Register(registers) => Ok(Type::parse(registers.element).map_or(0, |ty| u64::from(ty.bytes()))),
    };
    formals.iter().map(size).collect()
}

/// Functions whose address some `mov` takes: no pointer can hold another.
fn addresses_taken<'a>(text: &Text<'a>) -> HashSet<&'a str> {
    fn search<'a>(text: &Text<'a>, statements: &[Statement<'a>], found: &mut HashSet<&'a str>) {
        for statement in statements {
            match statement {
                Statement::Scope(inner) => search(text, inner, found),
                Statement::Instruction(instruction) if instruction.mnemonic.starts_with("mov.") => {
                    if let Some(Operand::Name(name)) = instruction.operands.get(1) {
                        found.insert(text.resolve(name));
                    }
                }
                _ => {}
            }
        }
    }
    let mut found = HashSet::new();
    for body in text.functions.iter().filter_map(|function| function.body.as_ref()) {
        search(text, body, &mut found);
    }
    found
}

impl Lowerer<'_, '_> {
    /// Starts what only the lanes of the statement's guard execute; [`Lowerer::close_guard`] ends it.
    pub(super) fn open_guard(&mut self) -> Option<u32> {
        if self.guard == Guard::ALWAYS {
            return None;
        }
        let skip = self.new_label();
        self.guard.negated = !self.guard.negated;
        self.emit(Op::Branch { target: skip });
        self.guard = Guard::ALWAYS;
        Some(skip)
    }

    pub(super) fn close_guard(&mut self, skip: Option<u32>) {
        if let Some(skip) = skip {
            self.place_label(skip);
        }
    }
}
