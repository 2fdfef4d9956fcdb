//! Room for who touched which bytes of device memory, in two levels.
//!
//! A page of 4 KiB has two words for each 32-byte sector, one for its writers and one for its readers. Such a
//! word tells the usual case by itself: one instruction of a warp touched a run of the sector's bytes, lane after
//! lane. Where that is not enough it leads to a list of a few runs, or to a tag for each byte. What the words
//! mean is `exec::races`' business.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of one page.
pub(crate) const PAGE: usize = 1 << 12;
/// Bytes of one sector.
pub(crate) const SECTOR: usize = 32;
/// Runs that a list has room for.
pub(crate) const RUNS: usize = 4;

/// The words of one sector: of its writers, and of its readers.
pub(crate) type Words = [u64; 2];

/// What is known of one page. All of it is void in a launch other than that of `stamp`.
#[derive(Debug, Default)]
pub(crate) struct Page {
    stamp: u64,
    pub(crate) sectors: Box<[Words]>,
    pub(crate) lists: Slabs<[u64; RUNS]>,
    pub(crate) bytes: Slabs<[u32; SECTOR]>,
}

/// Records of one size, taken and given back.
#[derive(Debug)]
pub(crate) struct Slabs<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slabs<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slabs<T> {
    pub(crate) fn take(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.items[at as usize] = item;
                at
            }
            None => {
                // A quarter more at a time: doubling would leave half of the room unused.
                if self.items.len() == self.items.capacity() {
                    self.items.reserve_exact(self.items.len() / 4 + 4);
                }
                self.items.push(item);
                self.items.len() as u32 - 1
            }
        }
    }

    pub(crate) fn give_back(&mut self, at: u32) {
        self.free.push(at);
    }

    pub(crate) fn get(&self, at: u32) -> &T {
        &self.items[at as usize]
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.items[at as usize]
    }

    fn clear(&mut self) {
        self.items.clear();
        self.free.clear();
    }

    #[cfg(test)]
    fn host_bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>() + self.free.capacity() * 4
    }
}

impl Page {
    /// Makes it a page of `len` bytes of the launch `stamp`.
    #[inline(always)]
    fn open(&mut self, stamp: u64, len: usize) {
        if self.stamp != stamp {
            self.renew(stamp, len);
        }
    }

    #[cold]
    fn renew(&mut self, stamp: u64, len: usize) {
        self.stamp = stamp;
        if self.sectors.is_empty() {
            self.sectors = vec![[0; 2]; len.div_ceil(SECTOR)].into_boxed_slice();
        } else {
            self.sectors.fill([0; 2]);
        }
        self.lists.clear();
        self.bytes.clear();
    }
}

/// The pages of one chunk.
#[derive(Debug)]
pub(super) struct Shadow {
    pages: Box<[Mutex<Page>]>,
    len: usize,
}

impl Shadow {
    /// For a chunk of `len` bytes.
    pub(super) fn new(len: usize) -> Self {
        Self { pages: (0..len.div_ceil(PAGE)).map(|_| Mutex::default()).collect(), len }
    }

    /// The page that holds byte `at` of the chunk, for the launch `stamp`.
    #[inline(always)]
    pub(super) fn page(&self, at: usize, stamp: u64) -> MutexGuard<'_, Page> {
        // A worker that panicked has ended the launch: its half-made words are void for the next one.
        let mut page = self.pages[at / PAGE].lock().unwrap_or_else(PoisonError::into_inner);
        page.open(stamp, (self.len - at / PAGE * PAGE).min(PAGE));
        page
    }

    /// Bytes of the host.
    #[cfg(test)]
    pub(super) fn host_bytes(&self) -> usize {
        let page = |page: &Mutex<Page>| {
            let page = page.lock().unwrap_or_else(PoisonError::into_inner);
            size_of_val(&*page.sectors) + page.lists.host_bytes() + page.bytes.host_bytes()
        };
        size_of_val(&*self.pages) + self.pages.iter().map(page).sum::<usize>()
    }
}
