//! Asynchronous copies from global to shared memory (PTX ISA, section 9.7.9.25.3; sm_80 and later).
//!
//! Copies join the issuing thread's open group at `commit_group`. Waiting makes a group's bytes visible to the
//! thread that waits; the other threads of the block see them after a barrier that follows.

use crate::instruction;

/// `cp.async.cg.shared.global` of 16 bytes past L1: `src_bytes` of them from `src`, the rest zero.
///
/// # Safety
/// `dst` (shared) and `src` (global) are aligned to 16 bytes, `src_bytes` ≤ 16 bytes of `src` are readable. Until
/// the copy is waited for, nobody touches `dst` and nobody writes `src`.
#[inline(always)]
pub unsafe fn cp_async_cg_shared_global_16(dst: u32, src: u64, src_bytes: u32) {
    // SAFETY: the caller's.
    instruction!("cp.async.cg.shared.global", unsafe {
        core::arch::asm!("cp.async.cg.shared.global [{}], [{}], 16, {};",
            in(reg32) dst, in(reg64) src, in(reg32) src_bytes, options(nostack))
    })
}

/// `cp.async.commit_group`: closes the thread's group of copies, an empty one too.
///
/// # Safety
/// None beyond that of the copies: who counts groups counts this one.
#[inline(always)]
pub unsafe fn cp_async_commit_group() {
    // SAFETY: the caller's.
    instruction!("cp.async.commit_group", unsafe { core::arch::asm!("cp.async.commit_group;", options(nostack)) })
}

/// `cp.async.wait_group N`: waits until at most the thread's `N` newest groups are pending.
///
/// # Safety
/// The bytes that arrived are visible to this thread alone: others wait at a barrier after it.
#[inline(always)]
pub unsafe fn cp_async_wait_group<const N: u32>() {
    // SAFETY: the caller's.
    instruction!("cp.async.wait_group", unsafe {
        core::arch::asm!("cp.async.wait_group {};", const N, options(nostack))
    })
}
