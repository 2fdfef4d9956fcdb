//! What is one value for all lanes of a warp, told to the compiler.

use cuda_std::warp::{FULL_MASK, shfl_sync_idx_b32};

/// `value`, which is the same in all lanes, through a shuffle: then ptxas knows it to be the warp's.
///
/// Where a branch or the length of a loop may be the lane's, for all that ptxas can see, nothing behind it stays in uniform
/// registers: each product then takes four moves there for its descriptors (ptxas 13.0.88: 56 instructions instead of 42 in the loop
/// of `h128x256`, 86 instead of 55 in that of `h256x128`).
///
/// # Safety
/// All lanes of the warp call it together.
#[inline(always)]
pub(crate) unsafe fn uniform(value: u32) -> u32 {
    // SAFETY: the caller's.
    unsafe { shfl_sync_idx_b32(FULL_MASK, value, 0) }
}
