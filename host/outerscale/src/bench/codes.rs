//! The random codes that ours and the peers multiply: the same bits here and in `bench/codes.py`.
//!
//! Element (row, col) of a [rows, cols] matrix follows from its index and a salt alone, by splitmix64 (Steele, Lea,
//! Flood, OOPSLA 2014). Column 0 is 127, so that a quantizer's scale of every row is that of the codes, a power of two,
//! and quantizing gives back the codes that the peers are handed.

use half::bf16;
use rayon::prelude::*;
use serde::Deserialize;

/// How codes are distributed. Power, and with it the clock, depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// As a per-token quantizer makes them of normally distributed values.
    #[default]
    Normal,
    /// All codes from −127 to 127 alike.
    Uniform,
}

/// The salt of x and of w.
pub(super) const SALTS: [u64; 2] = [1, 2];
/// What a code of x and of w stands for; bf16 holds code times unit exactly.
pub(super) const UNITS: [f32; 2] = [1.0 / 32.0, 1.0 / 512.0];

/// The sum of eight random bytes has mean 1020 and standard deviation 209; 731 is 3.5 of those.
const MEAN: i64 = 1020;
const LARGEST: i64 = 731;

const fn mix(index: u64, salt: u64) -> u64 {
    const SECOND: u64 = 0x94d0_49bb_1331_11eb;
    let z = index.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(SECOND));
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(SECOND);
    z ^ z >> 31
}

fn code(data: Data, salt: u64, index: u64, cols: u64) -> i8 {
    if index.is_multiple_of(cols) {
        return 127;
    }
    let z = mix(index, salt);
    let code = match data {
        Data::Uniform => ((z >> 32) % 255) as i64 - 127,
        Data::Normal => {
            let centred = z.to_le_bytes().iter().map(|&byte| i64::from(byte)).sum::<i64>() - MEAN;
            centred.signum() * ((centred.abs() * 127 + LARGEST / 2) / LARGEST).min(127)
        }
    };
    // Both are within ±127 by construction.
    i8::try_from(code).unwrap_or(127)
}

/// Codes [rows, cols] with the salt of x (0) or w (1).
pub(super) fn matrix(data: Data, which: usize, rows: u64, cols: u64) -> Vec<i8> {
    let indices = (0..(rows * cols) as usize).into_par_iter().with_min_len(1 << 16);
    indices.map(|index| code(data, SALTS[which], index as u64, cols)).collect()
}

/// What the codes stand for.
pub(super) fn values(codes: &[i8], which: usize) -> Vec<bf16> {
    codes.par_iter().with_min_len(1 << 16).map(|&code| bf16::from_f32(f32::from(code) * UNITS[which])).collect()
}

/// Sum and sum of magnitudes, by which the peers' data is held against ours.
pub(super) fn checksum(codes: &[i8]) -> [i64; 2] {
    let sums = codes.par_iter().with_min_len(1 << 16).map(|&code| [i64::from(code), i64::from(code).abs()]);
    sums.reduce(|| [0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_codes_are_those_of_the_peers() {
        // The same figures stand in bench/tests/test_report.py.
        let first = |data| matrix(data, 1, 37, 101)[..10].to_vec();
        assert_eq!(first(Data::Normal), [127, -27, 90, 46, 13, 17, 27, 7, 88, -55]);
        assert_eq!(first(Data::Uniform), [127, 79, 98, 3, 69, 61, 12, -25, 41, -76]);
        // Of the torch code, over the whole matrix.
        assert_eq!(checksum(&matrix(Data::Normal, 1, 37, 101)), [4855, 112_061]);
        assert_eq!(checksum(&matrix(Data::Uniform, 1, 37, 101)), [1121, 242_645]);
    }

    #[test]
    fn values_are_exact() {
        let codes: Vec<i8> = (-127..=127).collect();
        for which in [0, 1] {
            let back = values(&codes, which).iter().map(|v| v.to_f32() / UNITS[which]).collect::<Vec<_>>();
            assert!(codes.iter().zip(back).all(|(code, back)| f32::from(*code) == back));
        }
    }
}
