//! One row of a matrix as whole 16-byte windows plus two edges.
//!
//! Windows lie on 16-byte boundaries of memory, not of the row, so that a row of any alignment is read with 16-byte
//! loads. Only what sticks out before the first and after the last whole window, fewer than 16 bytes each, is read
//! element by element: nothing outside the row is ever touched.

use contract::args::Matrix;
use core::marker::PhantomData;
use cuda_std::memory::ld_global_nc_v4_b32;

use crate::element::Element;

/// Bytes of a window.
pub const WINDOW_BYTES: u32 = 16;

/// The sixteen bytes of a window.
pub type Window = [u32; 4];

/// Elements of a row outside its whole windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Column of the first element.
    pub col: u64,
    /// How many there are: fewer than a window has, possibly none.
    pub len: u32,
}

/// One row.
pub struct Row<T> {
    /// Address of element 0.
    addr: u64,
    cols: u64,
    /// Elements between the 16-byte boundary at or before element 0 and element 0.
    shift: u32,
    element: PhantomData<T>,
}

impl<T: Element> Row<T> {
    /// Elements of a window.
    pub const WINDOW: u32 = WINDOW_BYTES / T::BYTES;

    /// Row `row` of `x`.
    #[inline(always)]
    pub fn new(x: &Matrix, row: u64) -> Self {
        let addr = x.ptr + row * x.row_stride * T::BYTES as u64;
        Self { addr, cols: x.cols, shift: addr as u32 % WINDOW_BYTES / T::BYTES, element: PhantomData }
    }

    /// True if windows start at columns that are multiples of their length.
    #[inline(always)]
    pub fn is_aligned(&self) -> bool {
        self.shift == 0
    }

    /// One past the last whole window, counted from the 16-byte boundary at or before element 0.
    #[inline(always)]
    fn end_window(&self) -> u64 {
        (self.shift as u64 + self.cols) / Self::WINDOW as u64
    }

    /// The whole windows from number `first` on, every `threads`-th: those that one of several threads takes.
    #[inline(always)]
    pub fn share(&self, first: u64, threads: u32) -> Share<T> {
        let windows = self.end_window().saturating_sub(first).min(u32::MAX as u64);
        Share {
            addr: self.addr - (self.shift * T::BYTES) as u64 + first * WINDOW_BYTES as u64,
            col: (first * Self::WINDOW as u64).wrapping_sub(self.shift as u64),
            // At least 1 it is anyway; without this the division could panic.
            len: (windows as u32).div_ceil(threads.max(1)),
            threads,
            begins_outside: first == 0 && !self.is_aligned(),
            element: PhantomData,
        }
    }

    /// What thread `rank` of those that share the row has outside the whole windows: thread 0 the beginning,
    /// thread 1 the end, the others nothing.
    #[inline(always)]
    pub fn edge(&self, rank: u64) -> Edge {
        let head = if self.is_aligned() { 0 } else { self.cols.min((Self::WINDOW - self.shift) as u64) };
        let end = self.end_window();
        let tail = if end == 0 { head } else { end * Self::WINDOW as u64 - self.shift as u64 };
        match rank {
            0 => Edge { col: 0, len: head as u32 },
            1 => Edge { col: tail, len: (self.cols - tail) as u32 },
            _ => Edge { col: 0, len: 0 },
        }
    }

    /// True if the row has elements outside its whole windows.
    #[inline(always)]
    pub fn has_ends(&self) -> bool {
        !self.is_aligned() || !self.cols.is_multiple_of(Self::WINDOW as u64)
    }

    /// The column of the element that thread `rank` has outside the whole windows, if any: before the first (`end` 0)
    /// or after the last (`end` 1). An element each is enough, if there are as many threads as a window has elements.
    #[inline(always)]
    pub fn end(&self, end: u64, rank: u32) -> Option<u64> {
        let edge = self.edge(end);
        (rank < edge.len).then_some(edge.col + rank as u64)
    }

    /// The bits of the element in column `col`, the upper ones zero.
    ///
    /// # Safety
    /// There is that column; the row is readable and no thread of the kernel writes it.
    #[inline(always)]
    pub unsafe fn load(&self, col: u64) -> u32 {
        // SAFETY: the caller's.
        unsafe { T::load(self.addr + col * T::BYTES as u64) }
    }

