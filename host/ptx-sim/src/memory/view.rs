//! The live allocations at the start of a launch, looked up without a lock.

use std::sync::Arc;

use super::Allocation;

/// A sorted list of allocations. It keeps them alive while the launch runs.
#[derive(Debug)]
pub(crate) struct View {
    allocations: Vec<Arc<Allocation>>,
}

impl View {
    /// `allocations` sorted by base, as the table of `Memory` has them.
    pub(crate) fn new(allocations: Vec<Arc<Allocation>>) -> Self {
        Self { allocations }
    }

    /// The index of the allocation that holds `address`.
    pub(crate) fn find(&self, address: u64) -> Option<usize> {
        let after = self.allocations.partition_point(|found| found.base <= address);
        let index = after.checked_sub(1)?;
        (address < self.allocations[index].end()).then_some(index)
    }

    /// The allocation that [`View::find`] named; `None` where there is none of that index.
    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Option<&Allocation> {
        self.allocations.get(index).map(|found| &**found)
    }
}
