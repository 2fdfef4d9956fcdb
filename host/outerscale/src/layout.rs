//! Where the elements of a device matrix lie in its memory.

use crate::{Error, Result};

/// A row-major matrix inside an allocation: element (i, j) is `offset + i * row_stride + j` elements from
/// the start. Allocations are aligned to 256 bytes, so `offset` is the way to any element alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of rows.
    pub rows: u64,
    /// Number of columns.
    pub cols: u64,
    /// Elements from one row to the next, at least `cols`.
    pub row_stride: u64,
    /// Elements before element (0, 0).
    pub offset: u64,
}

impl Layout {
    /// Rows without gaps, from the start of the memory.
    pub const fn contiguous(rows: u64, cols: u64) -> Layout {
        Layout { rows, cols, row_stride: cols, offset: 0 }
    }

    /// The same matrix with rows `row_stride` elements apart.
    pub const fn with_row_stride(self, row_stride: u64) -> Layout {
        Layout { row_stride, ..self }
    }

    /// The same matrix, `offset` elements into its memory.
    pub const fn with_offset(self, offset: u64) -> Layout {
        Layout { offset, ..self }
    }

    /// Number of elements of the matrix.
    pub const fn len(&self) -> u64 {
        self.rows * self.cols
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements from the start of the memory to the end of the last row: an allocation holds just these.
    pub const fn span(&self) -> u64 {
        if self.is_empty() { self.offset } else { self.offset + (self.rows - 1) * self.row_stride + self.cols }
    }

    /// The ranges of the memory that the rows take, in elements.
    pub fn row_ranges(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        (0..self.rows).map(move |row| {
            let start = (self.offset + row * self.row_stride) as usize;
            start..start + self.cols as usize
        })
    }

    /// Refuses rows that overlap and sizes past the address space.
    pub(crate) fn check(&self, argument: &'static str, element_bytes: u64) -> Result<()> {
        let refuse = |rule: String| Err(Error::argument("layout", argument, rule));
        if self.row_stride < self.cols {
            return refuse(format!(
                "row_stride must be at least the {} columns of a row, got {}",
                self.cols, self.row_stride
            ));
        }
        let elements = self.rows.checked_mul(self.row_stride).and_then(|n| n.checked_add(self.offset));
        // A quarter of the address space leaves room for every sum that is made of it later.
        match elements.and_then(|n| n.checked_mul(element_bytes)) {
            Some(bytes) if bytes < 1 << 62 => Ok(()),
            _ => refuse(format!("{self:?} does not fit the address space")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_ends_with_the_last_element() {
        assert_eq!(Layout::contiguous(3, 5).span(), 15);
        assert_eq!(Layout::contiguous(3, 5).with_row_stride(8).with_offset(2).span(), 2 + 8 + 8 + 5);
        assert_eq!(Layout::contiguous(0, 5).with_offset(1).span(), 1);
        let rows: Vec<_> = Layout::contiguous(2, 3).with_row_stride(4).with_offset(1).row_ranges().collect();
        assert_eq!(rows, [1..4, 5..8]);
    }

    #[test]
    fn overlapping_rows_are_refused() {
        let error = Layout::contiguous(2, 5).with_row_stride(4).check("x", 4).unwrap_err();
        assert_eq!(error.to_string(), "layout: x: row_stride must be at least the 5 columns of a row, got 4");
        assert!(Layout::contiguous(u64::MAX, 2).check("x", 4).is_err());
        assert!(Layout::contiguous(0, 0).check("x", 4).is_ok());
    }
}