    /// The elements of an edge, in the first places of a window; zeros follow.
    ///
    /// # Safety
    /// `edge` is of this row; the row is readable and no thread of the kernel writes it.
    #[inline(always)]
    pub unsafe fn load_edge(&self, edge: Edge) -> Window {
        let mut window = [0; 4];
        let per_word = 4 / T::BYTES;
        for e in 0..Self::WINDOW - 1 {
            if e < edge.len {
                // SAFETY: element `edge.col + e` is inside the row.
                let bits = unsafe { T::load(self.addr + (edge.col + e as u64) * T::BYTES as u64) };
                window[(e / per_word) as usize] |= bits << (8 * T::BYTES * (e % per_word));
            }
        }
        window
    }
}

/// Some of a row's whole windows, those that one of several threads takes, and a place among them.
///
/// The place moves by one addition, and whether a window is there is one comparison with a constant: the fewest
/// registers and instructions for a thread that holds many of them.
#[derive(Clone, Copy)]
pub struct Share<T> {
    /// Address of the window at this place.
    addr: u64,
    /// Column of its first element; wraps where it begins outside the row.
    col: u64,
    /// Windows of the share.
    len: u32,
    /// Windows of the row from one of the share to the next.
    threads: u32,
    /// Window 0 of a row that is not aligned begins before the row, so it is not whole.
    begins_outside: bool,
    element: PhantomData<T>,
}

impl<T: Element> Share<T> {
    /// True if window `step`, counted from the first of the share, is there and whole.
    #[inline(always)]
    pub fn has(&self, step: u32) -> bool {
        step < self.len && !(step == 0 && self.begins_outside)
    }

    /// Column of the first element of the window at this place, if there is one.
    #[inline(always)]
    pub fn col(&self) -> u64 {
        self.col
    }

    /// The bytes of the window at this place.
    ///
    /// # Safety
    /// There is that window; the row is readable and no thread of the kernel writes it.
    #[inline(always)]
    pub unsafe fn load(&self) -> Window {
        // SAFETY: windows are on 16-byte boundaries, and a whole one is inside the row.
        unsafe { ld_global_nc_v4_b32(self.addr) }
    }

    /// The place of the window after this one.
    #[inline(always)]
    pub fn next(self) -> Share<T> {
        Share {
            addr: self.addr + self.threads as u64 * WINDOW_BYTES as u64,
            col: self.col.wrapping_add(self.threads as u64 * Row::<T>::WINDOW as u64),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::F16;

    /// Every element of a row lies in exactly one whole window or edge, whatever the alignment.
    fn covers_once<T: Element>() {
        for misaligned in 0..Row::<T>::WINDOW as u64 {
            for cols in 1..100u64 {
                let x = Matrix { ptr: 4096 + misaligned * T::BYTES as u64, rows: 1, cols, row_stride: cols };
                let row = Row::<T>::new(&x, 0);
                let mut seen = [0u8; 100];
                for rank in 0..8 {
                    let mut share = row.share(rank, 8);
                    for step in 0..20 {
                        for e in (0..Row::<T>::WINDOW as u64).filter(|_| share.has(step)) {
                            seen[(share.col() + e) as usize] += 1;
                        }
                        share = share.next();
                    }
                }
                for rank in 0..32 {
                    let edge = row.edge(rank);
                    assert!(edge.len < Row::<T>::WINDOW, "load_edge reads no more");
                    for e in 0..edge.len as u64 {
                        seen[(edge.col + e) as usize] += 1;
                    }
                }
                assert!(seen[..cols as usize].iter().all(|&n| n == 1), "shift {misaligned}, {cols} columns");
                assert!(seen[cols as usize..].iter().all(|&n| n == 0), "shift {misaligned}, {cols} columns");
            }
        }
    }

    #[test]
    fn windows_and_edges_cover_a_row_once() {
        covers_once::<f32>();
        covers_once::<F16>();
        covers_once::<i8>();
    }

    #[test]
    fn windows_lie_on_16_byte_boundaries() {
        for misaligned in 0..4u64 {
            let x = Matrix { ptr: 4096 + 4 * misaligned, rows: 3, cols: 50, row_stride: 51 };
            for row_idx in 0..3 {
                let share = Row::<f32>::new(&x, row_idx).share(1, 2);
                assert!(share.addr.is_multiple_of(16));
                assert_eq!(share.addr, x.ptr + 4 * (51 * row_idx + share.col()), "address and column agree");
            }
        }
    }
}
