//! Atomic operations in global memory, and the fence that hands on what they count.

use crate::instruction;

/// `red.relaxed.gpu.global.max.u32`: the greater of a word and `value` (section 9.7.13.8).
///
/// # Safety
/// `addr` is aligned to 4 bytes and writable, and accessed by nothing but atomics while the kernel runs.
#[inline(always)]
pub unsafe fn red_relaxed_gpu_global_max_u32(addr: u64, value: u32) {
    // SAFETY: the caller's.
    instruction!("red.relaxed.gpu.global.max.u32", unsafe {
        core::arch::asm!("red.relaxed.gpu.global.max.u32 [{}], {};", in(reg64) addr, in(reg32) value, options(nostack))
    })
}

/// `red.relaxed.gpu.global.add.u64`: adds to a counter (section 9.7.13.8).
///
/// # Safety
/// `addr` is aligned to 8 bytes and writable, and accessed by nothing but atomics while the kernel runs.
#[inline(always)]
pub unsafe fn red_relaxed_gpu_global_add_u64(addr: u64, value: u64) {
    // SAFETY: the caller's.
    instruction!("red.relaxed.gpu.global.add.u64", unsafe {
        core::arch::asm!("red.relaxed.gpu.global.add.u64 [{}], {};", in(reg64) addr, in(reg64) value, options(nostack))
    })
}

/// `red.relaxed.gpu.global.add.s32`: adds to a sum, in int32 that wraps (section 9.7.13.8).
///
/// # Safety
/// `addr` is aligned to 4 bytes and writable, and accessed by nothing but atomics unless that is ordered behind it.
#[inline(always)]
pub unsafe fn red_relaxed_gpu_global_add_s32(addr: u64, value: i32) {
    // SAFETY: the caller's.
    instruction!("red.relaxed.gpu.global.add.s32", unsafe {
        core::arch::asm!("red.relaxed.gpu.global.add.s32 [{}], {};", in(reg64) addr, in(reg32) value, options(nostack))
    })
}

/// `atom.relaxed.gpu.global.add.u32`: adds to a counter and gives what it was (section 9.7.13.5).
///
/// # Safety
/// `addr` is aligned to 4 bytes and writable, and accessed by nothing but atomics unless that is ordered behind it.
#[inline(always)]
pub unsafe fn atom_relaxed_gpu_global_add_u32(addr: u64, value: u32) -> u32 {
    instruction!("atom.relaxed.gpu.global.add.u32", {
        let before: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("atom.relaxed.gpu.global.add.u32 {}, [{}], {};", out(reg32) before, in(reg64) addr,
                in(reg32) value, options(nostack))
        };
        before
    })
}

/// `st.relaxed.gpu.global.b32`: a store that does not race with atomics of the same word (section 9.7.9.12).
///
/// # Safety
/// `addr` is aligned to 4 bytes and writable.
#[inline(always)]
pub unsafe fn st_relaxed_gpu_global_b32(addr: u64, value: u32) {
    // SAFETY: the caller's.
    instruction!("st.relaxed.gpu.global.b32", unsafe {
        core::arch::asm!("st.relaxed.gpu.global.b32 [{}], {};", in(reg64) addr, in(reg32) value, options(nostack))
    })
}

/// `fence.acq_rel.gpu`: what this thread did and knows of comes before what other threads of the GPU do after they have
/// seen, and fenced, a value that it writes to an atomic behind the fence (section 9.7.13.4).
///
/// # Safety
/// A fence: none but that of the accesses that it orders.
#[inline(always)]
pub unsafe fn fence_acq_rel_gpu() {
    // SAFETY: a fence.
    instruction!("fence.acq_rel.gpu", unsafe { core::arch::asm!("fence.acq_rel.gpu;", options(nostack)) })
}
