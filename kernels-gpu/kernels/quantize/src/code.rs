//! Codes: how a number becomes one, and how they are stored.

use contract::args::Codes;
use cuda_std::cvt::{cvt_rni_sat_s8_f32, pack_s8x4, pack_sat_s8x4};
use cuda_std::math::{fma_rn_f32, max_f32, min_f32, mul_rm_f32, prmt_b32, rcp_rn_f32};
use cuda_std::memory::{st_global_b8, st_global_b32, st_global_v2_b32, st_global_v4_b32};
use rows::{Edge, Element, Float, Row, Window};

/// 1.5 · 2²³: f32 around it are the whole numbers, so that adding it rounds to the nearest, ties to even, and leaves the
/// integer in the low bits. That is one addition on the wide pipe, where `cvt` is an instruction of a quarter of the
/// rate of one an eighth as wide.
const ROUND: f32 = 12_582_912.0;

/// Division of many numbers by one scale, equal to the f32 quotient (NUMERICS.md) as far as codes go: each in three
/// operations; in two where both are of 16 bits.
///
/// In two: 1 / s = reciprocal + rest but for 2⁻⁴⁷ of it, hence x / s = fma(x, reciprocal, x · rest) before the one
/// rounding. A code can only differ where x / s is that near to half way between two f32 beside a tie of codes. x and
/// the absmax that s was made from have so few bits that 127 x / absmax is a tie itself or 2⁻¹⁹ off, and there are few
/// enough of them that all were tried: no code differs, for any finite absmax and |x| ≤ absmax of either type
/// (host/oracle/tests/division.rs). The rest is rounded down because that is what five numbers above 2¹²⁵ need, whose
/// rest is subnormal.
#[derive(Clone, Copy)]
pub(crate) struct Divisor {
    scale: f32,
    reciprocal: f32,
    rest: f32,
}

impl Divisor {
    #[inline(always)]
    pub(crate) fn new(scale: f32) -> Self {
        let reciprocal = rcp_rn_f32(scale);
        Self { scale, reciprocal, rest: mul_rm_f32(fma_rn_f32(-scale, reciprocal, 1.0), reciprocal) }
    }

    #[inline(always)]
    pub(crate) fn scale(self) -> f32 {
        self.scale
    }

    /// The quotient of an x of type T that the scale was made from, with others: |x / scale| rounds to 127 at most,
    /// and no clamp is needed. A scale that is not finite makes it NaN.
    #[inline(always)]
    fn quotient<T: Element>(self, x: f32) -> f32 {
        if T::BYTES == 2 { fma_rn_f32(x, self.reciprocal, x * self.rest) } else { self.refine(x, x * self.reciprocal) }
    }

    /// The code of any x. The clamp of the estimate keeps it finite, so that a large x does not become NaN in the
    /// residual; a NaN that it drops comes back with x. The conversion saturates at 127, but at -128 below.
    #[inline(always)]
    fn code_of_any(self, x: f32) -> i32 {
        let estimate = min_f32(max_f32(x * self.reciprocal, -128.0), 128.0);
        cvt_rni_sat_s8_f32(self.refine(x, estimate)).max(-127)
    }

    /// The least |x| whose quotient rounds to more than 127, so that one comparison tells.
    ///
    /// The f32 quotient is at least 127.5, which rounds to 128, from x / scale = c = 127.5 - 2⁻¹⁸ on: half an ulp below
    /// 127.5, whose significand is even. What is sought is scale · c rounded up: it is rounded to nearest here, and
    /// raised where that was less. The difference has few enough bits to be exact.
    #[inline(always)]
    pub(crate) fn saturates_from(self) -> f32 {
        const HALF_ULP: f32 = 1.0 / (1 << 18) as f32;
        let half_ulp = self.scale * HALF_ULP;
        let nearest = fma_rn_f32(self.scale, 127.5, -half_ulp);
        let below = fma_rn_f32(self.scale, 127.5, -nearest) > half_ulp;
        f32::from_bits(nearest.to_bits() + below as u32)
    }

    /// The codes of a window of numbers that the scale was made from, shifted by a zero point and saturated: their
    /// quotients are up to 255. 0 for NaN, which all of a row are or none.
    #[inline(always)]
    pub(crate) fn codes_shifted<T: Float>(self, window: Window, zero_point: i32) -> Window {
        const NAN: i32 = contract::limits::NAN_F32 as i32;
        let shift = if self.scale.is_finite() { zero_point - ROUND.to_bits() as i32 } else { -NAN };
        let code = |quotient: f32| ((quotient + ROUND).to_bits() as i32).wrapping_add(shift);
        let quotient = |x| self.refine(x, x * self.reciprocal);
        pack_words::<T>(|i| quotient(T::widen(window, i)), |quad| pack_sat_s8x4(quad.map(code)))
    }

    /// The quotient, from an estimate of it.
    #[inline(always)]
    fn refine(self, x: f32, estimate: f32) -> f32 {
        let residual = fma_rn_f32(-estimate, self.scale, x);
        fma_rn_f32(residual, self.reciprocal, estimate)
    }

    /// The codes of a window, four a word, of numbers that the scale was made from.
    #[inline(always)]
    pub(crate) fn codes<T: Float>(self, window: Window) -> Window {
        pack_words::<T>(|i| self.quotient::<T>(T::widen(window, i)), |quad| self.round(quad))
    }

