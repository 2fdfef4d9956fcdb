//! Conversions (PTX ISA, section 9.7.9.21). f16 and bf16 are their bits, `u16`.

use crate::instruction;
use crate::math::prmt_b32;

/// `cvt.f32.f16`: exact.
#[inline(always)]
pub fn cvt_f32_f16(bits: u16) -> f32 {
    instruction!("cvt.f32.f16", {
        let d: f32;
        // SAFETY: arithmetic on registers.
        unsafe { core::arch::asm!("cvt.f32.f16 {}, {};", out(reg32) d, in(reg16) bits, options(pure, nomem, nostack)) };
        d
    })
}

/// bf16 is the upper half of an f32: exact, and no conversion.
#[inline(always)]
pub const fn f32_from_bf16(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// `cvt.rn.f16.f32`: to nearest even; past 65,504 it gives Inf.
#[inline(always)]
pub fn cvt_rn_f16_f32(value: f32) -> u16 {
    instruction!("cvt.rn.f16.f32", {
        let d: u16;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("cvt.rn.f16.f32 {}, {};", out(reg16) d, in(reg32) value, options(pure, nomem, nostack))
        };
        d
    })
}

/// `cvt.rn.bf16.f32`: to nearest even (sm_80 and later).
#[inline(always)]
pub fn cvt_rn_bf16_f32(value: f32) -> u16 {
    instruction!("cvt.rn.bf16.f32", {
        let d: u16;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("cvt.rn.bf16.f32 {}, {};", out(reg16) d, in(reg32) value, options(pure, nomem, nostack))
        };
        d
    })
}

/// `cvt.rni.sat.s8.f32`: to the nearest integer, ties to even, saturated to -128..=127; NaN gives 0.
/// Rust's `as i8` truncates and takes five instructions.
#[inline(always)]
pub fn cvt_rni_sat_s8_f32(value: f32) -> i32 {
    instruction!("cvt.rni.sat.s8.f32", {
        let d: i32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("cvt.rni.sat.s8.f32 {}, {};", out(reg32) d, in(reg32) value, options(pure, nomem, nostack))
        };
        d
    })
}

/// `cvt.rni.s32.f32`: to the nearest integer, ties to even, saturated; NaN gives 0.
#[inline(always)]
pub fn cvt_rni_s32_f32(value: f32) -> i32 {
    instruction!("cvt.rni.s32.f32", {
        let d: i32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("cvt.rni.s32.f32 {}, {};", out(reg32) d, in(reg32) value, options(pure, nomem, nostack))
        };
        d
    })
}

/// `cvt.pack.sat.s8.s32.b32`: a and b saturated to -128..=127 in the low half, b lowest, and the low half of c in the
/// high one (section 9.7.9.23).
#[inline(always)]
pub fn cvt_pack_sat_s8_s32_b32(a: i32, b: i32, c: u32) -> u32 {
    instruction!("cvt.pack.sat.s8.s32.b32", {
        let d: u32;
        // SAFETY: arithmetic on registers.
        unsafe {
            core::arch::asm!("cvt.pack.sat.s8.s32.b32 {}, {}, {}, {};", out(reg32) d, in(reg32) a, in(reg32) b,
                in(reg32) c, options(pure, nomem, nostack))
        };
        d
    })
}

/// Four integers saturated to -128..=127 in one word, the first lowest.
#[inline(always)]
pub fn pack_sat_s8x4(codes: [i32; 4]) -> u32 {
    let high = cvt_pack_sat_s8_s32_b32(codes[3], codes[2], 0);
    cvt_pack_sat_s8_s32_b32(codes[1], codes[0], high)
}

/// The low bytes of four codes in one word, the first lowest: three `prmt.b32`.
#[inline(always)]
pub fn pack_s8x4(codes: [i32; 4]) -> u32 {
    let low = prmt_b32(codes[0] as u32, codes[1] as u32, 0x0040);
    let high = prmt_b32(codes[2] as u32, codes[3] as u32, 0x0040);
    prmt_b32(low, high, 0x5410)
}
