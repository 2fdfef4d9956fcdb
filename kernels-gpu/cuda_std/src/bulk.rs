//! Bulk and tensor copies by the asynchronous proxy, TMA (PTX ISA, section 9.7.9.25.4 and 9.7.9.27; sm_90 and later).
//!
//! A load completes its bytes on an mbarrier; a store belongs to a group of its thread, as with `cp.async`. What ordinary
//! stores wrote is visible to a bulk copy after a proxy fence by each writer.

use crate::instruction;

/// `fence.proxy.async.shared::cta`: what the thread wrote to shared memory before is visible to bulk copies and `wgmma`
/// after it (section 9.7.13.4).
///
/// # Safety
/// Other threads' copies are ordered behind it by a barrier.
#[inline(always)]
pub unsafe fn fence_proxy_async_shared_cta() {
    // SAFETY: a fence.
    instruction!("fence.proxy.async.shared::cta", unsafe {
        core::arch::asm!("fence.proxy.async.shared::cta;", options(nostack))
    })
}

/// `cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes`: `bytes` bytes from `src` to `dst`.
///
/// # Safety
/// `dst` (the block's shared memory) and `src` (global, readable) are aligned to 16 bytes, `bytes` a multiple of 16; `bar` is a
/// live barrier of the block that expects them. Until its phase ends nobody touches `dst` or writes `src`.
#[inline(always)]
pub unsafe fn cp_async_bulk_shared_global(dst: u32, src: u64, bytes: u32, bar: u32) {
    // SAFETY: the caller's.
    instruction!("cp.async.bulk.shared::cluster.global", unsafe {
        core::arch::asm!("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [{}], [{}], {}, [{}];",
            in(reg32) dst, in(reg64) src, in(reg32) bytes, in(reg32) bar, options(nostack))
    })
}

/// `cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster`: the same bytes to the same place of
/// each block whose bit is set in `blocks`, each completing on its own barrier at the place of `bar`.
///
/// # Safety
/// As [`cp_async_bulk_shared_global`] for each of those blocks, none of which has exited.
#[inline(always)]
pub unsafe fn cp_async_bulk_shared_global_multicast(dst: u32, src: u64, bytes: u32, bar: u32, blocks: u16) {
    // SAFETY: the caller's.
    instruction!("cp.async.bulk.shared::cluster.global.multicast::cluster", unsafe {
        core::arch::asm!(
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [{}], [{}], {}, [{}], {};",
            in(reg32) dst, in(reg64) src, in(reg32) bytes, in(reg32) bar, in(reg16) blocks, options(nostack))
    })
}

/// `cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes`: the box of the tensor map at `map` whose
/// corner is (`x`, `y`), x along the contiguous dimension, in elements. What lies outside the tensor is zero and counts
/// among the bytes.
///
/// # Safety
/// `map` is a tensor map of two dimensions (a kernel parameter, see [`crate::param_address!`]); `dst` (the block's shared
/// memory) is aligned to 128 bytes and to the pattern of its swizzle; `bar` is a live barrier of the block that expects
/// all bytes of the box. Until its phase ends nobody touches `dst`.
#[inline(always)]
pub unsafe fn cp_async_bulk_tensor_2d_shared_global(dst: u32, map: u64, x: i32, y: i32, bar: u32) {
    // SAFETY: the caller's.
    instruction!("cp.async.bulk.tensor.2d.shared::cluster.global", unsafe {
        core::arch::asm!(
            "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [{}], [{}, {{{}, {}}}], [{}];",
            in(reg32) dst, in(reg64) map, in(reg32) x, in(reg32) y, in(reg32) bar, options(nostack))
    })
}

/// As [`cp_async_bulk_tensor_2d_shared_global`], to the same place of each block whose bit is set in `blocks`, each completing
/// on its own barrier at the place of `bar`.
///
/// # Safety
/// As there, for each of those blocks, none of which has exited.
#[inline(always)]
pub unsafe fn cp_async_bulk_tensor_2d_shared_global_multicast(
    dst: u32,
    map: u64,
    [x, y]: [i32; 2],
    bar: u32,
    blocks: u16,
) {
    // SAFETY: the caller's.
    instruction!("cp.async.bulk.tensor.2d.shared::cluster.global.multicast::cluster", unsafe {
        core::arch::asm!(
            "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster \
             [{}], [{}, {{{}, {}}}], [{}], {};",
            in(reg32) dst, in(reg64) map, in(reg32) x, in(reg32) y, in(reg32) bar, in(reg16) blocks, options(nostack))
    })
}