    /// The codes of a window, four a word, of any numbers.
    #[inline(always)]
    pub(crate) fn codes_of_any<T: Float>(self, window: Window) -> Window {
        pack_window::<T>(|i| T::widen(window, i), |x| self.code_of_any(x))
    }

    /// The codes of as many numbers as a window has, four a word, that the scale was made from.
    #[inline(always)]
    pub(crate) fn codes_of_f32<T: Float>(self, values: [f32; 8]) -> Window {
        let quotient = |i| self.quotient::<f32>(values[i as usize]);
        pack_words::<T>(quotient, |quad| self.round(quad))
    }

    /// Four quotients of at most 127 to codes in a word, 0 for NaN.
    ///
    /// A NaN, which all of a row are or none, would leave 0x7FFFFFFF: then the bytes picked are copies of its sign.
    #[inline(always)]
    fn round(self, quotients: [f32; 4]) -> u32 {
        const LOWEST: u32 = 0x0040;
        const SIGNS: u32 = 0x00fb;
        let bytes = if self.scale.is_finite() { LOWEST } else { SIGNS };
        let [a, b, c, d] = quotients.map(|quotient| (quotient + ROUND).to_bits());
        prmt_b32(prmt_b32(a, b, bytes), prmt_b32(c, d, bytes), 0x5410)
    }

    /// The codes of as many numbers as a window has, four a word.
    #[inline(always)]
    pub(crate) fn codes_of_any_f32<T: Float>(self, values: [f32; 8]) -> Window {
        pack_window::<T>(|i| values[i as usize], |x| self.code_of_any(x))
    }
}

/// A window of codes, each made of one number.
#[inline(always)]
fn pack_window<T: Float>(value: impl Fn(u32) -> f32, code: impl Fn(f32) -> i32) -> Window {
    pack_words::<T>(value, |quad| pack_s8x4(quad.map(&code)))
}

/// A window of codes, four at a time made of four numbers.
#[inline(always)]
pub(crate) fn pack_words<T: Float>(value: impl Fn(u32) -> f32, codes: impl Fn([f32; 4]) -> u32) -> Window {
    let mut words = [0; 4];
    for word in 0..Row::<T>::WINDOW / 4 {
        let mut quad = [0.0; 4];
        for i in 0..4 {
            quad[i as usize] = value(4 * word + i);
        }
        words[word as usize] = codes(quad);
    }
    words
}

/// One row of codes.
#[derive(Clone, Copy)]
pub(crate) struct CodeRow {
    addr: u64,
    cols: u64,
    row_bytes: u64,
}

impl CodeRow {
    #[inline(always)]
    pub(crate) fn new(q: &Codes, row: u64) -> Self {
        Self { addr: q.ptr + row * q.row_bytes, cols: q.cols, row_bytes: q.row_bytes }
    }

    /// Stores the codes of the whole window of `row` that starts at column `col`.
    ///
    /// # Safety
    /// The row of codes is writable, and this thread alone writes these.
    #[inline(always)]
    pub(crate) unsafe fn store_window<T: Element>(self, row: &Row<T>, col: u64, codes: Window) {
        let addr = self.addr + col;
        // SAFETY: the caller's; aligned windows start at a multiple of their length, from a 16-byte boundary on.
        unsafe {
            if row.is_aligned() {
                match Row::<T>::WINDOW {
                    4 => st_global_b32(addr, codes[0]),
                    8 => st_global_v2_b32(addr, [codes[0], codes[1]]),
                    _ => st_global_v4_b32(addr, codes),
                }
            } else {
                store_bytes(addr, codes, Row::<T>::WINDOW, Row::<T>::WINDOW);
            }
        }
    }

    /// Stores the first of the codes of a window to column `col`.
    ///
    /// # Safety
    /// The row of codes is writable, and this thread alone writes that one.
    #[inline(always)]
    pub(crate) unsafe fn store_one(self, col: u64, codes: Window) {
        // SAFETY: the caller's.
        unsafe { st_global_b8(self.addr + col, codes[0] as u16) }
    }

    /// Stores the codes of an edge.
    ///
    /// # Safety
    /// The row of codes is writable, and this thread alone writes these.
    #[inline(always)]
    pub(crate) unsafe fn store_edge<T: Element>(self, edge: Edge, codes: Window) {
        // SAFETY: the caller's; an edge is shorter than a window.
        unsafe { store_bytes(self.addr + edge.col, codes, edge.len, Row::<T>::WINDOW - 1) }
    }

    /// Stores thread `rank`'s share of the zeros that follow the codes; `threads` threads share the row.
    ///
    /// # Safety
    /// The row of codes is writable, and no other thread writes its padding.
    #[inline(always)]
    pub(crate) unsafe fn store_padding(self, rank: u32, threads: u32) {
        let mut col = self.cols + rank as u64;
        while col < self.row_bytes {
            // SAFETY: the caller's.
            unsafe { st_global_b8(self.addr + col, 0) };
            col += threads as u64;
        }
    }
}

/// Stores the first `len` bytes of `codes`; `most`, a constant, bounds `len`.
///
/// # Safety
/// They are writable, and this thread alone writes them.
#[inline(always)]
unsafe fn store_bytes(addr: u64, codes: Window, len: u32, most: u32) {
    for e in 0..most {
        if e < len {
            // SAFETY: the caller's.
            unsafe { st_global_b8(addr + e as u64, (codes[(e / 4) as usize] >> (8 * (e % 4))) as u16) };
        }
    }
}
