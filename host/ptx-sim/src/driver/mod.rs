//! A driver for a simulated GPU: the functions of NVIDIA's driver, with the same C interface.
//!
//! [`function`] gives the address of each, for libcuda's table. Work runs inside the call that asks for
//! it, one piece at a time, which is one of the orders that streams allow. A kernel's fault surfaces as
//! on hardware: the launch itself succeeds, and every later call that touches the context answers the
//! same error until the context is reset or destroyed; [`last_fault`] says what happened.
//!
//! Handles are numbers that are never used twice. Each is looked up before use, so a stale one is an
//! error code and never a dangling pointer. No panic crosses the C boundary.

mod abi;
mod attributes;
mod capture;
mod capture_calls;
mod cluster;
mod context;
mod context_settings;
mod copy;
mod device;
mod engine;
mod event;
mod exports;
mod function;
mod graph;
mod handle;
mod host_memory;
mod jit;
mod launch;
mod launch_attributes;
mod launch_checks;
mod launch_params;
mod library;
mod memory;
mod module;
mod occupancy;
mod queue;
mod state;
mod status;
mod stream;
mod tensor_map;

use std::{collections::BTreeMap, ffi::c_void};

pub use device::{ArchError, set_arch};
pub use status::last_refusal;

use crate::{Checks, Counters, Fault, Schedule};

/// The address of the simulated driver's function of that name, as `cuMemAlloc_v2`; nothing for what it
/// does not have, which the caller must answer with CUDA_ERROR_NOT_SUPPORTED.
pub fn function(name: &str) -> Option<*const c_void> {
    exports::find(name)
}

/// `cuInit`: starts the simulated GPU, and answers a code of `CUresult`, 0 for success.
pub fn init(flags: u32) -> u32 {
    state::init(flags)
}

/// The explanation of the latest fault of a kernel (or of this driver itself) in the process: kernel,
/// PTX line, block, thread, address. Kept until the next one, or until the broken context is reset.
pub fn last_fault() -> Option<String> {
    status::last_fault()
}

/// What the launches since the start, or since [`reset_counters`], did: by the kernel's name.
pub fn counters() -> BTreeMap<String, Counters> {
    engine::counters()
}

/// Starts the counts of [`counters`] anew.
pub fn reset_counters() {
    engine::reset_counters();
}

/// Chooses what every launch from now on is searched for, in the whole process; all of it at the start.
pub fn set_checks(checks: Checks) {
    engine::set_checks(checks);
}

/// Chooses the schedule of every launch from now on, in the whole process; [`Schedule::Late`] at the start.
pub fn set_schedule(schedule: Schedule) {
    engine::set_schedule(schedule);
}

/// The findings that stopped no launch, since the start or since [`reset_notes`]: one for each kernel, kind and pair
/// of lines, in the order in which they came, and no more than a thousand.
pub fn notes() -> Vec<Fault> {
    engine::notes()
}

/// Forgets the findings of [`notes`].
pub fn reset_notes() {
    engine::reset_notes();
}
