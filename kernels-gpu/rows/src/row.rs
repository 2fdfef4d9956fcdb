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

    /// True if window `i` starts at column `i * WINDOW`.
    #[inline(always)]
    pub fn is_aligned(&self) -> bool {
        self.shift == 0
    }

    /// One past the last whole window. Whole windows are `first_window()..end_window()`.
    #[inline(always)]
    pub fn end_window(&self) -> u64 {
        (self.shift as u64 + self.cols) / Self::WINDOW as u64
    }

    /// True if all of window `i` belongs to the row.
    #[inline(always)]
    pub fn is_whole(&self, i: u64) -> bool {
        // Window 0 of a shifted row begins before the row.
        i < self.end_window() && (i != 0 || self.is_aligned())
    }

    /// Column of the first element of window `i`, which is whole.
    #[inline(always)]
    pub fn window_col(&self, i: u64) -> u64 {
        i * Self::WINDOW as u64 - self.shift as u64
    }

    /// The bytes of window `i`.
    ///
    /// # Safety
    /// The window is whole; the row is readable and no thread of the kernel writes it.
    #[inline(always)]
    pub unsafe fn window(&self, i: u64) -> Window {
        // SAFETY: `addr - shift` is on a 16-byte boundary, and a whole window is inside the row.
        unsafe { ld_global_nc_v4_b32(self.addr - (self.shift * T::BYTES) as u64 + i * WINDOW_BYTES as u64) }
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
                for i in 0..row.end_window() + 3 {
                    if row.is_whole(i) {
                        for e in 0..Row::<T>::WINDOW as u64 {
                            seen[(row.window_col(i) + e) as usize] += 1;
                        }
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
    fn an_aligned_row_has_its_windows_where_its_columns_are() {
        let row = Row::<f32>::new(&Matrix { ptr: 256, rows: 2, cols: 9, row_stride: 12 }, 1);
        assert!(row.is_aligned() && row.is_whole(0) && row.is_whole(1) && !row.is_whole(2));
        assert_eq!((row.window_col(1), row.edge(1)), (4, Edge { col: 8, len: 1 }));
    }
}
