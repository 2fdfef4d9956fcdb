//! Types of elements, and sixteen bytes of them in four registers.

use cuda_std::cvt::{cvt_f32_f16, cvt_rn_bf16_f32, cvt_rn_f16_f32, f32_from_bf16};
use cuda_std::half::{abs_f16x2, max_nan_bf16x2, max_nan_f16x2, min_nan_bf16x2, min_nan_f16x2};
use cuda_std::memory::{ld_global_nc_b8, ld_global_nc_b16, ld_global_nc_b32};

use crate::row::Window;

/// A type of elements in memory.
pub trait Element: Copy {
    /// Bytes of an element: 1, 2 or 4.
    const BYTES: u32;

    /// The bits of the element at `addr`, the upper ones zero.
    ///
    /// # Safety
    /// As [`ld_global_nc_b32`], for one element.
    unsafe fn load(addr: u64) -> u32;
}

/// Elements that are numbers to be quantized.
pub trait Float: Element {
    /// Element `i` of a window, widened exactly. `i` is a constant after unrolling.
    fn widen(window: Window, i: u32) -> f32;

    /// `value` rounded to the type, to nearest even, and widened again.
    fn narrow(value: f32) -> f32;

    /// The greater of `running` and every |element| of the window, in a form that [`Float::absmax_bits`] reads.
    ///
    /// A NaN is kept, which `max.f32` would drop. In f32, bit patterns of |x| order as unsigned integers as the numbers
    /// do, with NaN above Inf. 16-bit types are compared two at a time by `max.NaN`: words 0 and 2 of the window in
    /// element 0 and the others in element 1, as two shorter chains of instructions.
    fn absmax(running: [u32; 2], window: Window) -> [u32; 2];

    /// The running maximum as the bits of an f32.
    fn absmax_bits(running: [u32; 2]) -> u32;

    /// The running extremes, `[high, low]`, with every element of the window; they begin as zeros.
    ///
    /// In f32: as signed integers, the bit patterns of numbers ≥ 0 order as the numbers do, and all others are below
    /// them. As unsigned integers, those of numbers < 0 order as their magnitudes do, and all others are below them. A
    /// NaN is the greatest of its sign in both. 16-bit types: by `max.NaN` and `min.NaN`, a NaN in both.
    fn extremes(running: [u32; 2], window: Window) -> [u32; 2];

    /// The magnitudes of the greatest and of the least of 0 and the elements, as the bits of f32.
    fn extremes_bits(running: [u32; 2]) -> [u32; 2];
}

impl Element for f32 {
    const BYTES: u32 = 4;

    #[inline(always)]
    unsafe fn load(addr: u64) -> u32 {
        // SAFETY: the caller's.
        unsafe { ld_global_nc_b32(addr) }
    }
}

impl Float for f32 {
    #[inline(always)]
    fn widen(window: Window, i: u32) -> f32 {
        f32::from_bits(window[i as usize])
    }

    #[inline(always)]
    fn narrow(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn absmax(running: [u32; 2], window: Window) -> [u32; 2] {
        let mut max = running[0];
        for word in window {
            max = max.max(word & 0x7fff_ffff);
        }
        [max, 0]
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        running[0]
    }

    #[inline(always)]
    fn extremes(running: [u32; 2], window: Window) -> [u32; 2] {
        let mut extremes = running;
        for word in window {
            extremes = with_word(extremes, word);
        }
        extremes
    }

    #[inline(always)]
    fn extremes_bits([high, low]: [u32; 2]) -> [u32; 2] {
        [high, magnitude_below_zero(low)]
    }
}

/// The extremes with one word more.
#[inline(always)]
fn with_word([high, low]: [u32; 2], word: u32) -> [u32; 2] {
    [(high as i32).max(word as i32) as u32, low.max(word)]
}

/// The magnitude of the least number, +0 where none was below 0 and the greatest pattern is not of one.
#[inline(always)]
fn magnitude_below_zero(low: u32) -> u32 {
    if (low as i32) < 0 { low & 0x7fff_ffff } else { 0 }
}

/// The signs of two halves.
const SIGNS: u32 = 0x8000_8000;

/// The greater magnitude of the halves of two words.
#[inline(always)]
fn greatest_half([a, b]: [u32; 2]) -> u16 {
    let halves = [a & 0x7fff, a >> 16 & 0x7fff, b & 0x7fff, b >> 16 & 0x7fff];
    halves[0].max(halves[1]).max(halves[2].max(halves[3])) as u16
}

#[inline(always)]
fn half_word(window: Window, i: u32) -> u16 {
    (window[(i / 2) as usize] >> (16 * (i % 2))) as u16
}

/// IEEE binary16.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct F16(pub u16);

impl Element for F16 {
    const BYTES: u32 = 2;

    #[inline(always)]
    unsafe fn load(addr: u64) -> u32 {
        // SAFETY: the caller's.
        unsafe { ld_global_nc_b16(addr) as u32 }
    }
}

impl Float for F16 {
    #[inline(always)]
    fn widen(window: Window, i: u32) -> f32 {
        cvt_f32_f16(half_word(window, i))
    }

    #[inline(always)]
    fn narrow(value: f32) -> f32 {
        cvt_f32_f16(cvt_rn_f16_f32(value))
    }

