//! `pack_rows`: int8 with any row stride → rows one after the other, zero-padded to 128 bytes.

use crate::ROW_ALIGN;

/// x i8, element (i, j) at `i * row_stride + j` → `i8 [rows, padded]` with padded = cols rounded up to a
/// multiple of 128, zero from `cols` on. What lies between the rows of x is not looked at.
///
/// # Panics
/// If `row_stride` is less than `cols` or x ends before the last element.
pub fn pack_rows(x: &[i8], rows: usize, cols: usize, row_stride: usize) -> Vec<i8> {
    assert!(row_stride >= cols, "rows of {cols} codes do not fit {row_stride} apart");
    let mut packed = Vec::new();
    for row in 0..rows {
        for col in 0..cols.next_multiple_of(ROW_ALIGN) {
            packed.push(if col < cols { x[row * row_stride + col] } else { 0 });
        }
    }
    packed
}
