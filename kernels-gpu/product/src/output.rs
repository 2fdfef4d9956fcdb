//! Types of y.

use contract::limits::NAN_16;
use cuda_std::cvt::{cvt_rn_bf16_f32, cvt_rn_f16_f32};
use cuda_std::memory::{st_global_b16, st_global_b32, st_global_v2_b32, st_global_v4_b32};
use rows::{Bf16, F16, numeric};

/// A type that y may have.
pub trait Output {
    /// Bytes of an element.
    const BYTES: u32;

    /// False for the accumulators themselves: then scales and bias are not read.
    const SCALED: bool;

    /// The bits of an element, rounded once from `value`; for the accumulators, those of `acc`.
    fn bits(acc: i32, value: f32) -> u32;

    /// Stores one element.
    ///
    /// # Safety
    /// It is inside y, and this thread alone stores it.
    unsafe fn store(addr: u64, bits: u32);

    /// Stores four elements.
    ///
    /// # Safety
    /// They are inside y, `addr` is aligned to four elements, and this thread alone stores them.
    unsafe fn store_four(addr: u64, bits: [u32; 4]);
}

impl Output for f32 {
    const BYTES: u32 = 4;
    const SCALED: bool = true;

    #[inline(always)]
    fn bits(_: i32, value: f32) -> u32 {
        numeric::canonical(value)
    }
    #[inline(always)]
    unsafe fn store(addr: u64, bits: u32) {
        // SAFETY: the caller's.
        unsafe { st_global_b32(addr, bits) }
    }
    #[inline(always)]
    unsafe fn store_four(addr: u64, bits: [u32; 4]) {
        // SAFETY: the caller's.
        unsafe { st_global_v4_b32(addr, bits) }
    }
}

impl Output for i32 {
    const BYTES: u32 = 4;
    const SCALED: bool = false;

    #[inline(always)]
    fn bits(acc: i32, _: f32) -> u32 {
        acc as u32
    }
    #[inline(always)]
    unsafe fn store(addr: u64, bits: u32) {
        // SAFETY: the caller's.
        unsafe { st_global_b32(addr, bits) }
    }
    #[inline(always)]
    unsafe fn store_four(addr: u64, bits: [u32; 4]) {
        // SAFETY: the caller's.
        unsafe { st_global_v4_b32(addr, bits) }
    }
}

/// Two elements of 16 bits in a word, the first lower.
#[inline(always)]
fn word(low: u32, high: u32) -> u32 {
    low | high << 16
}

/// The two 16-bit types differ in their conversion alone.
macro_rules! sixteen_bits {
    ($output:ty, $convert:ident) => {
        impl Output for $output {
            const BYTES: u32 = 2;
            const SCALED: bool = true;

            #[inline(always)]
            fn bits(_: i32, value: f32) -> u32 {
                (if value.is_nan() { NAN_16 } else { $convert(value) }) as u32
            }
            #[inline(always)]
            unsafe fn store(addr: u64, bits: u32) {
                // SAFETY: the caller's.
                unsafe { st_global_b16(addr, bits as u16) }
            }
            #[inline(always)]
            unsafe fn store_four(addr: u64, bits: [u32; 4]) {
                // SAFETY: the caller's.
                unsafe { st_global_v2_b32(addr, [word(bits[0], bits[1]), word(bits[2], bits[3])]) }
            }
        }
    };
}

sixteen_bits!(F16, cvt_rn_f16_f32);
sixteen_bits!(Bf16, cvt_rn_bf16_f32);
