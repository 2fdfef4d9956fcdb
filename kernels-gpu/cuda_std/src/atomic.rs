//! Reductions in global memory.

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
