//! One live allocation: a range of the simulated address space, backed chunk by chunk on first write.

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::chunk::{CHUNK, Chunk};
use super::shadow::Page;

/// Every byte of device memory holds this before it is written: a zero would hide a missing initialisation.
pub const POISON: u8 = 0xA5;

/// What a chunk that was never written reads as.
static POISON_CHUNK: [u8; CHUNK] = [POISON; CHUNK];

/// A range of device memory with its own identity; its addresses are never given to another one.
#[derive(Debug)]
pub(crate) struct Allocation {
    /// First address.
    pub(crate) base: u64,
    /// Bytes asked for: the next address is already out of bounds.
    pub(crate) size: u64,
    chunks: Box<[AtomicPtr<Chunk>]>,
}

impl Allocation {
    pub(crate) fn new(base: u64, size: u64) -> Self {
        let count = size.div_ceil(CHUNK as u64) as usize;
        let chunks = Box::<[AtomicPtr<Chunk>]>::new_zeroed_slice(count);
        // Asked for as zeros, the table of a large allocation comes as pages that the system has not backed yet:
        // the 5 MiB for 40 GiB cost nothing but where they are used.
        // SAFETY: zeros are null pointers, and an atomic pointer is laid out as a pointer.
        let chunks = unsafe { chunks.assume_init() };
        Self { base, size, chunks }
    }

    /// First address past the allocation.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.size
    }

    /// The chunk of that index, if something was ever written to it.
    #[inline(always)]
    fn chunk(&self, index: usize) -> Option<&Chunk> {
        // SAFETY: null, or made by `back` and freed by nobody before `drop`.
        unsafe { self.chunks[index].load(Ordering::Acquire).as_ref() }
    }

    /// The chunk of that index, backed now if it was not.
    #[inline(always)]
    fn backed(&self, index: usize) -> &Chunk {
        match self.chunk(index) {
            Some(chunk) => chunk,
            None => self.back(index),
        }
    }

    #[cold]
    fn back(&self, index: usize) -> &Chunk {
        let left = self.size as usize - index * CHUNK;
        let fresh = Box::into_raw(Box::new(Chunk::new(left.min(CHUNK))));
        let slot = &self.chunks[index];
        match slot.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: `fresh` belongs to the table now, which frees it in `drop`.
            Ok(_) => unsafe { &*fresh },
            Err(winner) => {
                // SAFETY: made above, and not published.
                drop(unsafe { Box::from_raw(fresh) });
                // SAFETY: what another thread published stays until `drop`.
                unsafe { &*winner }
            }
        }
    }

    /// Where `offset` can be read, and how many bytes follow in the same chunk.
    #[inline(always)]
    pub(crate) fn readable(&self, offset: u64) -> (*const u8, usize) {
        let (index, within) = split(offset);
        // The offset is checked against `size` by the caller, so `within` lies inside the chunk.
        let place = match self.chunk(index) {
            Some(chunk) => chunk.place(within).cast_const(),
            None => POISON_CHUNK.as_ptr().wrapping_add(within),
        };
        (place, CHUNK - within)
    }

    /// Where the `len` bytes at `offset`, which lie in one chunk, can be read and written; they count as written.
    #[inline(always)]
    pub(crate) fn writable(&self, offset: u64, len: usize) -> *mut u8 {
        let (index, within) = split(offset);
        let chunk = self.backed(index);
        chunk.mark(within, len);
        chunk.place(within)
    }

    /// Who touched the page that holds `offset` in the launch `stamp`.
    #[inline(always)]
    pub(crate) fn page(&self, offset: u64, stamp: u64) -> MutexGuard<'_, Page> {
        let (index, within) = split(offset);
        self.backed(index).page(within, stamp)
    }

    /// The offset of the first of `len` bytes from `offset` on that was never written.
    #[inline(always)]
    pub(crate) fn unwritten(&self, mut offset: u64, mut len: usize) -> Option<u64> {
        while len > 0 {
            let (index, within) = split(offset);
            let count = len.min(CHUNK - within);
            let Some(chunk) = self.chunk(index) else { return Some(offset) };
            if let Some(at) = chunk.unwritten(within, count) {
                return Some(offset + (at - within) as u64);
            }
            offset += count as u64;
            len -= count;
        }
        None
    }

    /// Gives the bytes at `offset` what the `len` bytes at `from_offset` of `from` hold, through `buffer`, which
    /// has to be as long. Bytes that were never written there count as never written here.
    pub(super) fn take(&self, offset: u64, from: &Self, from_offset: u64, buffer: &mut [u8]) {
        let backed = |allocation: &Self, offset: u64| {
            let last = offset + buffer.len() as u64 - 1;
            (split(offset).0..=split(last).0).any(|index| allocation.chunk(index).is_some())
        };
        if !backed(from, from_offset) && !backed(self, offset) {
            return;
        }
        from.read(from_offset, buffer);
        // Which bytes were written has to be known before the target changes: the ranges may overlap.
        let mut runs = Vec::new();
        let mut done = 0;
        while done < buffer.len() {
            let (index, within) = split(from_offset + done as u64);
            let most = (buffer.len() - done).min(CHUNK - within);
            let (written, len) = from.chunk(index).map_or((false, most), |chunk| chunk.run(within, most));
            runs.push((written, done, len));
            done += len;
        }
        self.write(offset, buffer);
        for (_, start, len) in runs.into_iter().filter(|(written, ..)| !written) {
            self.unmark(offset + start as u64, len);
        }
    }

    fn unmark(&self, mut offset: u64, mut len: usize) {
        while len > 0 {
            let (index, within) = split(offset);
            let count = len.min(CHUNK - within);
            if let Some(chunk) = self.chunk(index) {
                chunk.unmark(within, count);
            }
            offset += count as u64;
            len -= count;
        }
    }

    /// Bytes of the host that the checks of this allocation take.
    #[cfg(test)]
    pub(super) fn shadow_bytes(&self) -> usize {
        (0..self.chunks.len()).filter_map(|index| self.chunk(index)).map(Chunk::shadow_bytes).sum()
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
            let count = data.len().min(CHUNK - split(offset).1);
            let target = self.writable(offset, count);
            // SAFETY: as in `read`; the chunk is backed and lives as long as `self`.
            unsafe { copy(data.as_ptr(), target, count) };
            data = &data[count..];
            offset += count as u64;
        }
    }
}

/// The chunk that holds `offset`, and where in it.
#[inline(always)]
fn split(offset: u64) -> (usize, usize) {
    (offset as usize / CHUNK, offset as usize % CHUNK)
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
        for chunk in &mut self.chunks {
            let chunk = *chunk.get_mut();
            if !chunk.is_null() {
                // SAFETY: made by `back`; `&mut self` means nobody uses it any more.
                drop(unsafe { Box::from_raw(chunk) });
            }
        }
    }
}
