//! Types of elements, and sixteen bytes of them in four registers.

use cuda_std::cvt::{cvt_f32_f16, cvt_rn_bf16_f32, cvt_rn_f16_f32, f32_from_bf16};
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
    /// Bit patterns of |x| order as unsigned integers as the numbers do, with NaN above Inf: an integer maximum
    /// keeps a NaN, `max.f32` would drop it. 16-bit types need no conversion for it: element 0 holds the lower
    /// halves, element 1 the upper ones.
    fn absmax(running: [u32; 2], window: Window) -> [u32; 2];

    /// The running maximum as the bits of an f32.
    fn absmax_bits(running: [u32; 2]) -> u32;

    /// The running extremes, `[high, low]`, with every element of the window; they begin as zeros.
    ///
    /// As signed integers, the bit patterns of numbers ≥ 0 order as the numbers do, and all others are below them. As
    /// unsigned integers, those of numbers < 0 order as their magnitudes do, and all others are below them. A NaN is
    /// the greatest of its sign in both.
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

/// The extremes with the two halves of each word more, as the upper halves of words.
#[inline(always)]
fn extremes_of_halves(running: [u32; 2], window: Window) -> [u32; 2] {
    let mut extremes = running;
    for word in window {
        // What stands below an upper half only breaks ties.
        extremes = with_word(with_word(extremes, word), word << 16);
    }
    extremes
}

/// The magnitude of the least number, +0 where none was below 0 and the greatest pattern is not of one.
#[inline(always)]
fn magnitude_below_zero(low: u32) -> u32 {
    if (low as i32) < 0 { low & 0x7fff_ffff } else { 0 }
}

/// The larger |element| of the lower halves, and of the upper ones. What stands below an upper half only
/// breaks ties.
#[inline(always)]
fn absmax_of_halves(running: [u32; 2], window: Window) -> [u32; 2] {
    let [mut low, mut high] = running;
    for word in window {
        low = low.max(word & 0x7fff);
        high = high.max(word & 0x7fff_ffff);
    }
    [low, high]
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
        absmax_of_halves(running, window)
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        cvt_f32_f16(running[0].max(running[1] >> 16) as u16).to_bits()
    }

    #[inline(always)]
    fn extremes(running: [u32; 2], window: Window) -> [u32; 2] {
        extremes_of_halves(running, window)
    }

    #[inline(always)]
    fn extremes_bits([high, low]: [u32; 2]) -> [u32; 2] {
        [cvt_f32_f16((high >> 16) as u16).to_bits(), cvt_f32_f16((magnitude_below_zero(low) >> 16) as u16).to_bits()]
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
        absmax_of_halves(running, window)
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        f32_from_bf16(running[0].max(running[1] >> 16) as u16).to_bits()
    }

    #[inline(always)]
    fn extremes(running: [u32; 2], window: Window) -> [u32; 2] {
        extremes_of_halves(running, window)
    }

    #[inline(always)]
    fn extremes_bits([high, low]: [u32; 2]) -> [u32; 2] {
        [
            f32_from_bf16((high >> 16) as u16).to_bits(),
            f32_from_bf16((magnitude_below_zero(low) >> 16) as u16).to_bits(),
        ]
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
    extern crate std;
    use super::*;
    use std::vec::Vec;

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
    fn extremes_of_both_halves_of_a_word() {
        let bits = |v: f32| (v.to_bits() >> 16) as u16;
        for place in 0..8 {
            for (value, want) in [(6.0, [6.0, 2.0]), (-6.0, [1.0, 6.0])] {
                let mut halves =
                    [bits(1.0), bits(-2.0), bits(1.0), bits(-2.0), bits(1.0), bits(-2.0), bits(1.0), bits(-2.0)];
                halves[place] = bits(value);
                let words: Vec<u32> = halves.chunks(2).map(|pair| pair[0] as u32 | (pair[1] as u32) << 16).collect();
                let got = Bf16::extremes_bits(Bf16::extremes([0; 2], [words[0], words[1], words[2], words[3]]));
                assert_eq!(got.map(f32::from_bits), want, "{value} at {place}");
            }
        }
    }

    #[test]
    fn both_halves_of_a_word_count() {
        let bf16s = |halves: [u16; 8]| {
            let words: Vec<u32> = halves.chunks(2).map(|pair| pair[0] as u32 | (pair[1] as u32) << 16).collect();
            Bf16::absmax_bits(Bf16::absmax([0; 2], [words[0], words[1], words[2], words[3]]))
        };
        let bits = |v: f32| (v.to_bits() >> 16) as u16;
        for place in 0..8 {
            let mut halves = [bits(1.0); 8];
            halves[place] = bits(-5.0);
            assert_eq!(bf16s(halves), 5f32.to_bits(), "largest at {place}");
            halves[place] = 0xffff;
            assert!(f32::from_bits(bf16s(halves)).is_nan(), "NaN at {place}");
        }
    }
}