    #[inline(always)]
    fn absmax(running: [u32; 2], window: Window) -> [u32; 2] {
        let [mut even, mut odd] = running;
        for pair in 0..2 {
            even = max_nan_f16x2(even, abs_f16x2(window[2 * pair]));
            odd = max_nan_f16x2(odd, abs_f16x2(window[2 * pair + 1]));
        }
        [even, odd]
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        cvt_f32_f16(greatest_half(running)).to_bits()
    }

    #[inline(always)]
    fn extremes(running: [u32; 2], window: Window) -> [u32; 2] {
        let [mut high, mut low] = running;
        for word in window {
            high = max_nan_f16x2(high, word);
            low = min_nan_f16x2(low, word);
        }
        [high, low]
    }

    #[inline(always)]
    fn extremes_bits(running: [u32; 2]) -> [u32; 2] {
        // The magnitude of a NaN is one, and no other is above it.
        running.map(|halves| cvt_f32_f16(greatest_half([halves, 0])).to_bits())
    }
}

/// bfloat16: the upper half of an f32.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Element for Bf16 {
    const BYTES: u32 = 2;

    #[inline(always)]
    unsafe fn load(addr: u64) -> u32 {
        // SAFETY: the caller's.
        unsafe { ld_global_nc_b16(addr) as u32 }
    }
}

impl Float for Bf16 {
    #[inline(always)]
    fn widen(window: Window, i: u32) -> f32 {
        f32_from_bf16(half_word(window, i))
    }

    #[inline(always)]
    fn narrow(value: f32) -> f32 {
        f32_from_bf16(cvt_rn_bf16_f32(value))
    }

    #[inline(always)]
    fn absmax(running: [u32; 2], window: Window) -> [u32; 2] {
        let [mut even, mut odd] = running;
        for pair in 0..2 {
            even = max_nan_bf16x2(even, window[2 * pair] & !SIGNS);
            odd = max_nan_bf16x2(odd, window[2 * pair + 1] & !SIGNS);
        }
        [even, odd]
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        f32_from_bf16(greatest_half(running)).to_bits()
    }

    #[inline(always)]
    fn extremes(running: [u32; 2], window: Window) -> [u32; 2] {
        let [mut high, mut low] = running;
        for word in window {
            high = max_nan_bf16x2(high, word);
            low = min_nan_bf16x2(low, word);
        }
        [high, low]
    }

    #[inline(always)]
    fn extremes_bits(running: [u32; 2]) -> [u32; 2] {
        // The magnitude of a NaN is one, and no other is above it.
        running.map(|halves| f32_from_bf16(greatest_half([halves, 0])).to_bits())
    }
}

impl Element for i8 {
    const BYTES: u32 = 1;

    #[inline(always)]
    unsafe fn load(addr: u64) -> u32 {
        // SAFETY: the caller's.
        unsafe { ld_global_nc_b8(addr) as u32 & 0xff }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maxima_of_bit_patterns_keep_nan_and_order() {
        let f32s = |values: [f32; 4]| f32::absmax_bits(f32::absmax([0; 2], values.map(f32::to_bits)));
        assert_eq!(f32s([1.0, -3.0, 2.0, -0.0]), 3f32.to_bits());
        assert_eq!(f32s([-0.0; 4]), 0);
        assert_eq!(f32s([1.0, f32::NEG_INFINITY, 2.0, 0.0]), f32::INFINITY.to_bits());
        assert!(f32::from_bits(f32s([f32::INFINITY, 1.0, -f32::NAN, 0.0])).is_nan());
    }

    #[test]
    fn extremes_keep_nan_of_both_signs_and_order() {
        let f32s =
            |values: [f32; 4]| f32::extremes_bits(f32::extremes([0; 2], values.map(f32::to_bits))).map(f32::from_bits);
        assert_eq!(f32s([1.0, -3.0, 2.0, -0.0]), [2.0, 3.0]);
        assert_eq!(f32s([5.0, 3.0, 7.0, 4.0]), [7.0, 0.0]);
        assert_eq!(f32s([-5.0, -3.0, -7.0, -4.0]), [0.0, 7.0]);
        assert_eq!(f32s([-0.0; 4]), [0.0, 0.0]);
        assert_eq!(f32s([f32::NEG_INFINITY, 1.0, f32::INFINITY, 0.0]), [f32::INFINITY; 2]);
        let nan = f32::from_bits(0x7f80_0001);
        assert!(f32s([1.0, f32::INFINITY, nan, 0.0])[0].is_nan());
        assert!(f32s([1.0, f32::NEG_INFINITY, -nan, 0.0])[1].is_nan());
    }

    #[test]
    fn the_greatest_of_four_halves() {
        for place in 0..4 {
            let mut words = [0x0001_8002u32, 0x8003_0004];
            words[place / 2] |= 0x7fff << (16 * (place % 2));
            assert_eq!(greatest_half(words), 0x7fff, "NaN at {place}");
        }
        assert_eq!(greatest_half([0x0001_8002, 0x8003_0004]), 4);
        assert_eq!(greatest_half([0x0001_8012, 0x8003_0004]), 0x12);
    }
}
