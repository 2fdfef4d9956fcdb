//! The shared-memory swizzle: which 16-byte chunk of a 128-byte row holds which 16 bytes of K.
//!
//! Rows of a tile lie 128 bytes apart, so that the same chunk of eight consecutive rows would fall on
//! the same four banks. XOR with the row number spreads those eight chunks over all 32 banks: every
//! 8-row phase of `ldmatrix` and every 8-lane phase of a 16-byte `cp.async` is free of conflicts.

/// Bytes of a row of a shared-memory tile.
pub const ROW_BYTES: u32 = 128;
/// Bytes of a chunk, the unit of the swizzle.
pub const CHUNK_BYTES: u32 = 16;
/// Chunks in a row.
pub const CHUNKS: u32 = ROW_BYTES / CHUNK_BYTES;

/// Byte offset, from the start of the tile, of 16-byte chunk `chunk` (0..8) of row `row`.
#[inline(always)]
pub const fn offset(row: u32, chunk: u32) -> u32 {
    row * ROW_BYTES + (chunk ^ (row % CHUNKS)) * CHUNK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_a_tile_are_permuted_within_their_row() {
        for row in 0..128 {
            let mut seen = 0u32;
            for chunk in 0..CHUNKS {
                let offset = offset(row, chunk);
                assert!(offset / ROW_BYTES == row && offset.is_multiple_of(CHUNK_BYTES));
                seen |= 1 << (offset % ROW_BYTES / CHUNK_BYTES);
            }
            assert_eq!(seen, (1 << CHUNKS) - 1);
        }
    }

    /// Eight lanes write the eight chunks of a row, or read the same chunk of eight rows: all 32 banks each time.
    #[test]
    fn phases_of_eight_use_every_bank() {
        let banks = |offsets: [u32; 8]| offsets.iter().fold(0u32, |banks, offset| banks | 0b1111 << (offset / 4 % 32));
        for first in 0..CHUNKS {
            assert_eq!(banks(core::array::from_fn(|i| offset(first, i as u32))), u32::MAX, "a copy of row {first}");
            assert_eq!(banks(core::array::from_fn(|i| offset(8 + i as u32, first))), u32::MAX, "column {first}");
        }
    }

    /// What the GEMM's inner loop relies on to step along K.
    #[test]
    fn stepping_by_chunks_is_the_same_xor_in_every_row() {
        for row in 0..64 {
            for (chunk, step) in (0..2).flat_map(|chunk| (0..4).map(move |step| (chunk, step))) {
                assert_eq!(offset(row, chunk + 2 * step), offset(row, chunk) ^ (step * 2 * CHUNK_BYTES));
            }
        }
    }
}
