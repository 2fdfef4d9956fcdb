//! Smoothing: x'_j = f32(x_j / s_j), one factor a column, in the quantizer's own pass over x.

use cuda_std::math::div_rn_f32;
use cuda_std::memory::{ld_global_nc_b32, ld_global_nc_v4_b32};
use rows::{Float, Row, Window};

use crate::code::Divisor;
use crate::transform::{Columns, Transform};

/// Elements that a window has at most.
pub(crate) const MOST: usize = 8;

/// A window of x', in f32 whatever x is: rounding it to 16 bits again would be a second rounding. The places past a
/// window's elements are 0; for f32, which has four, the compiler drops the others.
pub(crate) type Smooth = [f32; MOST];

/// x divided by the factors of its columns.
#[derive(Clone, Copy)]
pub(crate) struct Smoothed {
    /// Address of the factors, f32 `[cols]`, 16-byte aligned.
    pub(crate) factors: u64,
}

impl Smoothed {
    /// The factors of the columns, 1 where there is no element.
    ///
    /// # Safety
    /// The factors are live.
    #[inline(always)]
    unsafe fn factors<T: Float>(self, columns: Columns) -> Smooth {
        let mut factors = [1.0; MOST];
        let addr = self.factors + 4 * columns.first;
        // Uniform over a row but for its edges: windows start at multiples of their length if the row is aligned.
        if columns.len == Row::<T>::WINDOW && columns.first.is_multiple_of(4) {
            for four in 0..Row::<T>::WINDOW / 4 {
                // SAFETY: all columns of a whole window have factors; four of them from a multiple of four on.
                let words = unsafe { ld_global_nc_v4_b32(addr + 16 * four as u64) };
                for i in 0..4 {
                    factors[(4 * four + i) as usize] = f32::from_bits(words[i as usize]);
                }
            }
        } else {
            for i in 0..Row::<T>::WINDOW {
                if i < columns.len {
                    // SAFETY: this column has a factor.
                    factors[i as usize] = f32::from_bits(unsafe { ld_global_nc_b32(addr + 4 * i as u64) });
                }
            }
        }
        factors
    }

    /// x' of a window.
    ///
    /// # Safety
    /// The factors are live.
    #[inline(always)]
    pub(crate) unsafe fn window<T: Float>(self, window: Window, columns: Columns) -> Smooth {
        // SAFETY: the caller's.
        let factors = unsafe { self.factors::<T>(columns) };
        let mut smooth = [0.0; MOST];
        for i in 0..Row::<T>::WINDOW {
            if i < columns.len {
                smooth[i as usize] = div_rn_f32(T::widen(window, i), factors[i as usize]);
            }
        }
        smooth
    }
}

impl<T: Float> Transform<T> for Smoothed {
    type Held = Smooth;
    const NOTHING: Smooth = [0.0; MOST];

    #[inline(always)]
    unsafe fn hold(self, window: Window, columns: Columns) -> Smooth {
        // SAFETY: the caller's.
        unsafe { self.window::<T>(window, columns) }
    }

    #[inline(always)]
    fn absmax(running: [u32; 2], held: Smooth) -> [u32; 2] {
        let mut max = running[0];
        for smooth in held {
            // Patterns of magnitudes order as the numbers do, with NaN above Inf.
            max = max.max(smooth.to_bits() & 0x7fff_ffff);
        }
        [max, 0]
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        running[0]
    }

    #[inline(always)]
    fn codes(divisor: Divisor, held: Smooth) -> Window {
        divisor.codes_of_f32::<T>(held)
    }
}
