//! Decoded kernels: a closed set of operations on numbered registers, in the order they are executed.
//!
//! The way of a kernel: syntax tree → [`lower`] (names become virtual registers, mnemonics become [`op::Op`])
//! → [`flow`] (basic blocks, put in the order that makes lanes meet again) → [`registers`] (virtual registers
//! become slots of a small file; those that may be read too early are watched, see `defined`). Nothing that the text says is left to be looked up when it runs.

pub(crate) mod asynchronous;
pub(crate) mod atomics;
mod defined;
pub(crate) mod flow;
mod kinds;
mod liveness;
pub(crate) mod lower;
pub(crate) mod matrix;
pub(crate) mod narrow;
pub(crate) mod op;
pub(crate) mod registers;
pub(crate) mod types;
mod visit;
pub(crate) mod wgmma;
pub(crate) mod words;

use crate::counters::Class;
use op::{Guard, Op, Reg};

/// An operation with its guard and its place in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inst {
    pub(crate) op: Op,
    pub(crate) guard: Guard,
}

/// Where an operation comes from and how it counts; apart from [`Inst`], which the step loop reads.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Line of the PTX text.
    pub(crate) line: u32,
    /// The statement, for messages.
    pub(crate) text: String,
    /// `.loc`: index into the kernel's files, and the line.
    pub(crate) source: Option<(u32, u32)>,
    /// `None` for all but the first operation that a statement becomes.
    pub(crate) class: Option<Class>,
}

/// First values of constant slots: they come first in each register file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constants {
    pub(crate) w32: Vec<u32>,
    pub(crate) w64: Vec<u64>,
    /// Slots of `w64` to which the address of a module variable is added: slot, index of the variable.
    pub(crate) relocations: Vec<(usize, usize)>,
}

/// Slots of the three register files, constants included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileSizes {
    pub(crate) w32: usize,
    pub(crate) w64: usize,
    pub(crate) pred: usize,
}

/// A kernel ready to run.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) code: Vec<Inst>,
    pub(crate) origins: Vec<Origin>,
    /// Register lists of the operations that take many (vectors, matrix fragments).
    pub(crate) pool: Vec<Reg>,
    pub(crate) constants: Constants,
    pub(crate) files: FileSizes,
    /// Bytes of local memory of a thread.
    pub(crate) local_bytes: u32,
    /// First byte of dynamic shared memory in the block's window.
    pub(crate) dynamic_shared: u32,
    /// Whether the order of the blocks can show in what the kernel computes.
    pub(crate) order_matters: bool,
    /// Branch tables of `brx.idx`: places in `code`.
    pub(crate) tables: Vec<Vec<u32>>,
    /// Names of the registers that are watched because they may be read before they are written.
    pub(crate) register_names: Vec<String>,
    /// Registers that a thread owns at the start, where the text says so.
    pub(crate) entry_registers: Option<u32>,
    /// Names of the registers of wgmma, by their numbers, and lists of these numbers.
    pub(crate) wgmma_names: Vec<String>,
    pub(crate) wgmma_numbers: Vec<u32>,
}
