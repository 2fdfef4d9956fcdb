//! From registers to y: a warp's sixteen rows, 128 bytes of each at a time, through a swizzled box of shared memory.
//!
//! TMA takes a box away while the next is written. Where y does not begin or go on at multiples of 16 bytes, the warp
//! copies the box itself, one element a lane side by side.

use contract::args::Matrix;
use contract::hopper_tile::{Y_BOX_BYTES, Y_BOX_ROWS, Y_BOXES};
use contract::swizzle::{self, CHUNK_BYTES};
use cuda_std::bulk::{
    cp_async_bulk_commit_group, cp_async_bulk_tensor_2d_global_shared, cp_async_bulk_wait_group_read,
    fence_proxy_async_shared_cta,
};
use cuda_std::math::opaque_b64;
use cuda_std::memory::{ld_shared_b16, ld_shared_b32, st_shared_v2_b32};
use cuda_std::stmatrix::stmatrix_sync_aligned_m8n8_x4_shared_b16;
use cuda_std::sync::sync_warp;
use cuda_std::warp::{FULL_MASK, WARP_SIZE, lane_id};
use product::Output;

use crate::tiles::Origin;

/// Bytes of a box.
const BOX_BYTES: u32 = Y_BOX_ROWS * Y_BOX_BYTES;

/// A warp's boxes of y.
pub(crate) struct Staging<'a> {
    y: &'a Matrix,
    /// The tensor map of y; 0 where TMA cannot take it.
    map: u64,
    /// Shared address of the box to be written next, and of the one after it.
    boxes: [u32; Y_BOXES as usize],
}

impl<'a> Staging<'a> {
    /// The boxes at shared address `first`.
    #[inline(always)]
    pub(crate) fn new(y: &'a Matrix, map: u64, first: u32) -> Self {
        Self { y, map, boxes: [first, first + BOX_BYTES] }
    }

    /// Columns of a box.
    pub(crate) const fn cols<O: Output>() -> u32 {
        Y_BOX_BYTES / O::BYTES
    }

    /// Stores the outputs of a box at `at`, as far as they are in y. `bits(j)` are those of columns 8·j to 8·j + 7 as a lane
    /// accumulates them: for its row and the eighth after it, two columns side by side.
    ///
    /// # Safety
    /// All lanes of the warp call it together; `y` is live, and no other warp stores there.
    #[inline(always)]
    pub(crate) unsafe fn store<O: Output>(&mut self, at: Origin, bits: impl Fn(u32) -> [[u32; 2]; 2]) {
        let [here, next] = self.boxes;
        self.boxes = [next, here];
        // SAFETY: the box's last store has read it; who writes it fences, and the warp meets before it is sent.
        unsafe {
            // Of all stores of the lane that sends them, the newest may still read the other box.
            cp_async_bulk_wait_group_read::<{ Y_BOXES - 1 }>();
            sync_warp(FULL_MASK);
            if O::BYTES == 2 {
                write_16(here, bits)
            } else {
                write_32(here, bits)
            }
            fence_proxy_async_shared_cta();
            sync_warp(FULL_MASK);
            if self.map == 0 {
                self.copy::<O>(here, at);
            } else if lane_id() == 0 {
                cp_async_bulk_tensor_2d_global_shared(self.map, at.col as i32, at.row as i32, here);
                cp_async_bulk_commit_group();
            }
        }
    }

    /// Waits until TMA has read all boxes: before that the block must not exit.
    ///
    /// # Safety
    /// None beyond that of the stores.
    #[inline(always)]
    pub(crate) unsafe fn finish(&self) {
        // SAFETY: waits for the caller's own stores.
        unsafe { cp_async_bulk_wait_group_read::<0>() };
    }

    /// Copies a box to y.
    ///
    /// # Safety
    /// As [`Self::store`]; the box is written and visible.
    #[inline(always)]
    unsafe fn copy<O: Output>(&self, from: u32, at: Origin) {
        let rows = self.y.rows.saturating_sub(at.row).min(Y_BOX_ROWS as u64);
        let mut row = 0;
        while row < rows {
            for i in 0..Self::cols::<O>() / WARP_SIZE {
                let col = lane_id() + i * WARP_SIZE;
                let byte = col * O::BYTES;
                let src = from + swizzle::offset(row as u32, byte / CHUNK_BYTES) + byte % CHUNK_BYTES;
                let to = at.col + col as u64;
                if to < self.y.cols {
                    let dst = self.y.ptr + ((at.row + row) * self.y.row_stride + to) * O::BYTES as u64;
                    // SAFETY: the element is in the box, and in y.
                    unsafe {
                        O::store(dst, if O::BYTES == 2 { ld_shared_b16(src) as u32 } else { ld_shared_b32(src) })
                    };
                }
            }
            // One copy of the loop for each box is enough.
            row = opaque_b64(row + 1);
        }
    }
}

/// Writes a box of 16-bit outputs: 64 columns, eight groups of eight.
///
/// # Safety
/// As [`Staging::store`].
#[inline(always)]
unsafe fn write_16(to: u32, bits: impl Fn(u32) -> [[u32; 2]; 2]) {
    let lane = lane_id();
    // Matrices in the order of the registers below: rows and the eighth after them, of one group and of the next.
    let (row, chunk) = (lane % 16, lane / 16);
    for pair in 0..4 {
        let [[a, b], [c, d]] = bits(2 * pair);
        let [[e, f], [g, h]] = bits(2 * pair + 1);
        let word = |low: u32, high: u32| low | high << 16;
        // SAFETY: eight rows of one chunk each time, which the swizzle spreads over all banks.
        unsafe {
            stmatrix_sync_aligned_m8n8_x4_shared_b16(
                to + swizzle::offset(row, chunk + 2 * pair),
                [word(a, b), word(c, d), word(e, f), word(g, h)],
            );
        }
    }
}

/// Writes a box of 32-bit outputs: 32 columns, four groups of eight.
///
/// Sixteen lanes store at once, four rows of two chunks. In one order for all, the swizzle puts the chunks of rows 2·r and
/// 2·r + 1 on the same banks, as it exchanges neighbours within a pair of chunks: odd rows take the groups in another order.
///
/// # Safety
/// As [`Staging::store`].
#[inline(always)]
unsafe fn write_32(to: u32, bits: impl Fn(u32) -> [[u32; 2]; 2]) {
    let lane = lane_id();
    let odd = lane / 4 % 2 == 1;
    let other = if odd { 2 } else { 0 };
    for first in 0..2 {
        let (low, high) = (bits(first), bits(first + 2));
        for half in 0..2 {
            let (now, then) = if odd { (high[half], low[half]) } else { (low[half], high[half]) };
            let row = lane / 4 + 8 * half as u32;
            let at = |group: u32| to + swizzle::offset(row, 2 * group + lane % 4 / 2) + 8 * (lane % 2);
            // SAFETY: inside the box.
            unsafe {
                st_shared_v2_b32(at(first + other), now);
                st_shared_v2_b32(at(first + 2 - other), then);
            }
        }
    }
}
