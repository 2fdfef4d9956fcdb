//! Two numbers of 16 bits in a word (PTX ISA, section 9.7.4), as their bits.
//!
//! The extremes keep a NaN, as `.NaN` says, and write the canonical one, 0x7FFF; +0 is greater than -0; subnormals are
//! kept.

use crate::instruction;

/// `abs.f16x2`: both without their signs (section 9.7.4.6).
#[inline(always)]
pub fn abs_f16x2(a: u32) -> u32 {
    instruction!("abs.f16x2", {
        let d: u32;
        // SAFETY: arithmetic on registers.
        unsafe { core::arch::asm!("abs.f16x2 {}, {};", out(reg32) d, in(reg32) a, options(pure, nomem, nostack)) };
        d
    })
}

/// `max.NaN.f16x2`: the greater of each half (section 9.7.4.8).
#[inline(always)]
pub fn max_nan_f16x2(a: u32, b: u32) -> u32 {
    instruction!("max.NaN.f16x2", {
        let d: u32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("max.NaN.f16x2 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b, options(pure, nomem, nostack))
        };
        d
    })
}

/// `min.NaN.f16x2`: the lesser of each half (section 9.7.4.7).
#[inline(always)]
pub fn min_nan_f16x2(a: u32, b: u32) -> u32 {
    instruction!("min.NaN.f16x2", {
        let d: u32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("min.NaN.f16x2 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b, options(pure, nomem, nostack))
        };
        d
    })
}

/// `max.NaN.bf16x2`: the greater of each half (section 9.7.4.8).
#[inline(always)]
pub fn max_nan_bf16x2(a: u32, b: u32) -> u32 {
    instruction!("max.NaN.bf16x2", {
        let d: u32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("max.NaN.bf16x2 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b, options(pure, nomem, nostack))
        };
        d
    })
}

/// `min.NaN.bf16x2`: the lesser of each half (section 9.7.4.7).
#[inline(always)]
pub fn min_nan_bf16x2(a: u32, b: u32) -> u32 {
    instruction!("min.NaN.bf16x2", {
        let d: u32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("min.NaN.bf16x2 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b, options(pure, nomem, nostack))
        };
        d
    })
}
