//! Copies of tiles from global into shared memory, 16 bytes at a time.
//!
//! Eight neighbouring lanes copy the 128 bytes of a row: whole cache lines from global memory, and through the
//! swizzle 32 different banks of shared memory. A thread copies the same chunk of every [`row_step`]-th row; that is a
//! multiple of 16, so that all its rows have the same swizzle.

use contract::args::{Codes, Packed};
use contract::fragment::w_row;
use contract::packed::{self, PANEL_ROWS, TILE_BYTES};
use contract::swizzle::{self, CHUNK_BYTES, CHUNKS, ROW_BYTES};
use core::marker::PhantomData;
use cuda_std::cp_async::cp_async_cg_shared_global_16;

use crate::main_loop::KRange;
use crate::tile_walk::Config;

/// Rows of a tile that the block copies at a time.
const fn row_step<C: Config>() -> u32 {
    C::TILE.threads() / CHUNKS
}

/// One thread's copies of tiles of x, whose rows lie one after the other.
pub(crate) struct TokenLoader<C> {
    /// Global address of the thread's first chunk in the k_block to come.
    src: u64,
    /// Bytes from one of the thread's rows to the next.
    src_step: u64,
    /// Offset of the first chunk in the tile in shared memory.
    dst: u32,
    /// How many of the thread's rows exist. Rows past the matrix are filled with zeros.
    rows: u32,
    /// How many k_blocks of the range have a code in the thread's chunk.
    k_blocks: u32,
    config: PhantomData<C>,
}

impl<C: Config> TokenLoader<C> {
    /// The copies of thread `thread` for the tile of `codes` from row `first_row` on, in `range` along K.
    #[inline(always)]
    pub(crate) fn new(codes: &Codes, first_row: u64, range: KRange, thread: u32) -> Self {
        let (slot, chunk) = (thread / CHUNKS, thread % CHUNKS);
        let row = first_row + slot as u64;
        let first = range.first * ROW_BYTES as u64 + (chunk * CHUNK_BYTES) as u64;
        Self {
            src: codes.ptr + row * codes.row_bytes + first,
            // Rows from elsewhere may end with their last chunk.
            k_blocks: codes.cols.saturating_sub(first).div_ceil(ROW_BYTES as u64).min(range.count as u64) as u32,
            src_step: row_step::<C>() as u64 * codes.row_bytes,
            dst: swizzle::offset(slot, chunk),
            // No tile has that many rows: the bound only makes the number fit.
            rows: codes.rows.saturating_sub(row).div_ceil(row_step::<C>() as u64).min(1 << 16) as u32,
            config: PhantomData,
        }
    }

    /// Issues the copies of the range's k_block `k_block`, which comes after the one before, into the tile at shared
    /// address `tile`; zeros where there is none.
    ///
    /// # Safety
    /// The codes are readable and not written meanwhile; the tile is inside the block's shared memory and nobody
    /// touches it until the copies are waited for.
    #[inline(always)]
    pub(crate) unsafe fn issue(&mut self, tile: u32, k_block: u32) {
        // Known in the round only, so that the comparisons are made where they are used: a branch around the copies
        // would keep their predicates through the loop, and to pack and unpack them takes 24 instructions a round
        // (ptxas 13.0.88, sm_80, t128x128).
        let rows = if k_block < self.k_blocks { self.rows } else { 0 };
        for copy in 0..C::TILE.x_copies() {
            let src = self.src + copy as u64 * self.src_step;
            let dst = tile + self.dst + copy * row_step::<C>() * ROW_BYTES;
            let bytes = if copy < rows { CHUNK_BYTES } else { 0 };
            // SAFETY: the caller's; no byte is read of a row that does not exist, nor of a chunk without a code.
            unsafe { cp_async_cg_shared_global_16(dst, src, bytes) };
        }
        self.src += ROW_BYTES as u64;
    }
}

/// One thread's copies of tiles of w, which lie packed: the rows are dealt out on the way, as `w_row` says.
pub(crate) struct WeightLoader<C> {
    /// Global address of the thread's first chunk in the k_block to come.
    src: u64,
    /// Bytes from one panel to the next.
    panel_bytes: u64,
    /// Offset of the first chunk in the tile in shared memory.
    dst: u32,
    /// How many panels of the tile exist. The others are filled with zeros.
    panels: u32,
    config: PhantomData<C>,
}

impl<C: Config> WeightLoader<C> {
    /// The copies of thread `thread` for the tile of `codes` from row `first_row` on, the first of a panel, and from
    /// k_block `first_k_block` on.
    #[inline(always)]
    pub(crate) fn new(codes: &Packed, first_row: u64, first_k_block: u64, thread: u32) -> Self {
        let (slot, chunk) = (thread / CHUNKS, thread % CHUNKS);
        let (k_blocks, panel) = (packed::k_blocks(codes.cols), first_row / PANEL_ROWS);
        Self {
            src: codes.ptr + packed::tile(panel, first_k_block, k_blocks) + swizzle::offset(w_row(slot), chunk) as u64,
            panel_bytes: k_blocks * TILE_BYTES,
            dst: swizzle::offset(slot, chunk),
            panels: packed::panels(codes.rows).saturating_sub(panel).min(1 << 16) as u32,
            config: PhantomData,
        }
    }

    /// As [`TokenLoader::issue`].
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn issue(&mut self, tile: u32, there_is_one: bool) {
        let panels = if there_is_one { self.panels } else { 0 };
        for copy in 0..C::TILE.w_copies() {
            let row = copy * row_step::<C>();
            let (panel, row_in_panel) = (row / PANEL_ROWS as u32, row % PANEL_ROWS as u32);
            let src = self.src + panel as u64 * self.panel_bytes + (row_in_panel * ROW_BYTES) as u64;
            let bytes = if panel < panels { CHUNK_BYTES } else { 0 };
            // SAFETY: the caller's; no byte is read of a panel that does not exist.
            unsafe { cp_async_cg_shared_global_16(tile + self.dst + row * ROW_BYTES, src, bytes) };
        }
        self.src += TILE_BYTES;
    }
}
