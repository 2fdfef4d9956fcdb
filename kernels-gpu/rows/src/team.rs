//! The threads that share a row where it is known only at the launch how many they are.

use cuda_std::memory::{ld_shared_b32, st_shared_b32};
use cuda_std::sync::sync_threads;
use cuda_std::thread::{block_dim_x, block_dim_y, block_idx_x, grid_dim_x, thread_idx_x, thread_idx_y};
use cuda_std::warp::{FULL_MASK, WARP_SIZE, lane_id, shfl_sync_bfly_b32};

use crate::group::WARPS;

/// The threads of a block with one `%tid.y`: `%ntid.x` of them, a power of two of at least
/// [`contract::grid::LEAST_TEAM`]. All threads of a block go through its collectives together, also those whose row
/// does not exist. Collectives of `max`: 8 `shfl.sync`, 1 `bar.sync`.
pub struct Team {
    /// Shared address of [`crate::BLOCK_MAXIMA`] words.
    maxima: u32,
    /// Which half of them the next round uses: 0 or 1.
    round: u32,
}

impl Team {
    /// The team of the calling thread.
    ///
    /// # Safety
    /// `maxima` is the shared address of [`crate::BLOCK_MAXIMA`] words that nothing else uses; the block has
    /// [`contract::grid::THREADS`] threads, `%ntid.x` of which are a power of two of at least
    /// [`contract::grid::LEAST_TEAM`].
    #[inline(always)]
    pub unsafe fn new(maxima: u32) -> Self {
        Self { maxima, round: 0 }
    }

    /// How many threads, as a power of two that the compiler knows for one: it divides by shifting.
    #[inline(always)]
    pub fn threads(&self) -> u32 {
        1 << block_dim_x().trailing_zeros()
    }

    /// Index of the thread in its team.
    #[inline(always)]
    pub fn rank(&self) -> u32 {
        thread_idx_x()
    }

    /// Index of the team in its block.
    #[inline(always)]
    pub fn place(&self) -> u32 {
        thread_idx_y()
    }

    /// Index in the grid of the block's first team.
    #[inline(always)]
    pub fn first(&self) -> u64 {
        block_idx_x() as u64 * block_dim_y() as u64
    }

    /// Teams of the grid.
    #[inline(always)]
    pub fn count(&self) -> u64 {
        grid_dim_x() as u64 * block_dim_y() as u64
    }

    /// The greatest of the threads' values, in every thread: by butterflies in warps, then over the warps' maxima.
    ///
    /// One barrier a round is enough, as in [`crate::Block`].
    ///
    /// # Safety
    /// All threads of the block call it together.
    #[inline(always)]
    pub unsafe fn max(&mut self, value: u32) -> u32 {
        let threads = self.threads();
        // SAFETY: all lanes are here: how many share a row is the same in the whole grid. The half is free as argued.
        unsafe {
            let mut max = value;
            if threads > 16 {
                max = exchange(max, 16);
            }
            if threads > 8 {
                max = exchange(max, 8);
            }
            max = exchange(exchange(exchange(max, 4), 2), 1);
            if threads > WARP_SIZE {
                let half = self.maxima + 4 * WARPS * self.round;
                self.round ^= 1;
                let warps = 1 << (block_dim_x() / WARP_SIZE).trailing_zeros();
                let warp = thread_idx_y() * warps + thread_idx_x() / WARP_SIZE;
                if lane_id() == 0 {
                    st_shared_b32(half + 4 * warp, max);
                }
                sync_threads();
                // Lanes hold the maxima of the team's warps in turns.
                max = ld_shared_b32(half + 4 * (thread_idx_y() * warps + lane_id() % warps));
                if warps > 4 {
                    max = exchange(max, 4);
                }
                if warps > 2 {
                    max = exchange(max, 2);
                }
                max = exchange(max, 1);
            }
            max
        }
    }
}

/// The greater of the value and that of the lane so far away.
///
/// # Safety
/// All 32 lanes call it together.
#[inline(always)]
unsafe fn exchange(value: u32, distance: u32) -> u32 {
    // SAFETY: all lanes are here.
    value.max(unsafe { shfl_sync_bfly_b32(FULL_MASK, value, distance) })
}
