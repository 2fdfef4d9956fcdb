//! Bodies: declarations, labels and statements of an entry.

use std::collections::HashMap;

use super::indirect::Callees;
use super::scope::{Place, Scopes, Symbol};
use super::variables::variable_bytes;
use super::{Lowerer, SHARED_BASE};
use crate::counters::Class;
use crate::ir::op::{Guard, Op, Reg};
use crate::ir::types::{File, Type};
use crate::ir::{Constants, Inst, Origin};
use crate::module::Param;
use crate::ptx::ast::{Formal, Function, Registers, Statement, Text};
use crate::ptx::{Error, Result};

/// Parameters of a kernel beyond this are refused by the driver as well.
const MAX_PARAM_BYTES: u64 = 32_764;

/// An entry as operations on virtual registers; branches name labels.
pub(crate) struct Lowered {
    pub(crate) code: Vec<Inst>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) pool: Vec<Reg>,
    pub(crate) constants: Constants,
    /// Virtual registers of each file.
    pub(crate) registers: [u32; 3],
    /// Names in the text of those that have one.
    pub(crate) names: HashMap<(File, u32), String>,
    /// Place in `code` of each label.
    pub(crate) labels: Vec<u32>,
    pub(crate) tables: Vec<Vec<u32>>,
    pub(crate) params: Vec<Param>,
    pub(crate) param_bytes: u32,
    pub(crate) static_shared: u32,
    pub(crate) dynamic_shared: u32,
    pub(crate) local_bytes: u32,
    pub(crate) order_matters: bool,
}

/// Lowers one entry of `text`.
pub(crate) fn lower_entry<'a>(
    text: &Text<'a>,
    globals: &HashMap<&'a str, usize>,
    entry: &Function<'a>,
) -> Result<Lowered> {
    let lowerer = Lowerer {
        text,
        globals,
        scopes: Scopes::default(),
        code: Vec::new(),
        origins: Vec::new(),
        pool: Vec::new(),
        constants: Constants::default(),
        constant_slots: HashMap::new(),
        dynamic: Vec::new(),
        dynamic_slots: HashMap::new(),
        dynamic_align: 16,
        next: [0; 3],
        names: Vec::new(),
        labels: Vec::new(),
        label_lines: Vec::new(),
        tables: Vec::new(),
        callees: Vec::new(),
        shared: HashMap::new(),
        shared_bytes: 0,
        local_bytes: 0,
        order_matters: false,
        source: None,
        guard: Guard::ALWAYS,
        line: entry.line,
        statement: "",
        class: Class::Control,
        calls: vec![entry.name],
        return_label: None,
    };
    lowerer.entry(entry)
}

