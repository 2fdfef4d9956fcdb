//! Barriers of warps, blocks and dependent grids.

use crate::instruction;

#[cfg(target_arch = "nvptx64")]
unsafe extern "C" {
    #[link_name = "llvm.nvvm.bar.warp.sync"]
    safe fn llvm_bar_warp_sync(mask: u32);
    #[link_name = "llvm.nvvm.barrier.cta.sync.aligned.count"]
    safe fn llvm_barrier_cta_sync_count(id: u32, threads: u32);
    #[link_name = "llvm.nvvm.barrier.cta.arrive.aligned.count"]
    safe fn llvm_barrier_cta_arrive_count(id: u32, threads: u32);
    #[link_name = "llvm.nvvm.barrier.cta.red.or.aligned.count"]
    safe fn llvm_barrier_cta_red_or_count(id: u32, threads: u32, predicate: bool) -> bool;
}

/// `bar.sync 0`: waits for all threads of the block; their earlier accesses to memory are then done (section 9.7.13.1).
///
/// # Safety
/// Every thread of the block calls it, each warp as a whole.
#[inline(always)]
pub unsafe fn sync_threads() {
    // SAFETY: the caller's.
    instruction!("bar.sync", unsafe { core::arch::nvptx::_syncthreads() })
}

/// `bar.sync id, threads`: waits until `threads` threads of the block have come to barrier `id`; their earlier accesses to
/// memory are then done.
///
/// # Safety
/// `id` is below 16 (0 is that of [`sync_threads`]), `threads` a multiple of 32. Warps that make up `threads` call it, or
/// [`bar_arrive`], with the same operands, each as a whole.
#[inline(always)]
pub unsafe fn bar_sync(id: u32, threads: u32) {
    instruction!("bar.sync", llvm_barrier_cta_sync_count(id, threads))
}

/// `bar.arrive id, threads`: counts the warp at barrier `id` and goes on: its earlier accesses to memory are done for those
/// who wait there.
///
/// # Safety
/// As [`bar_sync`]; somebody waits there.
#[inline(always)]
pub unsafe fn bar_arrive(id: u32, threads: u32) {
    instruction!("bar.arrive", llvm_barrier_cta_arrive_count(id, threads))
}

/// `bar.red.or.pred`: [`bar_sync`] that tells every thread whether `predicate` holds for any of them.
///
/// # Safety
/// As [`bar_sync`]; every warp that makes up `threads` calls this one.
#[inline(always)]
pub unsafe fn bar_red_or(id: u32, threads: u32, predicate: bool) -> bool {
    instruction!("bar.red.or.pred", llvm_barrier_cta_red_or_count(id, threads, predicate))
}

/// `bar.warp.sync`: waits for the lanes of `mask`; orders their accesses to memory (section 9.7.13.2).
///
/// # Safety
/// Every lane of `mask` calls it with the same `mask`, and the caller is one of them.
#[inline(always)]
pub unsafe fn sync_warp(mask: u32) {
    instruction!("bar.warp.sync", llvm_bar_warp_sync(mask))
}

/// `griddepcontrol.wait`: waits until the grids that this one depends on are done and their memory is visible; returns
/// at once where the launch declared no dependence (section 9.7.13.16; sm_90 and later).
///
/// # Safety
/// What an earlier grid writes is read after it.
#[inline(always)]
pub unsafe fn griddepcontrol_wait() {
    // SAFETY: the caller's.
    instruction!("griddepcontrol.wait", unsafe { core::arch::asm!("griddepcontrol.wait;", options(nostack)) })
}

/// `griddepcontrol.launch_dependents`: lets the grids that depend on this one begin, once every block has said so or ended.
///
/// # Safety
/// They wait ([`griddepcontrol_wait`]) before they read what this grid writes.
#[inline(always)]
pub unsafe fn griddepcontrol_launch_dependents() {
    // SAFETY: the caller's.
    instruction!("griddepcontrol.launch_dependents", unsafe {
        core::arch::asm!("griddepcontrol.launch_dependents;", options(nostack))
    })
}
