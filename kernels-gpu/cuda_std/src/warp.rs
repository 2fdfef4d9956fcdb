//! The 32 lanes of a warp.
//!
//! Shuffles and votes go through LLVM's intrinsics, which are marked convergent: inline assembly is not, and LLVM may copy
//! it into both arms of a divergent branch.

use crate::instruction;

/// All 32 lanes.
pub const FULL_MASK: u32 = u32::MAX;

/// Lanes of a warp.
pub const WARP_SIZE: u32 = 32;

#[cfg(target_arch = "nvptx64")]
unsafe extern "C" {
    #[link_name = "llvm.nvvm.shfl.sync.bfly.i32"]
    safe fn llvm_shfl_bfly(mask: u32, value: u32, lane_mask: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.idx.i32"]
    safe fn llvm_shfl_idx(mask: u32, value: u32, lane: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.down.i32"]
    safe fn llvm_shfl_down(mask: u32, value: u32, delta: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.up.i32"]
    safe fn llvm_shfl_up(mask: u32, value: u32, delta: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.vote.ballot.sync"]
    safe fn llvm_vote_ballot(mask: u32, predicate: bool) -> u32;
}

/// `%laneid`: index of the lane in its warp, 0..32 (section 10.3).
#[inline(always)]
pub fn lane_id() -> u32 {
    instruction!("%laneid", {
        let lane: u32;
        // SAFETY: reads a special register.
        unsafe { core::arch::asm!("mov.u32 {}, %laneid;", out(reg32) lane, options(pure, nomem, nostack)) };
        lane
    })
}

/// `shfl.sync.bfly.b32`: the value of lane `lane_id() ^ lane_mask` (section 9.7.9.6).
///
/// # Safety
/// Every lane of `mask` calls it together with the same `mask`, and the caller is one of them.
#[inline(always)]
pub unsafe fn shfl_sync_bfly_b32(mask: u32, value: u32, lane_mask: u32) -> u32 {
    instruction!("shfl.sync.bfly.b32", llvm_shfl_bfly(mask, value, lane_mask, 31))
}

/// `shfl.sync.idx.b32`: the value of lane `lane` % 32 (section 9.7.9.6).
///
/// # Safety
/// Every lane of `mask` calls it together with the same `mask`; the caller and the lane read are among them.
#[inline(always)]
pub unsafe fn shfl_sync_idx_b32(mask: u32, value: u32, lane: u32) -> u32 {
    instruction!("shfl.sync.idx.b32", llvm_shfl_idx(mask, value, lane, 31))
}

/// `shfl.sync.down.b32`: the value of lane `lane_id() + delta`, the caller's own past the end (section 9.7.9.6).
///
/// # Safety
/// Every lane of `mask` calls it together with the same `mask`; the caller and the lane read are among them.
#[inline(always)]
pub unsafe fn shfl_sync_down_b32(mask: u32, value: u32, delta: u32) -> u32 {
    instruction!("shfl.sync.down.b32", llvm_shfl_down(mask, value, delta, 31))
}

/// `shfl.sync.up.b32`: the value of lane `lane_id() - delta`, the caller's own before the start (section 9.7.9.6).
///
/// # Safety
/// Every lane of `mask` calls it together with the same `mask`; the caller and the lane read are among them.
#[inline(always)]
pub unsafe fn shfl_sync_up_b32(mask: u32, value: u32, delta: u32) -> u32 {
    instruction!("shfl.sync.up.b32", llvm_shfl_up(mask, value, delta, 0))
}

/// `vote.sync.ballot.b32`: bit i is lane i's predicate (section 9.7.13.9).
///
/// # Safety
/// Every lane of `mask` calls it together with the same `mask`, and the caller is one of them.
#[inline(always)]
pub unsafe fn vote_sync_ballot_b32(mask: u32, predicate: bool) -> u32 {
    instruction!("vote.sync.ballot.b32", llvm_vote_ballot(mask, predicate))
}

/// `elect.sync`: whether the caller is the one lane that the hardware elects among those of `mask` (section 9.7.13.14;
/// sm_90 and later).
///
/// # Safety
/// Every lane of `mask` calls it together with the same `mask`, and the caller is one of them; in warp-uniform flow only.
#[inline(always)]
pub unsafe fn elect_sync(mask: u32) -> bool {
    instruction!("elect.sync", {
        let elected: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("\t{{", ".reg .pred elected;", "elect.sync _|elected, {1};", "selp.u32 {0}, 1, 0, elected;", "\t}}",
                out(reg32) elected, in(reg32) mask, options(nostack))
        };
        elected != 0
    })
}
