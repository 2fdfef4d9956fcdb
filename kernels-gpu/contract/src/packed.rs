//! Where the weights' codes lie: packed once, ahead of time, as every product reads them.
//!
//! Rows of w go into panels of [`PANEL_ROWS`], and a panel is its k_blocks of 128 bytes one after the other. A k_block
//! of a panel, [`TILE_BYTES`] without a gap, is what a shared-memory tile of 64 rows is, swizzle included
//! ([`crate::swizzle`]): one bulk copy on Hopper, whole lines for the other copies, and a plain stream for who reads it
//! past shared memory. What is not in w is zero: rows up to whole panels, codes up to whole k_blocks.

use crate::limits::ROW_ALIGN_BYTES;
use crate::swizzle::{self, CHUNK_BYTES, ROW_BYTES};

/// Rows of a panel.
pub const PANEL_ROWS: u64 = 64;

/// Bytes of one k_block of a panel.
pub const TILE_BYTES: u64 = PANEL_ROWS * ROW_BYTES as u64;

/// Alignment of the first byte, so that rows are whole cache lines; a bulk copy needs 16.
pub const ALIGN_BYTES: u64 = 128;

/// Panels of `rows` rows.
#[inline(always)]
pub const fn panels(rows: u64) -> u64 {
    rows.div_ceil(PANEL_ROWS)
}

/// k_blocks of `cols` codes a row.
#[inline(always)]
pub const fn k_blocks(cols: u64) -> u64 {
    cols.div_ceil(ROW_ALIGN_BYTES)
}

/// Bytes of packed weights `[rows, cols]`.
#[inline(always)]
pub const fn bytes(rows: u64, cols: u64) -> u64 {
    panels(rows) * k_blocks(cols) * TILE_BYTES
}

/// Offset of k_block `k_block` of panel `panel`, where a row has `k_blocks` of them.
#[inline(always)]
pub const fn tile(panel: u64, k_block: u64, k_blocks: u64) -> u64 {
    (panel * k_blocks + k_block) * TILE_BYTES
}

/// Offset of code `col` of row `row`, where a row has `k_blocks` k_blocks.
#[inline(always)]
pub const fn offset(row: u64, col: u64, k_blocks: u64) -> u64 {
    let (chunk, byte) = ((col % ROW_ALIGN_BYTES) as u32 / CHUNK_BYTES, col % CHUNK_BYTES as u64);
    tile(row / PANEL_ROWS, col / ROW_ALIGN_BYTES, k_blocks)
        + swizzle::offset((row % PANEL_ROWS) as u32, chunk) as u64
        + byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_byte() {
        for (rows, cols) in [(1, 1), (64, 128), (65, 129), (130, 300)] {
            let k_blocks = k_blocks(cols);
            let mut seen = [false; 3 * 3 * TILE_BYTES as usize];
            let padded = (panels(rows) * PANEL_ROWS, k_blocks * ROW_ALIGN_BYTES);
            for (row, col) in (0..padded.0).flat_map(|row| (0..padded.1).map(move |col| (row, col))) {
                let at = offset(row, col, k_blocks);
                assert!(at < bytes(rows, cols) && !core::mem::replace(&mut seen[at as usize], true), "({row}, {col})");
            }
            assert_eq!(seen.iter().filter(|seen| **seen).count() as u64, bytes(rows, cols));
        }
    }

    #[test]
    fn a_k_block_of_a_panel_is_a_swizzled_tile() {
        for (row, chunk) in [(0, 0), (1, 0), (63, 7), (9, 3)] {
            let at = offset(64 * 2 + row, 128 + 16 * chunk, 5);
            assert_eq!(at, tile(2, 1, 5) + swizzle::offset(row as u32, chunk as u32) as u64);
        }
    }

    #[test]
    fn sizes_are_those_of_the_padded_matrix() {
        assert_eq!((bytes(0, 5), bytes(1, 1), bytes(64, 128), bytes(65, 129)), (0, 8192, 8192, 4 * 8192));
        assert_eq!(bytes(1 << 20, 1 << 14), 1 << 34);
    }
}
