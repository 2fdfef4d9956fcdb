//! Barriers.

use crate::instruction;

#[cfg(target_arch = "nvptx64")]
unsafe extern "C" {
    #[link_name = "llvm.nvvm.bar.warp.sync"]
    safe fn llvm_bar_warp_sync(mask: u32);
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

/// `bar.warp.sync`: waits for the lanes of `mask`; orders their accesses to memory (section 9.7.13.2).
///
/// # Safety
/// Every lane of `mask` calls it with the same `mask`, and the caller is one of them.
#[inline(always)]
pub unsafe fn sync_warp(mask: u32) {
    instruction!("bar.warp.sync", llvm_bar_warp_sync(mask))
}
