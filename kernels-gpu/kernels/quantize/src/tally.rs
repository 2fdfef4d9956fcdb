//! Counts of what a given scale does not fit: it carries neither NaN and Inf into y nor what is beyond its range.

use cuda_std::atomic::red_relaxed_gpu_global_add_u64;

use crate::code::Divisor;

/// One thread's counts: 32 bits would need 2³² numbers for it alone.
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    saturates_from: f32,
    non_finite: u32,
    saturated: u32,
}

impl Tally {
    #[inline(always)]
    pub(crate) fn new(divisor: Divisor) -> Self {
        Self { saturates_from: divisor.saturates_from(), non_finite: 0, saturated: 0 }
    }

    #[inline(always)]
    pub(crate) fn count(&mut self, value: f32) {
        let magnitude = value.abs();
        // A comparison with NaN is false.
        self.saturated += (magnitude >= self.saturates_from) as u32;
        self.non_finite += !magnitude.is_finite() as u32;
    }

    /// Adds the counts to the u64 `[2]` at `counts`: non-finite, saturated.
    ///
    /// # Safety
    /// They are writable, and accessed by nothing but atomics, where anything was counted.
    #[inline(always)]
    pub(crate) unsafe fn store(self, counts: u64) {
        for (counter, count) in [(0, self.non_finite), (1, self.saturated)] {
            // An x that fits, the usual case, costs no atomic.
            if count != 0 {
                // SAFETY: the caller's.
                unsafe { red_relaxed_gpu_global_add_u64(counts + 8 * counter, count as u64) };
            }
        }
    }
}
