//! What the tests on the simulator share: the choice, a context, and small kernels.

#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::sync::OnceLock;

use cust::context::Context;
use libcuda::{Choice, Driver};

/// The primary context of the simulated GPU, current in the calling thread.
pub(crate) fn simulated() -> Context {
    static CHOSEN: OnceLock<()> = OnceLock::new();
    CHOSEN.get_or_init(|| libcuda::select(Choice::Sim).expect("every test chooses through this function"));
    let context = cust::quick_init().expect("the simulator is always there");
    assert_eq!(libcuda::chosen(), Some(Driver::Sim));
    context
}

/// `add(n: u32, a, b, sum: *const f32)`, in blocks of at most 256 threads. The guard is the caller's n.
pub(crate) const ADD: &str = include_str!("add.ptx");

/// `reverse(data: *const u32, n: u32)` for one block, through dynamic shared memory; and `trap_it()`.
pub(crate) const SHARED: &str = include_str!("shared.ptx");
