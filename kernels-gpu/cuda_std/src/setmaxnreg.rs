//! Registers handed from warpgroup to warpgroup (PTX ISA, section 9.7.19.5; sm_90a). ptxas ignores them (C7508)
//! unless it knows the registers at entry: `launch_bounds(threads, 1)`.

use crate::instruction;

/// `setmaxnreg.inc.sync.aligned.u32 REGISTERS`: waits until the warpgroup can have so many registers a thread.
///
/// # Safety
/// All warps of the warpgroup call it, each as a whole; other warpgroups of the block give up enough. `REGISTERS` is a
/// multiple of 8 from 24 to 256, and no less than what the thread has.
#[inline(always)]
pub unsafe fn setmaxnreg_inc<const REGISTERS: u32>() {
    // SAFETY: the caller's.
    instruction!("setmaxnreg.inc.sync.aligned.u32", unsafe {
        core::arch::asm!("setmaxnreg.inc.sync.aligned.u32 {};", const REGISTERS, options(nostack))
    })
}

/// `setmaxnreg.dec.sync.aligned.u32 REGISTERS`: gives up all registers but so many a thread.
///
/// # Safety
/// All warps of the warpgroup call it, each as a whole; as above, and no more than what the thread has.
#[inline(always)]
pub unsafe fn setmaxnreg_dec<const REGISTERS: u32>() {
    // SAFETY: the caller's.
    instruction!("setmaxnreg.dec.sync.aligned.u32", unsafe {
        core::arch::asm!("setmaxnreg.dec.sync.aligned.u32 {};", const REGISTERS, options(nostack))
    })
}
