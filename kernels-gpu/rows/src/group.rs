//! The threads that share a row, and the maximum over them.

use contract::grid::THREADS;
use cuda_std::memory::{ld_shared_b32, st_shared_b32};
use cuda_std::sync::sync_threads;
use cuda_std::thread::{block_idx_x, grid_dim_x, thread_idx_x};
use cuda_std::warp::{FULL_MASK, WARP_SIZE, lane_id, shfl_sync_bfly_b32};

/// Warps of a block.
pub(crate) const WARPS: u32 = THREADS / WARP_SIZE;

/// Words of shared memory that a [`Block`] needs: the maxima of its warps, twice, as rounds alternate.
pub const BLOCK_MAXIMA: usize = 2 * WARPS as usize;

/// Threads that share a row. Groups are numbered through the grid.
pub trait Group {
    /// How many threads.
    const SIZE: u32;

    /// Index of the thread in its group.
    fn rank() -> u32;

    /// Index of the group in the grid.
    fn index() -> u64;

    /// Groups of the grid.
    fn count() -> u64;

    /// The greatest of the threads' values, in every thread.
    ///
    /// # Safety
    /// All threads of the group call it together.
    unsafe fn max(&mut self, value: u32) -> u32;
}

/// The maximum over the first `lanes` (a power of two) lanes, in all of them, by a butterfly.
///
/// # Safety
/// All 32 lanes call it together.
#[inline(always)]
unsafe fn warp_max(value: u32, lanes: u32) -> u32 {
    let mut max = value;
    let mut distance = lanes / 2;
    while distance > 0 {
        // SAFETY: all lanes are here.
        max = max.max(unsafe { shfl_sync_bfly_b32(FULL_MASK, max, distance) });
        distance /= 2;
    }
    max
}

/// The sum over the lanes, wrapping, in all of them, by a butterfly: 5 `shfl.sync`.
///
/// # Safety
/// All 32 lanes call it together.
#[inline(always)]
pub unsafe fn warp_sum(value: i32) -> i32 {
    let mut sum = value;
    let mut distance = WARP_SIZE / 2;
    while distance > 0 {
        // SAFETY: all lanes are here.
        sum = sum.wrapping_add(unsafe { shfl_sync_bfly_b32(FULL_MASK, sum as u32, distance) } as i32);
        distance /= 2;
    }
    sum
}

/// A warp. Collectives of `max`: 5 `shfl.sync`.
pub struct Warp;

impl Group for Warp {
    const SIZE: u32 = WARP_SIZE;

    #[inline(always)]
    fn rank() -> u32 {
        lane_id()
    }

    #[inline(always)]
    fn index() -> u64 {
        block_idx_x() as u64 * WARPS as u64 + (thread_idx_x() / WARP_SIZE) as u64
    }

    #[inline(always)]
    fn count() -> u64 {
        grid_dim_x() as u64 * WARPS as u64
    }

    #[inline(always)]
    unsafe fn max(&mut self, value: u32) -> u32 {
        // SAFETY: the caller's.
        unsafe { warp_max(value, WARP_SIZE) }
    }
}

/// A block of [`THREADS`] threads. Collectives of `max`: 8 `shfl.sync`, 1 `bar.sync`.
pub struct Block {
    /// Shared address of [`BLOCK_MAXIMA`] words.
    maxima: u32,
    /// Which half of them the next round uses: 0 or 1.
    round: u32,
}

impl Block {
    /// The block of the calling thread.
    ///
    /// # Safety
    /// `maxima` is the shared address of [`BLOCK_MAXIMA`] words that nothing else uses; the block has [`THREADS`]
    /// threads.
    #[inline(always)]
    pub unsafe fn new(maxima: u32) -> Self {
        Self { maxima, round: 0 }
    }
}

impl Group for Block {
    const SIZE: u32 = THREADS;

    #[inline(always)]
    fn rank() -> u32 {
        thread_idx_x()
    }

    #[inline(always)]
    fn index() -> u64 {
        block_idx_x() as u64
    }

    #[inline(always)]
    fn count() -> u64 {
        grid_dim_x() as u64
    }

    /// One barrier a round is enough, as rounds alternate between two halves: a warp that writes a half again, two
    /// rounds later, has passed the barrier of the round between, which no warp reaches before it has read the half.
    #[inline(always)]
    unsafe fn max(&mut self, value: u32) -> u32 {
        let half = self.maxima + 4 * WARPS * self.round;
        self.round ^= 1;
        // SAFETY: all threads of the block are here; the half is free as argued above.
        unsafe {
            let max = warp_max(value, WARP_SIZE);
            if lane_id() == 0 {
                st_shared_b32(half + 4 * (thread_idx_x() / WARP_SIZE), max);
            }
            sync_threads();
            // Every eight lanes hold the eight maxima and find the same greatest one.
            warp_max(ld_shared_b32(half + 4 * (lane_id() % WARPS)), WARPS)
        }
    }
}
