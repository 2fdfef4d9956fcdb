//! Executes and checks PTX on the CPU.
//!
//! [`Module::load`] parses a PTX text and refuses what it does not know; [`Module::instantiate`] gives its
//! variables a place in a [`Memory`]; [`launch`] runs a kernel, warp by warp, and either returns
//! a [`Report`] or a [`Fault`] that says which thread did what wrong at which line.

pub mod driver;

mod counters;
mod exec;
mod fault;
mod ir;
mod launch;
mod limits;
mod memory;
mod metrics;
mod module;
mod profile;
mod ptx;
mod tensor_map;

pub use counters::{Class, Counters, Traffic, Way, Ways};
pub use fault::{Fault, FaultKind, Party, Severity};
pub use ir::lower::instructions;
pub use launch::{Checks, DEFAULT_INSTRUCTION_LIMIT, Launch, Report, Schedule, launch};
pub use memory::{Memory, MemoryError, POISON, Region};
pub use metrics::Metric;
pub use module::{Global, Instance, Kernel, LoadError, Module, Param};
pub use profile::Row;
pub use tensor_map::{
    OutOfBoundsFill, Swizzle, TENSOR_MAP_ALIGN, TENSOR_MAP_BYTES, TENSOR_RANK, TensorElement, TensorMap, TensorMapError,
};
