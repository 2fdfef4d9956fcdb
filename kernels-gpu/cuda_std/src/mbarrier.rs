//! Barriers in shared memory that count arrivals and the bytes of asynchronous copies (PTX ISA, section 9.7.13.15;
//! sm_90 and later).
//!
//! A barrier's phase ends when its arrivals have all come and as many bytes as were expected. Whoever waits names the
//! parity of the phase: the first phase has parity 0, and a wait for parity 1 on a new barrier returns at once.

use crate::instruction;

/// `mbarrier.init.shared::cta.b64`: a barrier whose phases need `count` arrivals (section 9.7.13.15.9).
///
/// # Safety
/// `bar` is aligned to 8 bytes, in the block's shared memory, and holds no live barrier; 0 < `count` < 2²⁰. Others use
/// it after [`fence_mbarrier_init_release_cluster`] by this thread and a barrier of the block or cluster.
#[inline(always)]
pub unsafe fn mbarrier_init_shared_b64(bar: u32, count: u32) {
    // SAFETY: the caller's.
    instruction!("mbarrier.init.shared::cta.b64", unsafe {
        core::arch::asm!("mbarrier.init.shared::cta.b64 [{}], {};", in(reg32) bar, in(reg32) count, options(nostack))
    })
}

/// `fence.mbarrier_init.release.cluster`: shows the thread's new barriers to the asynchronous proxy and, through a
/// barrier that follows, to the cluster (section 9.7.13.4).
///
/// # Safety
/// None beyond that of the barriers.
#[inline(always)]
pub unsafe fn fence_mbarrier_init_release_cluster() {
    // SAFETY: a fence.
    instruction!("fence.mbarrier_init.release.cluster", unsafe {
        core::arch::asm!("fence.mbarrier_init.release.cluster;", options(nostack))
    })
}

/// `mbarrier.arrive.shared::cta.b64`: one arrival, which releases what the thread did before to those who wait
/// (section 9.7.13.15.13).
///
/// # Safety
/// `bar` is a live barrier of the block whose phase still lacks an arrival.
#[inline(always)]
pub unsafe fn mbarrier_arrive_shared_b64(bar: u32) {
    // SAFETY: the caller's.
    instruction!("mbarrier.arrive.shared::cta.b64", unsafe {
        core::arch::asm!("mbarrier.arrive.shared::cta.b64 _, [{}];", in(reg32) bar, options(nostack))
    })
}

/// `mbarrier.arrive.shared::cluster.b64`: one arrival at a barrier of any block of the cluster, its address from
/// [`crate::cluster::mapa_shared_cluster_u32`].
///
/// It says that asynchronous copies and `wgmma` that the thread has waited for have read; `.release.cluster`, which ordinary
/// stores would need, costs a fence of the whole GPU at each arrival (ptxas 13.0.88: `MEMBAR.ALL.GPU`).
///
/// # Safety
/// `bar` is a live barrier of a block of the cluster that has not exited; its phase still lacks an arrival.
#[inline(always)]
pub unsafe fn mbarrier_arrive_shared_cluster_b64(bar: u32) {
    // SAFETY: the caller's.
    instruction!("mbarrier.arrive.shared::cluster.b64", unsafe {
        core::arch::asm!("mbarrier.arrive.shared::cluster.b64 _, [{}];", in(reg32) bar, options(nostack))
    })
}

/// `mbarrier.arrive.expect_tx.shared::cta.b64`: one arrival, after the phase was told to wait for `bytes` more bytes of
/// asynchronous copies.
///
/// # Safety
/// As [`mbarrier_arrive_shared_b64`]; copies of exactly `bytes` bytes complete on this phase.
#[inline(always)]
pub unsafe fn mbarrier_arrive_expect_tx_shared_b64(bar: u32, bytes: u32) {
    // SAFETY: the caller's.
    instruction!("mbarrier.arrive.expect_tx.shared::cta.b64", unsafe {
        core::arch::asm!("mbarrier.arrive.expect_tx.shared::cta.b64 _, [{}], {};", in(reg32) bar, in(reg32) bytes,
            options(nostack))
    })
}

/// `mbarrier.try_wait.parity.shared::cta.b64` until the phase of `parity` has ended; what its arrivals of this block
/// released is then visible, and the bytes of its copies (section 9.7.13.15.16).
///
/// The loop is within one statement: the compiler could otherwise unroll it.
///
/// # Safety
/// `bar` is a live barrier of the block; `parity` is that of its current or its last phase.
#[inline(always)]
pub unsafe fn mbarrier_wait_parity_shared_b64(bar: u32, parity: u32) {
    // SAFETY: the caller's.
    instruction!("mbarrier.try_wait.parity.shared::cta.b64", unsafe {
        core::arch::asm!(
            "\t{{",
            ".reg .pred ended;",
            "AGAIN:",
            "mbarrier.try_wait.parity.shared::cta.b64 ended, [{bar}], {parity};",
            "@!ended bra AGAIN;",
            "\t}}",
            bar = in(reg32) bar, parity = in(reg32) parity, options(nostack)
        )
    })
}
