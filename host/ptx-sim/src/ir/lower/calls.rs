//! Calls of `.func`: their bodies are inlined, so that a kernel is one flow graph.
//!
//! Parameters in `.param` space are bytes of local memory that caller and callee share.

use super::Lowerer;
use super::mods::Mods;
use super::scope::{Place, Symbol};
use super::variables::variable_bytes;
use crate::ir::op::{Guard, Op};
use crate::ir::types::Type;
use crate::ptx::Result;
use crate::ptx::ast::{Formal, Function, Operand};

/// Calls inside calls beyond this are refused.
const MAX_DEPTH: usize = 32;
/// Inlining must not make a program of unbounded size.
const MAX_CODE: usize = 1 << 19;

impl<'t, 'a> Lowerer<'t, 'a> {
    pub(super) fn call(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        mods.take("uni");
        let (results, rest) = match operands {
            [Operand::List(results), rest @ ..] => (&results[..], rest),
            _ => (&[][..], operands),
        };
        let Some(callee @ Operand::Name(name)) = rest.first() else {
            return mods.error("the name of a function or a register was expected");
        };
        let (arguments, behind) = match rest.get(1) {
            Some(Operand::List(arguments)) => (&arguments[..], rest.get(2)),
            behind => (&[][..], behind),
        };
        if rest.len() > 1 + usize::from(behind.is_some()) + usize::from(matches!(rest.get(1), Some(Operand::List(_)))) {
            return mods.error("too many operands");
        }
        let skip = self.open_guard();
        match behind {
            // With a list of targets, the callee is a pointer.
            Some(list) => self.call_pointer(callee, results, arguments, list)?,
            None if *name == "__assertfail" => self.emit(Op::Trap),
            None => {
                let function = self.callable(name)?;
                self.inline(function, results, arguments)?;
            }
        }
        self.close_guard(skip);
        Ok(())
    }

    /// The function `name`, which has to have a body here and must not be running already.
    pub(super) fn callable(&self, name: &str) -> Result<&'t Function<'a>> {
        let text = self.text;
        let name = text.resolve(name);
        let found = text.functions.iter().find(|function| function.name == name && function.body.is_some());
        let Some(function) = found.filter(|function| !function.entry) else {
            return self.error(format!("{name} is no function with a body in this module"));
        };
        if self.calls.contains(&name) {
            return self.error(format!(
                "{name} calls itself, maybe through others; calls are inlined, so recursion is refused"
            ));
        }
        if self.calls.len() >= MAX_DEPTH || self.code.len() > MAX_CODE {
            return self.error(format!("the call of {name} is too deep or the program too large; calls are inlined"));
        }
        Ok(function)
    }

    pub(super) fn inline(
        &mut self,
        function: &Function<'a>,
        results: &[Operand<'a>],
        arguments: &[Operand<'a>],
    ) -> Result<()> {
        if self.calls.contains(&function.name) {
            let message = format!(
                "{} may call itself through a pointer; calls are inlined, so recursion is refused",
                function.name
            );
            return self.error(message);
        }
        if function.results.len() != results.len() || function.params.len() != arguments.len() {
            return self.error(format!("{} takes another number of arguments or results", function.name));
        }
        let mut actuals = Vec::new();
        for (formal, actual) in function.results.iter().chain(&function.params).zip(results.iter().chain(arguments)) {
            actuals.push(self.bind(formal, actual)?);
        }
        // The callee must not see the caller's names.
        let outside = std::mem::take(&mut self.scopes);
        let (line, statement, source) = (self.line, self.statement, self.source);
        let end = self.new_label();
        let outer_return = self.return_label.replace(end);
        self.calls.push(function.name);
        self.scopes.enter();
        for (formal, symbol) in function.results.iter().chain(&function.params).zip(actuals) {
            let name = match formal {
                Formal::Variable(variable) => variable.name,
                Formal::Register(registers) => registers.name,
            };
            self.scopes.define(name, symbol);
        }
        // The first operation of the call statement carries its count.
        self.emit(Op::Join);
        if let Some(body) = &function.body {
            self.block(body)?;
        }
        self.calls.pop();
        self.scopes = outside;
        self.return_label = outer_return;
        (self.line, self.statement, self.source) = (line, statement, source);
        self.guard = Guard::ALWAYS;
        self.place_label(end);
        Ok(())
    }

    /// What a formal parameter stands for inside the inlined body.
    fn bind(&mut self, formal: &Formal<'a>, actual: &Operand<'a>) -> Result<Symbol> {
        match formal {
            Formal::Register(registers) => {
                let Some(ty) = Type::parse(registers.element) else { return self.error("an unknown type") };
                Ok(Symbol::Register(self.src(actual, ty)?, ty))
            }
            Formal::Variable(variable) => {
                let (size, _) = variable_bytes(variable)?;
                let Operand::Name(name) = *actual else { return self.error("a .param variable was expected") };
                match self.find(name)? {
                    Symbol::Place(place @ Place::Local(_)) => Ok(Symbol::Place(place)),
                    _ => self.error(format!("{name} has to be a .param variable of {size} bytes")),
                }
            }
        }
    }
}
