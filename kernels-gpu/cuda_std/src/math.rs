//! Arithmetic whose rounding is named. `+`, `-` and `*` of f32 already are the `.rn` instructions: the compiler
//! does not contract.

use crate::instruction;

/// `fma.rn.f32`: a · b + c with one rounding (section 9.7.3.7).
#[inline(always)]
pub fn fma_rn_f32(a: f32, b: f32, c: f32) -> f32 {
    instruction!("fma.rn.f32", {
        let d: f32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("fma.rn.f32 {}, {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b, in(reg32) c,
                options(pure, nomem, nostack))
        };
        d
    })
}

/// `mul.rm.f32`: a · b rounded down, towards minus infinity (section 9.7.3.5).
#[inline(always)]
pub fn mul_rm_f32(a: f32, b: f32) -> f32 {
    instruction!("mul.rm.f32", {
        let d: f32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("mul.rm.f32 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b,
                options(pure, nomem, nostack))
        };
        d
    })
}

/// `rcp.rn.f32`: 1 / a, correctly rounded (section 9.7.3.14).
#[inline(always)]
pub fn rcp_rn_f32(a: f32) -> f32 {
    instruction!("rcp.rn.f32", {
        let d: f32;
        // SAFETY: arithmetic on registers.
        unsafe { core::arch::asm!("rcp.rn.f32 {}, {};", out(reg32) d, in(reg32) a, options(pure, nomem, nostack)) };
        d
    })
}

/// `div.rn.f32`: a / b, correctly rounded (section 9.7.3.8).
#[inline(always)]
pub fn div_rn_f32(a: f32, b: f32) -> f32 {
    instruction!("div.rn.f32", {
        let d: f32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("div.rn.f32 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b,
                options(pure, nomem, nostack))
        };
        d
    })
}

/// `min.f32`: the lesser; a NaN gives the other operand (section 9.7.3.11).
#[inline(always)]
pub fn min_f32(a: f32, b: f32) -> f32 {
    instruction!("min.f32", {
        let d: f32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("min.f32 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b,
                options(pure, nomem, nostack))
        };
        d
    })
}

/// `max.f32`: the greater; a NaN gives the other operand (section 9.7.3.12).
#[inline(always)]
pub fn max_f32(a: f32, b: f32) -> f32 {
    instruction!("max.f32", {
        let d: f32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("max.f32 {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b,
                options(pure, nomem, nostack))
        };
        d
    })
}

/// `prmt.b32`: nibble i of `selector` picks byte i of the result out of the eight bytes of (b, a) (section 9.7.9.7).
#[inline(always)]
pub fn prmt_b32(a: u32, b: u32, selector: u32) -> u32 {
    instruction!("prmt.b32", {
        let d: u32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("prmt.b32 {}, {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b, in(reg32) selector,
                options(pure, nomem, nostack))
        };
        d
    })
}

/// `dp4a.s32.s32`: c and the four products of the signed bytes of a and b (section 9.7.1.23).
#[inline(always)]
pub fn dp4a_s32_s32(a: u32, b: u32, c: i32) -> i32 {
    instruction!("dp4a.s32.s32", {
        let d: i32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("dp4a.s32.s32 {}, {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b, in(reg32) c,
                options(pure, nomem, nostack))
        };
        d
    })
}

/// `mov.b64`: the value itself, of which the compiler no longer knows where it comes from.
///
/// Used on the counter of a loop that mostly runs once, it keeps the compiler from carrying every address made from
/// the counter through the loop in registers of its own.
#[inline(always)]
pub fn opaque_b64(value: u64) -> u64 {
    instruction!("mov.b64", {
        let d: u64;
        // SAFETY: a move between registers.
        unsafe { core::arch::asm!("mov.b64 {}, {};", out(reg64) d, in(reg64) value, options(pure, nomem, nostack)) };
        d
    })
}

/// `mov.b32`: as [`opaque_b64`].
///
/// What is made of it again after much else has been done costs a few instructions, and no register meanwhile.
#[inline(always)]
pub fn opaque_b32(value: u32) -> u32 {
    instruction!("mov.b32", {
        let d: u32;
        // SAFETY: a move between registers.
        unsafe { core::arch::asm!("mov.b32 {}, {};", out(reg32) d, in(reg32) value, options(pure, nomem, nostack)) };
        d
    })
}
