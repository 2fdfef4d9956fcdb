//! Copies of tiles from global into shared memory, 16 bytes at a time.

use contract::args::Codes;
use contract::swizzle::{self, CHUNK_BYTES, CHUNKS, ROW_BYTES};
use core::marker::PhantomData;
use cuda_std::cp_async::cp_async_cg_shared_global_16;

use crate::tile_walk::Config;

/// One thread's copies of the tiles of one operand: the same chunk of every [`Self::ROW_STEP`]-th row.
///
/// Eight neighbouring lanes copy the 128 bytes of a row: whole cache lines from global memory, and through the
/// swizzle 32 different banks of shared memory.
pub(crate) struct TileLoader<C> {
    /// Global address of the thread's first chunk in the k_block to come.
    src: u64,
    /// Bytes from one of the thread's rows to the next.
    src_step: u64,
    /// Offset of the first chunk in the tile in shared memory.
    dst: u32,
    /// How many of the thread's rows exist. Rows past the matrix are filled with zeros.
    rows: u32,
    config: PhantomData<C>,
}

impl<C: Config> TileLoader<C> {
    /// Rows of the tile that the block copies at a time.
    const ROW_STEP: u32 = C::TILE.threads() / CHUNKS;

    /// The copies of thread `thread` for the tile of `codes` from row `first_row` on. Row `slot` of the tile in
    /// shared memory is its row `row_of_slot(slot)`; the map repeats every `ROW_STEP` rows.
    #[inline(always)]
    pub(crate) fn new(codes: &Codes, first_row: u64, thread: u32, row_of_slot: impl Fn(u32) -> u32) -> Self {
        let (slot, chunk) = (thread / CHUNKS, thread % CHUNKS);
        let row = first_row + row_of_slot(slot) as u64;
        Self {
            src: codes.ptr + row * codes.row_bytes + (chunk * CHUNK_BYTES) as u64,
            src_step: Self::ROW_STEP as u64 * codes.row_bytes,
            dst: swizzle::offset(slot, chunk),
            // No tile has that many rows: the bound only makes the number fit.
            rows: codes.rows.saturating_sub(row).div_ceil(Self::ROW_STEP as u64).min(1 << 16) as u32,
            config: PhantomData,
        }
    }

    /// Issues the `copies` copies of the next k_block into the tile at shared address `tile`.
    ///
    /// # Safety
    /// The codes are readable and not written meanwhile; the tile is inside the block's shared memory and nobody
    /// touches it until the copies are waited for.
    #[inline(always)]
    pub(crate) unsafe fn issue(&mut self, tile: u32, copies: u32) {
        for copy in 0..copies {
            let src = self.src + copy as u64 * self.src_step;
            // ROW_STEP is a multiple of 8, so that all of the thread's rows have the same swizzle.
            let dst = tile + self.dst + copy * Self::ROW_STEP * ROW_BYTES;
            let bytes = if copy < self.rows { CHUNK_BYTES } else { 0 };
            // SAFETY: the caller's; no byte is read of a row that does not exist.
            unsafe { cp_async_cg_shared_global_16(dst, src, bytes) };
        }
        self.src += ROW_BYTES as u64;
    }
}
