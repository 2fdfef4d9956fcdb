//! The limits and constants of the numeric contract (NUMERICS.md) that both sides need.

use crate::swizzle;

/// Rows of codes that our quantizers write are zero-padded to this many bytes.
pub const ROW_ALIGN_BYTES: u64 = 128;

/// The largest K whose int32 accumulator cannot overflow: 127 · 127 · K ≤ 2³¹ − 1.
pub const MAX_K: u64 = 133_144;

/// The largest code of the symmetric scheme; the smallest is its negative.
pub const CODE_MAX: f32 = 127.0;

/// The largest code of the asymmetric scheme less its smallest, 127 + 128.
pub const CODE_RANGE: f32 = 255.0;

/// The smallest code of the asymmetric scheme.
pub const CODE_MIN_ASYM: f32 = -128.0;

/// 2⁻¹⁰⁰: scales below it are raised to it, so that the division in three operations is exact.
pub const SCALE_MIN: f32 = f32::from_bits((127 - 100) << 23);

/// 2¹⁰⁰: the largest scale that may be given.
pub const SCALE_MAX: f32 = f32::from_bits((127 + 100) << 23);

/// 2¹⁰⁶: a batch of a larger absmax is left out of a running scale, which so stays a scale that may be given.
pub const RUNNING_ABSMAX_MAX: f32 = f32::from_bits((127 + 106) << 23);

/// The bits of the one NaN that is ever written: f32.
pub const NAN_F32: u32 = 0x7fff_ffff;

/// The bits of the one NaN that is ever written: f16 and bf16.
pub const NAN_16: u16 = 0x7fff;

/// The unit in which products read rows of codes, and the alignment of each row.
pub const CHUNK_BYTES: u64 = swizzle::CHUNK_BYTES as u64;

/// Bytes of a row of `cols` codes that a product may read: whole chunks.
pub const fn readable_row_bytes(cols: u64) -> u64 {
    cols.next_multiple_of(CHUNK_BYTES)
}

/// Bytes from one row of codes to the next for `cols` codes a row.
pub const fn padded_row_bytes(cols: u64) -> u64 {
    cols.next_multiple_of(ROW_ALIGN_BYTES)
}

const _: () = assert!(127 * 127 * MAX_K <= i32::MAX as u64 && 127 * 127 * (MAX_K + 1) > i32::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_to_a_whole_k_block() {
        assert_eq!([0, 1, 127, 128, 129, MAX_K].map(padded_row_bytes), [0, 128, 128, 128, 256, 133_248]);
    }

    #[test]
    fn constants_are_what_the_contract_says() {
        assert_eq!((SCALE_MIN as f64, SCALE_MAX as f64), (0.5f64.powi(100), 2f64.powi(100)));
        assert!(f32::from_bits(NAN_F32).is_nan());
        assert_eq!(RUNNING_ABSMAX_MAX as f64, 2f64.powi(106));
        assert!(RUNNING_ABSMAX_MAX.next_up() / CODE_MAX < SCALE_MAX, "an average is rounded up by an ulp at most");
    }
}
