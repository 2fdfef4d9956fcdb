//! The simulated GPU's global memory.
//!
//! Addresses are never given out twice and allocations lie far apart, so that an overrun, a use after free
//! and a base mixed up with another all leave every live allocation. Untouched memory costs nothing.

mod allocation;
mod chunk;
mod shadow;
mod view;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use allocation::Allocation;
pub use allocation::POISON;
pub(crate) use shadow::{PAGE, Page, RUNS, SECTOR};
pub(crate) use view::View;

/// First address that an allocation can have; everything below is null or near it.
const FIRST_ADDRESS: u64 = 0x0000_0100_0000_0000;
/// Past the last address that an allocation can have; the windows of the other state spaces lie above.
const LAST_ADDRESS: u64 = 0x0000_7000_0000_0000;
/// Least distance between two allocations.
const LEAST_GAP: u64 = 1 << 16;
/// What CUDA promises of an allocation's base, and no more: bases here are odd multiples of it.
const BASE_ALIGN: u64 = 256;
/// Freed allocations that are remembered, to explain a use after free.
const REMEMBERED: usize = 4096;

/// Why a request to [`Memory`] was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// An allocation of no bytes.
    #[error("an allocation of 0 bytes was asked for; ask for at least 1")]
    Empty,
    /// More than the simulated GPU has.
    #[error("{wanted} bytes were asked for, {free} of {capacity} are free; free some, or make the Memory larger")]
    OutOfMemory {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes not allocated.
        free: u64,
        /// Bytes of the simulated GPU.
        capacity: u64,
    },
    /// `free` of an address that is not the base of a live allocation.
    #[error("{address:#x} is not the start of a live allocation ({nearest}); free what alloc returned, once")]
    NotABase {
        /// The address.
        address: u64,
        /// The allocation next to it, in words.
        nearest: String,
    },
    /// A copy or fill that leaves every live allocation.
    #[error("{bytes} bytes at {address:#x} do not lie in one live allocation ({nearest})")]
    OutOfBounds {
        /// First address.
        address: u64,
        /// Length of the range.
        bytes: u64,
        /// The allocation next to it, in words.
        nearest: String,
    },
}

/// A live allocation, as [`Memory::containing`] reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// Length in bytes.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Table {
    live: BTreeMap<u64, Arc<Allocation>>,
    freed: Vec<Region>,
    next: u64,
    used: u64,
}

/// Global memory of a simulated GPU. Shared between threads; allocations keep their identity for ever.
#[derive(Debug)]
pub struct Memory {
    table: RwLock<Table>,
    capacity: u64,
    /// Launches so far: what was known of who touched what is void in the next one.
    launches: AtomicU64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Memory of 80 GiB, of which only what is written takes room on the host.
    pub fn new() -> Self {
        Self::with_capacity(80 << 30)
    }

    /// Memory of `capacity` bytes.
    pub fn with_capacity(capacity: u64) -> Self {
        let table = Table { next: FIRST_ADDRESS, ..Table::default() };
        Self { table: RwLock::new(table), capacity, launches: AtomicU64::new(0) }
    }

    /// Bytes of the simulated GPU.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes in live allocations.
    pub fn used(&self) -> u64 {
        self.table().used
    }

    // A thread that panicked while it held the lock left the table whole: every change is made in one step.
    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Allocates `bytes` bytes, which read as [`POISON`] until written; the base is a multiple of 256.
    pub fn alloc(&self, bytes: u64) -> Result<u64, MemoryError> {
        if bytes == 0 {
            return Err(MemoryError::Empty);
        }
        let mut table = self.table_mut();
        let free = self.capacity.saturating_sub(table.used);
        // The gap is as long as the allocation: an index that is off by up to its whole length still faults.
        let step = bytes.checked_next_multiple_of(LEAST_GAP).unwrap_or(u64::MAX).saturating_mul(2);
        if bytes > free || step > LAST_ADDRESS - table.next {
            return Err(MemoryError::OutOfMemory { wanted: bytes, free, capacity: self.capacity });
        }
        let base = table.next + BASE_ALIGN;
        table.next += step;
        table.used += bytes;
        table.live.insert(base, Arc::new(Allocation::new(base, bytes)));
        Ok(base)
    }

    /// Frees the allocation that starts at `address`. A running launch keeps what it has seen.
    pub fn free(&self, address: u64) -> Result<(), MemoryError> {
        let mut table = self.table_mut();
        let Some(gone) = table.live.remove(&address) else {
            let nearest = describe(&table, address);
            return Err(MemoryError::NotABase { address, nearest });
        };
        table.used -= gone.size;
        if table.freed.len() == REMEMBERED {
            table.freed.remove(0);
        }
        table.freed.push(Region { base: gone.base, bytes: gone.size });
        Ok(())
    }

    /// The live allocation that holds `address`.
    pub fn containing(&self, address: u64) -> Option<Region> {
        let table = self.table();
        let (_, found) = table.live.range(..=address).next_back()?;
        (address < found.end()).then_some(Region { base: found.base, bytes: found.size })
    }

