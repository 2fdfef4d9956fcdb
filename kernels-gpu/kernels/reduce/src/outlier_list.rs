//! `outlier_list`: the masks of the chunks → one mask, the outlier columns in ascending order, and how many.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `outlier_list` | `OutlierListArgs` | 256 threads, a thread a word of 32 columns | 64 static | 1 barrier, 5 shuffles each 8,192 columns |
//!
//! There is room for every column, so nothing has to be known on the host before the list is used: the count stays
//! on the device. Block 0 does all of it: there are few words, and an order that several blocks agree on would take
//! another launch.
//!
//! Who may diverge: blocks but the first have nothing to do. Inside it only loads and stores depend on the thread.

use contract::args::OutlierListArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use cuda_std::memory::{ld_global_nc_b32, ld_shared_b32, st_global_b32, st_shared_b32};
use cuda_std::sync::sync_threads;
use cuda_std::thread::{block_idx_x, thread_idx_x};
use cuda_std::warp::{FULL_MASK, WARP_SIZE, lane_id, shfl_sync_up_b32};

/// Warps of a block.
const WARPS: u32 = THREADS / WARP_SIZE;

cuda_std::shared_array! {
    /// The sums of the warps, twice, as rounds alternate.
    fn outlier_list_sums() -> [u32; 2 * WARPS as usize];
}

/// The sum over the lanes up to this one.
///
/// # Safety
/// All lanes call it together.
#[inline(always)]
unsafe fn sum_up_to_lane(value: u32) -> u32 {
    let mut sum = value;
    let mut distance = 1;
    while distance < WARP_SIZE {
        // SAFETY: all lanes are here.
        let below = unsafe { shfl_sync_up_b32(FULL_MASK, sum, distance) };
        sum += if lane_id() >= distance { below } else { 0 };
        distance *= 2;
    }
    sum
}

/// How many the threads before this one have, and how many all have. One barrier a round is enough, as rounds
/// alternate between two halves of the sums (`rows::Block`).
///
/// # Safety
/// All threads of the block call it together, `round` counting the calls.
#[inline(always)]
unsafe fn counts(own: u32, round: u64) -> (u32, u32) {
    let half = outlier_list_sums() + 4 * WARPS * (round % 2) as u32;
    let warp = thread_idx_x() / WARP_SIZE;
    // SAFETY: all threads are here; each warp stores its own sum, and the half is free.
    unsafe {
        let up_to_lane = sum_up_to_lane(own);
        if lane_id() == WARP_SIZE - 1 {
            st_shared_b32(half + 4 * warp, up_to_lane);
        }
        sync_threads();
        let (mut before, mut all) = (up_to_lane - own, 0);
        for other in 0..WARPS {
            let sum = ld_shared_b32(half + 4 * other);
            before += if other < warp { sum } else { 0 };
            all += sum;
        }
        (before, all)
    }
}

/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn join_masks(args: &OutlierListArgs) {
    let words = args.cols.div_ceil(WARP_SIZE as u64);
    let mut listed = 0;
    let mut round = 0;
    // Block-uniform.
    while round * (THREADS as u64) < words {
        let word_idx = round * THREADS as u64 + thread_idx_x() as u64;
        let mut word = 0;
        if word_idx < words {
            let mut chunk = 0;
            while chunk < args.chunks {
                // SAFETY: the chunk has this word.
                word |= unsafe { ld_global_nc_b32(args.masks + 4 * (chunk * words + word_idx)) };
                chunk += 1;
            }
            // SAFETY: this thread alone has the word.
            unsafe { st_global_b32(args.mask + 4 * word_idx, word) };
        }
        // SAFETY: all threads of the block are here.
        let (before, all) = unsafe { counts(word.count_ones(), round) };
        let mut place = args.columns + 4 * (listed + before) as u64;
        let mut rest = word;
        while rest != 0 {
            let col = word_idx as u32 * WARP_SIZE + rest.trailing_zeros();
            // SAFETY: the places of this word's columns follow those of all words before; there is room for all.
            unsafe { st_global_b32(place, col) };
            place += 4;
            rest &= rest - 1;
        }
        listed += all;
        round += 1;
    }
    if thread_idx_x() == 0 {
        // SAFETY: one thread stores the count.
        unsafe { st_global_b32(args.count, listed) };
    }
}

/// The masks of the chunks → the list of columns. Counts of collectives are those in the PTX of the entry.
///
/// # Safety
/// The launch keeps to this file's contract and `args` describes live memory of these shapes.
#[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 5))]
pub unsafe fn outlier_list(args: OutlierListArgs) {
    if block_idx_x() == 0 {
        // SAFETY: the caller's; the whole block is here.
        unsafe { join_masks(&args) }
    }
}