/// `cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group`: a box of shared memory to the tensor; what lies outside
/// the tensor is not written.
///
/// # Safety
/// `map` as for a load, `src` aligned as `dst` there, filled, fenced by each of its writers
/// ([`fence_proxy_async_shared_cta`]) and behind a barrier. Nobody writes `src` before
/// [`cp_async_bulk_wait_group_read`], and the block does not exit before it.
#[inline(always)]
pub unsafe fn cp_async_bulk_tensor_2d_global_shared(map: u64, x: i32, y: i32, src: u32) {
    // SAFETY: the caller's.
    instruction!("cp.async.bulk.tensor.2d.global.shared::cta", unsafe {
        core::arch::asm!("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [{}, {{{}, {}}}], [{}];",
            in(reg64) map, in(reg32) x, in(reg32) y, in(reg32) src, options(nostack))
    })
}

/// `cp.async.bulk.commit_group`: closes the thread's group of bulk stores.
///
/// # Safety
/// None beyond that of the stores: who counts groups counts this one.
#[inline(always)]
pub unsafe fn cp_async_bulk_commit_group() {
    // SAFETY: the caller's.
    instruction!("cp.async.bulk.commit_group", unsafe {
        core::arch::asm!("cp.async.bulk.commit_group;", options(nostack))
    })
}

/// `cp.async.bulk.wait_group.read N`: waits until at most the thread's `N` newest groups may still read their sources.
///
/// # Safety
/// Other threads that write those sources wait at a barrier after it.
#[inline(always)]
pub unsafe fn cp_async_bulk_wait_group_read<const N: u32>() {
    // SAFETY: the caller's.
    instruction!("cp.async.bulk.wait_group.read", unsafe {
        core::arch::asm!("cp.async.bulk.wait_group.read {};", const N, options(nostack))
    })
}

/// `prefetch.tensormap`: brings the tensor map at `map`, a kernel parameter, into its cache (section 9.7.9.15).
///
/// # Safety
/// `map` is the address of a tensor map.
#[inline(always)]
pub unsafe fn prefetch_tensormap(map: u64) {
    // SAFETY: the caller's.
    instruction!("prefetch.tensormap", unsafe {
        core::arch::asm!("prefetch.tensormap [{}];", in(reg64) map, options(nostack))
    })
}

/// The generic address of a kernel's parameter, for the tensor maps at its beginning: `cvta.param.u64` (section 9.7.9.20).
///
/// ```
/// # fn entry() {
/// let maps: u64 = cuda_std::param_address!(entry, 0);
/// # }
/// ```
/// The first argument is the name of the entry in which it stands (LLVM names parameters after it), the second the
/// parameter's index. A Rust reference would be that of a copy in local memory, which TMA cannot read.
#[macro_export]
macro_rules! param_address {
    ($entry:ident, $index:literal) => {{
        #[cfg(target_arch = "nvptx64")]
        {
            let addr: u64;
            // SAFETY: takes the address of a parameter; it is read later, as what the launch promises.
            unsafe {
                ::core::arch::asm!(
                    concat!("mov.b64 {0}, ", stringify!($entry), "_param_", $index, ";"),
                    "cvta.param.u64 {0}, {0};",
                    out(reg64) addr,
                    options(pure, nomem, nostack)
                )
            };
            addr
        }
        #[cfg(not(target_arch = "nvptx64"))]
        {
            $crate::bulk::param_address_on_host(stringify!($entry))
        }
    }};
}

/// A parameter has an address on the GPU only.
#[doc(hidden)]
#[cold]
pub fn param_address_on_host(entry: &str) -> u64 {
    panic!("the parameters of `{entry}` have addresses on the GPU: compile it for nvptx64-nvidia-cuda to run it")
}
