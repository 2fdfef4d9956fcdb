//! One live allocation: a range of the simulated address space, backed chunk by chunk on first write.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Every byte of device memory holds this before it is written: a zero would hide a missing initialisation.
pub const POISON: u8 = 0xA5;

/// Bytes of one backing chunk; untouched chunks cost one pointer.
pub(crate) const CHUNK: usize = 1 << 16;

/// What a chunk that was never written reads as.
static POISON_CHUNK: [u8; CHUNK] = [POISON; CHUNK];

/// A range of device memory with its own identity; its addresses are never given to another one.
#[derive(Debug)]
pub(crate) struct Allocation {
    /// First address.
    pub(crate) base: u64,
    /// Bytes asked for: the next address is already out of bounds.
    pub(crate) size: u64,
    chunks: Box<[AtomicPtr<u8>]>,
}

impl Allocation {
    pub(crate) fn new(base: u64, size: u64) -> Self {
        let count = size.div_ceil(CHUNK as u64) as usize;
        let chunks = (0..count).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect();
        Self { base, size, chunks }
    }

    /// First address past the allocation.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.size
    }

    fn layout(&self, index: usize) -> Layout {
        let left = self.size as usize - index * CHUNK;
        // Aligned so that a naturally aligned device address is one on the host too (atomics need that).
        Layout::from_size_align(left.min(CHUNK), 256).expect("a chunk is small and its alignment a power of two")
    }

    /// Where `offset` can be read, and how many bytes follow in the same chunk.
    #[inline(always)]
    pub(crate) fn readable(&self, offset: u64) -> (*const u8, usize) {
        let index = offset as usize / CHUNK;
        let within = offset as usize % CHUNK;
        let chunk = self.chunks[index].load(Ordering::Acquire).cast_const();
        let chunk = if chunk.is_null() { POISON_CHUNK.as_ptr() } else { chunk };
        // The offset is checked against `size` by the caller, so `within` lies inside the chunk.
        (chunk.wrapping_add(within), CHUNK - within)
    }

    /// Where `offset` can be read and written, and how many bytes follow in the same chunk.
    #[inline(always)]
    pub(crate) fn writable(&self, offset: u64) -> (*mut u8, usize) {
        let index = offset as usize / CHUNK;
        let within = offset as usize % CHUNK;
        let chunk = self.chunks[index].load(Ordering::Acquire);
        let chunk = if chunk.is_null() { self.back(index) } else { chunk };
        (chunk.wrapping_add(within), CHUNK - within)
    }

    #[cold]
    fn back(&self, index: usize) -> *mut u8 {
        let layout = self.layout(index);
        // SAFETY: a chunk holds at least one byte, as `size` is not zero.
        let fresh = unsafe { alloc(layout) };
        if fresh.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: `fresh` points to `layout.size()` bytes that nobody else knows yet.
        unsafe { fresh.write_bytes(POISON, layout.size()) };
        let slot = &self.chunks[index];
        match slot.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fresh,
            Err(winner) => {
                // SAFETY: allocated above with this layout and not published.
                unsafe { dealloc(fresh, layout) };
                winner
            }
        }
    }

    /// Copies `out.len()` bytes from `offset` on; the caller has checked the range.
    #[inline(always)]
    pub(crate) fn read(&self, mut offset: u64, mut out: &mut [u8]) {
        debug_assert!(offset + out.len() as u64 <= self.size);
        while !out.is_empty() {
            let (source, left) = self.readable(offset);
            let count = out.len().min(left);
            // SAFETY: `count` bytes are inside the chunk (range checked by the caller), `out` is ours alone.
            // A kernel whose threads race on these bytes races here too; bytes have no invalid values.
            unsafe { copy(source, out.as_mut_ptr(), count) };
            out = &mut out[count..];
            offset += count as u64;
        }
    }

    /// Copies `data` to `offset` on; the caller has checked the range.
    #[inline(always)]
    pub(crate) fn write(&self, mut offset: u64, mut data: &[u8]) {
        debug_assert!(offset + data.len() as u64 <= self.size);
        while !data.is_empty() {
            let (target, left) = self.writable(offset);
            let count = data.len().min(left);
            // SAFETY: as in `read`; the chunk is backed and outlives `self`.
            unsafe { copy(data.as_ptr(), target, count) };
            data = &data[count..];
            offset += count as u64;
        }
    }
}

/// `copy_nonoverlapping`, quick for the sizes of one thread's access: a call of the C library for each would
/// cost more than everything around it.
///
/// # Safety
/// As for `copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy(source: *const u8, target: *mut u8, count: usize) {
    // SAFETY: the caller's promise, for exactly `count` bytes in each arm.
    unsafe {
        match count {
            1 => *target = *source,
            2 => target.cast::<[u8; 2]>().write_unaligned(source.cast::<[u8; 2]>().read_unaligned()),
            4 => target.cast::<[u8; 4]>().write_unaligned(source.cast::<[u8; 4]>().read_unaligned()),
            8 => target.cast::<[u8; 8]>().write_unaligned(source.cast::<[u8; 8]>().read_unaligned()),
            16 => target.cast::<[u8; 16]>().write_unaligned(source.cast::<[u8; 16]>().read_unaligned()),
            _ => std::ptr::copy_nonoverlapping(source, target, count),
        }
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        for index in 0..self.chunks.len() {
            let layout = self.layout(index);
            let chunk = *self.chunks[index].get_mut();
            if !chunk.is_null() {
                // SAFETY: made by `back` with the same layout; `&mut self` means nobody uses it any more.
                unsafe { dealloc(chunk, layout) };
            }
        }
    }
}
