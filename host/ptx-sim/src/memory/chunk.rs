//! A piece of an allocation that something was written to: its bytes, and for each of them whether it was.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, OnceLock};

use super::POISON;
use super::shadow::{Page, Shadow};

/// Bytes of one chunk; untouched chunks cost one null pointer.
pub(crate) const CHUNK: usize = 1 << 16;

/// Up to [`CHUNK`] bytes of device memory.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: NonNull<u8>,
    len: usize,
    /// Bit `i % 64` of word `i / 64`: byte `i` was written, by the host or by a kernel.
    written: Box<[AtomicU64]>,
    /// Who touched the bytes, once a launch that looks for races did.
    shadow: OnceLock<Shadow>,
}

// SAFETY: the bytes belong to the chunk, which hands out raw pointers only; who follows them answers for it.
unsafe impl Send for Chunk {}
// SAFETY: as above; the bits are atomic.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// `len` bytes of poison, from 1 to [`CHUNK`], none of them written.
    pub(super) fn new(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: `len` is not zero.
        let Some(bytes) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        // SAFETY: `bytes` points to `len` bytes that nobody else knows yet.
        unsafe { bytes.write_bytes(POISON, len) };
        let written = (0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { bytes, len, written, shadow: OnceLock::new() }
    }

    fn layout(len: usize) -> Layout {
        // Aligned so that a naturally aligned device address is one on the host too (atomics need that).
        Layout::from_size_align(len, 256).expect("a chunk is small and its alignment a power of two")
    }

    /// Where byte `at` lies.
    #[inline(always)]
    pub(super) fn place(&self, at: usize) -> *mut u8 {
        debug_assert!(at < self.len);
        self.bytes.as_ptr().wrapping_add(at)
    }

    /// Notes that `len` bytes from `at` on are written.
    // Relaxed throughout: the bits order nothing, and a kernel that reads what another block is just writing
    // races, whatever they say.
    #[inline(always)]
    pub(super) fn mark(&self, at: usize, len: usize) {
        for (index, bits) in words(at, len) {
            let word = &self.written[index];
            if bits == u64::MAX {
                word.store(bits, Ordering::Relaxed);
            } else if word.load(Ordering::Relaxed) & bits != bits {
                word.fetch_or(bits, Ordering::Relaxed);
            }
        }
    }

    /// Notes that `len` bytes from `at` on hold nothing: bytes never written were copied over them.
    pub(super) fn unmark(&self, at: usize, len: usize) {
        for (index, bits) in words(at, len) {
            self.written[index].fetch_and(!bits, Ordering::Relaxed);
        }
    }

    /// The first of `len` bytes from `at` on that was never written.
    #[inline(always)]
    pub(super) fn unwritten(&self, at: usize, len: usize) -> Option<usize> {
        for (index, bits) in words(at, len) {
            let missing = bits & !self.written[index].load(Ordering::Relaxed);
            if missing != 0 {
                return Some(index * 64 + missing.trailing_zeros() as usize);
            }
        }
        None
    }

    /// Whether byte `at` was written, and how many bytes from there on, at most `len`, are the same in that.
    pub(super) fn run(&self, at: usize, len: usize) -> (bool, usize) {
        let word = |at: usize| self.written[at / 64].load(Ordering::Relaxed);
        let first = word(at) >> (at % 64) & 1 == 1;
        let mut end = at;
        while end < at + len {
            let same = word(end) ^ if first { 0 } else { u64::MAX };
            let run = (same >> (end % 64)).trailing_ones() as usize;
            end += run;
            if run == 0 || !end.is_multiple_of(64) {
                break;
            }
        }
        (first, end.min(at + len) - at)
    }

    /// Who touched the page that holds byte `at` in the launch `stamp`.
    #[inline(always)]
    pub(super) fn page(&self, at: usize, stamp: u64) -> MutexGuard<'_, Page> {
        self.shadow.get_or_init(|| Shadow::new(self.len)).page(at, stamp)
    }

    /// Bytes of the host that say which bytes were written, and who touched them.
    #[cfg(test)]
    pub(super) fn shadow_bytes(&self) -> usize {
        self.written.len() * 8 + self.shadow.get().map_or(0, Shadow::host_bytes)
    }
}

/// The words that hold the bits of `len` bytes from `at` on, each with its bits of them.
#[inline(always)]
fn words(at: usize, len: usize) -> impl Iterator<Item = (usize, u64)> {
    let end = at + len;
    (at / 64..end.div_ceil(64)).map(move |index| {
        let (first, past) = (at.max(index * 64), end.min(index * 64 + 64));
        let bits = u64::MAX >> (64 - (past - first)) << (first % 64);
        (index, bits)
    })
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: made by `new` with the same layout; `&mut self` means nobody uses it any more.
        unsafe { dealloc(self.bytes.as_ptr(), Self::layout(self.len)) };
    }
}