    /// Whether `address` is one that this memory has given out, live or freed, or in the gaps between: whether
    /// a pointer that may be either points to the device.
    pub fn owns(&self, address: u64) -> bool {
        (FIRST_ADDRESS..self.table().next).contains(&address)
    }

    /// Says in words what lies at or next to `address`.
    pub fn describe(&self, address: u64) -> String {
        describe(&self.table(), address)
    }

    fn range(&self, address: u64, bytes: u64) -> Result<(Arc<Allocation>, u64), MemoryError> {
        let table = self.table();
        if let Some((_, found)) = table.live.range(..=address).next_back() {
            let offset = address - found.base;
            if offset < found.size && bytes <= found.size - offset {
                return Ok((Arc::clone(found), offset));
            }
        }
        Err(MemoryError::OutOfBounds { address, bytes, nearest: describe(&table, address) })
    }

    /// Copies `out.len()` bytes from `address` on to the host.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), MemoryError> {
        if out.is_empty() {
            return Ok(());
        }
        let (allocation, offset) = self.range(address, out.len() as u64)?;
        allocation.read(offset, out);
        Ok(())
    }

    /// Copies `data` from the host to `address` on.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        if data.is_empty() {
            return Ok(());
        }
        let (allocation, offset) = self.range(address, data.len() as u64)?;
        allocation.write(offset, data);
        Ok(())
    }

    /// Copies `bytes` bytes inside the device; the ranges may overlap. What was never written in the source
    /// counts as never written in the target.
    pub fn copy(&self, target: u64, source: u64, bytes: u64) -> Result<(), MemoryError> {
        if bytes == 0 {
            return Ok(());
        }
        let (from, from_offset) = self.range(source, bytes)?;
        let (to, to_offset) = self.range(target, bytes)?;
        let mut buffer = vec![0_u8; bytes.min(1 << 20) as usize];
        let steps = bytes.div_ceil(buffer.len() as u64);
        for step in 0..steps {
            // Overlapping upwards, the last piece has to move first.
            let index = if target > source { steps - 1 - step } else { step };
            let start = index * buffer.len() as u64;
            let length = (bytes - start).min(buffer.len() as u64) as usize;
            to.take(to_offset + start, &from, from_offset + start, &mut buffer[..length]);
        }
        Ok(())
    }

    /// Writes `pattern` over and over into the `bytes` bytes at `address`; the last repeat may be cut.
    pub fn fill(&self, address: u64, bytes: u64, pattern: &[u8]) -> Result<(), MemoryError> {
        if bytes == 0 || pattern.is_empty() {
            return Ok(());
        }
        let (allocation, offset) = self.range(address, bytes)?;
        let repeats = ((1 << 16) / pattern.len()).max(1);
        let buffer = pattern.repeat(repeats);
        let mut done = 0;
        while done < bytes {
            let length = (bytes - done).min(buffer.len() as u64) as usize;
            allocation.write(offset + done, &buffer[..length]);
            done += length as u64;
        }
        Ok(())
    }

    /// Bytes of the host that the checks of the allocation at `address` take.
    #[cfg(test)]
    pub(crate) fn shadow_bytes(&self, address: u64) -> usize {
        self.range(address, 1).map_or(0, |(found, _)| found.shadow_bytes())
    }

    /// A number that no other launch on this memory has; not 0.
    pub(crate) fn next_launch(&self) -> u64 {
        self.launches.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The live allocations as a launch sees them: looked up without a lock.
    pub(crate) fn view(&self) -> View {
        View::new(self.table().live.values().cloned().collect())
    }
}

fn describe(table: &Table, address: u64) -> String {
    // Up to here null is nearer than any allocation: an index into a pointer that was never set.
    if address < FIRST_ADDRESS / 2 {
        return "a null or near-null pointer".to_owned();
    }
    let inside = |region: &&Region| address >= region.base && address - region.base < region.bytes;
    if let Some(region) = table.freed.iter().rev().find(inside) {
        return format!("inside {} bytes at {:#x} that were freed (use after free)", region.bytes, region.base);
    }
    let before = table.live.range(..=address).next_back().map(|(_, found)| found);
    let after = table.live.range(address..).next().map(|(_, found)| found);
    let below = before.map(|found| (address - found.base, found));
    if let Some((offset, found)) = below.filter(|(offset, found)| *offset < found.size) {
        return format!("byte {offset} of the allocation of {} bytes at {:#x}", found.size, found.base);
    }
    let below = below.map(|(offset, found)| (offset - found.size, "after", found));
    let above = after.map(|found| (found.base - address, "before", found));
    match below.into_iter().chain(above).min_by_key(|(distance, ..)| *distance) {
        Some((0, side, found)) => {
            format!("right {side} the allocation of {} bytes at {:#x}", found.size, found.base)
        }
        Some((distance, side, found)) => {
            format!("{distance} bytes {side} the allocation of {} bytes at {:#x}", found.size, found.base)
        }
        None => "nothing is allocated".to_owned(),
    }
}

#[cfg(test)]
mod tests;
