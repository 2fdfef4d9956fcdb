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