impl<'a> Lowerer<'_, 'a> {
    fn entry(mut self, entry: &Function<'a>) -> Result<Lowered> {
        self.scopes.enter();
        let (params, param_bytes) = self.params(entry)?;
        if let Some(body) = &entry.body {
            self.block(body)?;
        }
        // Control that falls off the end of a body exits.
        self.guard = Guard::ALWAYS;
        self.emit(Op::Exit);
        let start = u64::from(SHARED_BASE + self.shared_bytes).next_multiple_of(self.dynamic_align) as u32;
        for (file, slot) in &self.dynamic {
            match file {
                File::W64 => self.constants.w64[*slot] = self.constants.w64[*slot].wrapping_add(u64::from(start)),
                _ => self.constants.w32[*slot] = self.constants.w32[*slot].wrapping_add(start),
            }
        }
        let mut labels = Vec::with_capacity(self.labels.len());
        for (label, line) in self.labels.iter().zip(&self.label_lines) {
            let Some(at) = label else { return Err(Error::new(*line, "a branch to a label that is nowhere")) };
            labels.push(*at);
        }
        Ok(Lowered {
            code: self.code,
            origins: self.origins,
            pool: self.pool,
            constants: self.constants,
            registers: self.next,
            names: self.names.into_iter().map(|(file, reg, name)| ((file, reg.0), name.to_owned())).collect(),
            labels,
            tables: self.tables,
            params,
            param_bytes,
            static_shared: self.shared_bytes,
            dynamic_shared: start,
            local_bytes: self.local_bytes,
            order_matters: self.order_matters,
        })
    }

    fn params(&mut self, entry: &Function<'a>) -> Result<(Vec<Param>, u32)> {
        let mut params = Vec::new();
        let mut end = 0_u64;
        for formal in &entry.params {
            let Formal::Variable(variable) = formal else {
                return Err(Error::new(entry.line, "the parameters of an entry have to be .param"));
            };
            let (size, align) = variable_bytes(variable)?;
            let offset = end.next_multiple_of(align.max(1));
            end = offset + size;
            if end > MAX_PARAM_BYTES {
                return Err(Error::new(variable.line, format!("more than {MAX_PARAM_BYTES} bytes of parameters")));
            }
            let (offset, size, align) = (offset as u32, size as u32, align as u32);
            if !self.scopes.define(variable.name, Symbol::Place(Place::Param(offset))) {
                return Err(Error::new(variable.line, format!("{} is declared twice", variable.name)));
            }
            params.push(Param { name: variable.name.to_owned(), offset, size, align });
        }
        Ok((params, end as u32))
    }

    /// The statements of a body or scope. Its labels are known from its start: branches go forward too.
    pub(super) fn block(&mut self, statements: &[Statement<'a>]) -> Result<()> {
        self.scopes.enter();
        for (index, statement) in statements.iter().enumerate() {
            let Statement::Label(line, name) = statement else { continue };
            self.line = *line;
            let symbol = match statements.get(index + 1) {
                Some(Statement::BranchTargets(..)) => {
                    self.tables.push(Vec::new());
                    Symbol::Table(self.tables.len() as u32 - 1)
                }
                Some(Statement::CallTargets(names)) => self.callees_symbol(Callees::Targets(names.clone())),
                Some(Statement::CallPrototype(results, params)) => {
                    let (results, params) = (results.clone(), params.clone());
                    self.callees_symbol(Callees::Prototype { results, params })
                }
                _ => Symbol::Label(self.new_label()),
            };
            if !self.scopes.define(name, symbol) {
                return self.error(format!("the label {name} is there twice"));
            }
        }
        let mut last_label = None;
        for statement in statements {
            match statement {
                Statement::Registers(registers) => self.declare(registers)?,
                Statement::Variable(variable) => self.body_variable(variable)?,
                Statement::Location(file, line) => self.source = (*line != 0).then_some((*file, *line)),
                Statement::Instruction(instruction) => self.instruction(instruction)?,
                Statement::Scope(inner) => self.block(inner)?,
                Statement::Label(line, name) => {
                    self.line = *line;
                    last_label = Some(*name);
                    if let Symbol::Label(label) = self.find(name)? {
                        self.place_label(label);
                    }
                }
                // Known since the label before it.
                Statement::CallTargets(..) | Statement::CallPrototype(..) => {}
                Statement::BranchTargets(line, names) => {
                    self.line = *line;
                    self.branch_targets(last_label, names)?;
                }
            }
        }
        self.scopes.leave();
        Ok(())
    }

    fn callees_symbol(&mut self, callees: Callees<'a>) -> Symbol {
        self.callees.push(callees);
        Symbol::Callees(self.callees.len() as u32 - 1)
    }

    fn branch_targets(&mut self, label: Option<&'a str>, names: &[&'a str]) -> Result<()> {
        let Some(label) = label else { return self.error(".branchtargets needs a label before it") };
        let Symbol::Table(table) = self.find(label)? else {
            return self.error(".branchtargets needs a label right before it");
        };
        let mut targets = Vec::new();
        for name in names {
            match self.find(name)? {
                Symbol::Label(target) => targets.push(target),
                _ => return self.error(format!("{name} is no label")),
            }
        }
        self.tables[table as usize] = targets;
        Ok(())
    }

    fn declare(&mut self, registers: &Registers<'a>) -> Result<()> {
        self.line = registers.line;
        let Some(ty) = Type::parse(registers.element) else {
            return self.error(format!("the type .{} is not known", registers.element));
        };
        let fresh = match registers.count {
            Some(count) => self.scopes.define_family(registers.name, ty, count),
            None => {
                let reg = self.fresh(ty.file());
                self.names.push((ty.file(), reg, registers.name));
                if ty == Type::B128 {
                    let high = self.fresh(ty.file());
                    self.names.push((ty.file(), high, registers.name));
                }
                self.scopes.define(registers.name, Symbol::Register(reg, ty))
            }
        };
        if fresh { Ok(()) } else { self.error(format!("{} is declared twice", registers.name)) }
    }
}
