//! Atomic operations on 128 bits.

use super::op::{Addr, List, MemoryOrder};
use super::types::Space;

/// `atom.exch.b128`, or `atom.cas.b128`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtomicPair {
    pub(crate) cas: bool,
    pub(crate) space: Space,
    pub(crate) order: MemoryOrder,
    pub(crate) addr: Addr,
    /// Two 64-bit registers each, low one first: the old value, what is compared or stored, and what `cas` stores.
    pub(crate) regs: List,
}

impl AtomicPair {
    /// The registers of the old value.
    pub(crate) fn written(&self) -> List {
        List { len: 2, ..self.regs }
    }

    /// The registers that are read.
    pub(crate) fn read(&self) -> List {
        List { start: self.regs.start + 2, len: self.regs.len - 2 }
    }
}
