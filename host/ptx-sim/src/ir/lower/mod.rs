//! From syntax to operations: names become virtual registers, mnemonics become operations.

mod arith;
mod asynchronous;
mod atomic;
mod calls;
mod compare;
mod control;
mod convert;
mod float;
mod function;
mod hints;
mod indirect;
mod matrix;
mod memory;
mod mods;
mod mov;
mod names;
mod narrow;
mod operand;
mod scope;
mod sync;
mod target;
mod variables;
mod warp;
mod wgmma;
mod words;

use std::collections::HashMap;

use crate::counters::Class;
use crate::ir::op::{Guard, List, Op, Reg};
use crate::ir::types::{File, Type};
use crate::ir::{Constants, Inst, Origin};
use crate::ptx::ast::{self, Instruction};
use crate::ptx::{Error, Result};

pub(crate) use function::{Lowered, lower_entry};
use mods::Mods;
pub use names::instructions;
use scope::{Place, Scopes};
pub(crate) use variables::global_layout;

/// First byte of a block's shared memory in its window: the system keeps the bytes below, as on sm_80 and later.
pub(crate) const SHARED_BASE: u32 = 1024;

/// State while one entry is lowered.
struct Lowerer<'t, 'a> {
    text: &'t ast::Text<'a>,
    /// Module variables by name, as `global_layout` numbers them.
    globals: &'t HashMap<&'a str, usize>,
    scopes: Scopes<'a>,
    code: Vec<Inst>,
    origins: Vec<Origin>,
    pool: Vec<Reg>,
    constants: Constants,
    constant_slots: HashMap<(File, u64, Option<usize>), Reg>,
    /// Constants to which the start of dynamic shared memory is added at the end: file and slot.
    dynamic: Vec<(File, usize)>,
    dynamic_slots: HashMap<(File, u64), Reg>,
    dynamic_align: u64,
    /// Virtual registers handed out in each file.
    next: [u32; 3],
    /// What the text calls them.
    names: Vec<(File, Reg, &'a str)>,
    /// Position in `code` of each label.
    labels: Vec<Option<u32>>,
    label_lines: Vec<u32>,
    tables: Vec<Vec<u32>>,
    /// `.calltargets` and `.callprototype`.
    callees: Vec<indirect::Callees<'a>>,
    shared: HashMap<*const ast::Variable<'a>, Place>,
    shared_bytes: u32,
    local_bytes: u32,
    order_matters: bool,
    source: Option<(u32, u32)>,
    guard: Guard,
    line: u32,
    statement: &'a str,
    /// Class of the statement; [`Class::Control`] until something else is known.
    class: Class,
    /// Functions being inlined, to refuse recursion; and where `ret` of the innermost one goes.
    calls: Vec<&'a str>,
    return_label: Option<u32>,
}

impl<'a> Lowerer<'_, 'a> {
    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::new(self.line, message))
    }

    fn fresh(&mut self, file: File) -> Reg {
        let next = &mut self.next[file as usize];
        *next += 1;
        Reg(*next - 1)
    }

    fn constant32(&mut self, value: u32) -> Reg {
        let slots = &mut self.constants.w32;
        *self.constant_slots.entry((File::W32, u64::from(value), None)).or_insert_with(|| {
            slots.push(value);
            Reg(Reg::CONSTANT | (slots.len() as u32 - 1))
        })
    }

    fn constant64(&mut self, value: u64, global: Option<usize>) -> Reg {
        let constants = &mut self.constants;
        *self.constant_slots.entry((File::W64, value, global)).or_insert_with(|| {
            let slot = constants.w64.len();
            constants.w64.push(value);
            constants.relocations.extend(global.map(|index| (slot, index)));
            Reg(Reg::CONSTANT | slot as u32)
        })
    }

    /// A constant that is an address in dynamic shared memory.
    fn dynamic_constant(&mut self, file: File, offset: u64) -> Reg {
        if let Some(known) = self.dynamic_slots.get(&(file, offset)) {
            return *known;
        }
        let slot = match file {
            File::W64 => {
                self.constants.w64.push(offset);
                self.constants.w64.len() - 1
            }
            _ => {
                self.constants.w32.push(offset as u32);
                self.constants.w32.len() - 1
            }
        };
        self.dynamic.push((file, slot));
        let reg = Reg(Reg::CONSTANT | slot as u32);
        self.dynamic_slots.insert((file, offset), reg);
        reg
    }

    fn list(&mut self, regs: &[Reg]) -> List {
        let start = self.pool.len() as u32;
        self.pool.extend_from_slice(regs);
        List { start, len: regs.len() as u32 }
    }

    fn emit(&mut self, op: Op) {
        self.code.push(Inst { op, guard: self.guard });
        let text = self.statement.split_whitespace().collect::<Vec<_>>().join(" ");
        self.origins.push(Origin { line: self.line, text, source: self.source, class: None });
    }

    /// An operation for lanes whatever their guard says: it must have no effect but on a fresh register.
    fn emit_always(&mut self, op: Op) {
        let guard = std::mem::replace(&mut self.guard, Guard::ALWAYS);
        self.emit(op);
        self.guard = guard;
    }

    /// Before a statement that becomes several operations: its own results must not change its guard.
    fn keep_guard(&mut self) {
        if !self.guard.pred.is_none() {
            let copy = self.fresh(File::Pred);
            self.emit_always(Op::PredMov { d: copy, a: self.guard.pred, negated: false });
            self.guard.pred = copy;
        }
    }

    fn new_label(&mut self) -> u32 {
        self.labels.push(None);
        self.label_lines.push(self.line);
        self.labels.len() as u32 - 1
    }

    fn place_label(&mut self, label: u32) {
        self.labels[label as usize] = Some(self.code.len() as u32);
    }

    fn instruction(&mut self, instruction: &Instruction<'a>) -> Result<()> {
        self.line = instruction.line;
        self.statement = instruction.text;
        self.guard = match instruction.guard {
            Some((name, negated)) => Guard { pred: self.register(name, Type::Pred)?, negated },
            None => Guard::ALWAYS,
        };
        let (name, mut mods) = Mods::new(instruction.mnemonic, instruction.line);
        names::check(name, &mods)?;
        let operands = &instruction.operands[..];
        self.class = Class::Control;
        let first = self.code.len();
        let known = self.control(name, &mut mods, operands)?
            || self.words(name, &mut mods, operands)?
            || self.arith(name, &mut mods, operands)?
            || self.float(name, &mut mods, operands)?
            || self.convert(name, &mut mods, operands)?
            || self.hints(name, &mut mods, operands)?
            || self.asynchronous(name, &mut mods, operands)?
            || self.memory(name, &mut mods, operands)?
            || self.warp(name, &mut mods, operands)?
            || self.sync(name, &mut mods, operands)?
            || self.matrix(name, &mut mods, operands)?;
        if !known {
            return self.error(format!("the instruction {name} is not supported"));
        }
        // One statement counts once, however many operations it became.
        if let Some(origin) = self.origins.get_mut(first) {
            origin.class = Some(self.class);
        }
        mods.finish()
    }

    /// Sets the class of the statement unless that is known better; always true.
    fn counts_as(&mut self, class: Class) -> bool {
        if self.class == Class::Control {
            self.class = class;
        }
        true
    }
}
