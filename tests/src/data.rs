//! What matrices are filled with: the kinds of numbers that find a wrong rounding, a lost NaN or a
//! missing clamp, and that random numbers alone never meet.

use crate::random::Random;
use half::{bf16, f16};
use outerscale::Float;

/// An input type, with the ends of its range.
pub trait Value: Float {
    /// The largest finite magnitude.
    const LARGEST: Self;
    /// The smallest subnormal.
    const SMALLEST: Self;
    /// The value with these bits (the low 16 for 16-bit types).
    fn from_raw(bits: u32) -> Self;
}

impl Value for f32 {
    const LARGEST: f32 = f32::MAX;
    const SMALLEST: f32 = f32::from_bits(1);
    fn from_raw(bits: u32) -> f32 {
        f32::from_bits(bits)
    }
}

impl Value for f16 {
    const LARGEST: f16 = f16::MAX;
    const SMALLEST: f16 = f16::from_bits(1);
    fn from_raw(bits: u32) -> f16 {
        f16::from_bits(bits as u16)
    }
}

impl Value for bf16 {
    const LARGEST: bf16 = bf16::MAX;
    const SMALLEST: bf16 = bf16::from_bits(1);
    fn from_raw(bits: u32) -> bf16 {
        bf16::from_bits(bits as u16)
    }
}

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Uniform in [-4, 4).
    Uniform,
    /// Normal, with one column 60 times the others: systematic outlier channels.
    Outliers,
    /// About every second row zero, of both signs.
    ZeroRows,
    /// x = (q + ½) · s exactly, s of a few bits: every element a tie, and 1 / s not a number of the type.
    Ties,
    /// x within two units in the last place of (q + ½) · s, s any number; a quarter is half the largest, where
    /// the quotient is 63.5 or next to it whatever the largest is.
    NearTies,
    /// NaN of several payloads and infinities in about every third row.
    NonFinite,
    /// Small multiples of the smallest subnormal, and of what gives the smallest scale.
    Subnormal,
    /// ± the largest number, next to ordinary ones.
    Extremes,
    /// Any bit pattern.
    AnyBits,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 9] = [
        Kind::Uniform,
        Kind::Outliers,
        Kind::ZeroRows,
        Kind::Ties,
        Kind::NearTies,
        Kind::NonFinite,
        Kind::Subnormal,
        Kind::Extremes,
        Kind::AnyBits,
    ];

    /// `rows × cols` elements of this kind, row-major; the same for the same seed.
    pub fn matrix<T: Value>(self, rows: usize, cols: usize, seed: u64) -> Vec<T> {
        let mut random = Random::new(seed);
        let of_matrix =
            OfMatrix { outlier: random.below(cols.max(1) as u64) as usize, reach: random.pick(&[2, 40, 300]) };
        let mut x = Vec::with_capacity(rows * cols);
        for _ in 0..rows {
            self.row(cols, of_matrix, &mut random, &mut x);
        }
        x
    }

    fn row<T: Value>(self, cols: usize, of_matrix: OfMatrix, random: &mut Random, x: &mut Vec<T>) {
        // A row of its own kind now and then, so that rows that spoil themselves have neighbours they must not spoil.
        let special = random.below(3) != 0;
        let scale = 2f32.powi(random.between(-8, 6) as i32);
        let any_scale = scale * (1.0 + random.unit().abs());
        // 127 of them must fit f16, whose largest number is 65,504.
        let tie_scale = scale.min(1.0) * few_bits::<T>(random);
        let holds_absmax = random.below(cols.max(1) as u64) as usize;
        for col in 0..cols {
            let plain = T::narrow(4.0 * random.unit());
            x.push(match self {
                Kind::Uniform => plain,
                Kind::Outliers => T::narrow(random.normal() * if col == of_matrix.outlier { 60.0 } else { 1.0 }),
                Kind::ZeroRows if special => T::narrow(random.pick(&[0.0, -0.0])),
                Kind::NonFinite if special && random.below(1 + cols as u64 / 2) == 0 => non_finite(random),
                Kind::ZeroRows | Kind::NonFinite => plain,
                // The row's scale is s only if some element is 127 · s.
                Kind::Ties if col == holds_absmax => T::narrow(127.0 * tie_scale),
                Kind::Ties => tie(tie_scale, random),
                Kind::NearTies => near_tie(any_scale, col == holds_absmax, random),
                Kind::Subnormal => subnormal(special, of_matrix.reach, random),
                Kind::Extremes => random.pick(&[plain, T::LARGEST, negative(T::LARGEST), T::SMALLEST, T::ZERO]),
                Kind::AnyBits => T::from_raw(random.bits() as u32),
            });
        }
    }
}

/// What all rows of a matrix have in common.
#[derive(Clone, Copy)]
struct OfMatrix {
    /// The column that has the outliers.
    outlier: usize,
    /// The largest multiple of the small steps: below 127 · 2 every scale is the smallest there is.
    reach: i64,
}

fn negative<T: Value>(v: T) -> T {
    T::narrow(-v.widen())
}

fn non_finite<T: Value>(random: &mut Random) -> T {
    match random.below(4) {
        0 => T::narrow(f32::INFINITY),
        1 => T::narrow(f32::NEG_INFINITY),
        2 => T::narrow(f32::NAN),
        // A NaN of either sign with a payload of its own, quiet or not: |LARGEST| + 1 is infinity, more is NaN.
        _ => T::from_raw(T::LARGEST.bits() + 2 + random.below(60) as u32 + random.pick(&[0, sign::<T>()])),
    }
}

/// The sign bit.
fn sign<T: Value>() -> u32 {
    1 << (T::DTYPE.bytes() * 8 - 1)
}

/// An odd number c so small that the type holds 127 · c.
fn few_bits<T: Value>(random: &mut Random) -> f32 {
    let most = match T::DTYPE {
        outerscale::Dtype::F16 => 16,
        outerscale::Dtype::Bf16 => 2,
        _ => 256,
    };
    (2 * random.below(most / 2) + 1) as f32
}

/// (q + ½) · s, q as large as the type can hold that.
fn tie<T: Value>(s: f32, random: &mut Random) -> T {
    let mut q = random.between(-127, 126);
    loop {
        let exact = (q as f32 + 0.5) * s;
        let held = T::narrow(exact);
        if held.widen() == exact {
            return held;
        }
        q /= 2;
    }
}

fn near_tie<T: Value>(absmax: f32, holds_absmax: bool, random: &mut Random) -> T {
    let absmax: T = T::narrow(absmax);
    if holds_absmax {
        return absmax;
    }
    let scale = absmax.widen() / 127.0;
    if random.below(4) == 0 {
        return T::narrow(absmax.widen() * random.pick(&[0.5, -0.5]));
    }
    let tie = T::narrow((random.between(0, 125) as f32 + 0.5) * scale);
    // Neighbours in the type: bit patterns of finite numbers of one sign are in order.
    let near = tie.bits() as i64 + random.between(-2, 2);
    T::from_raw(near as u32 | random.pick(&[0, sign::<T>()]))
}

fn subnormal<T: Value>(of_the_floor: bool, reach: i64, random: &mut Random) -> T {
    let steps = random.between(-reach, reach) as f32;
    if of_the_floor {
        // absmax / 127 next to 2⁻¹⁰⁰. f16 has no such numbers and gets zeros.
        T::narrow(steps * 2f32.powi(-101))
    } else {
        T::narrow(steps * T::SMALLEST.widen())
    }
}

/// What codes are filled with, for products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// Every code from -127 to 127.
    Uniform,
    /// 120 to 127 of either sign by row: sums that leave 24 bits within a few hundred products.
    Large,
    /// One code of a row not 0, so that a misplaced element shows as itself.
    OneHot,
}

impl Codes {
    /// All of them.
    pub const ALL: [Codes; 3] = [Codes::Uniform, Codes::Large, Codes::OneHot];

    /// `rows × cols` codes, row-major; the same for the same seed.
    pub fn matrix(self, rows: usize, cols: usize, seed: u64) -> Vec<i8> {
        let mut random = Random::new(seed);
        let mut codes = Vec::with_capacity(rows * cols);
        for _ in 0..rows {
            let sign = random.pick(&[-1, 1]);
            let hot = random.below(cols.max(1) as u64) as usize;
            for col in 0..cols {
                codes.push(match self {
                    Codes::Uniform => random.between(-127, 127) as i8,
                    Codes::Large => (sign * random.between(120, 127)) as i8,
                    Codes::OneHot if col == hot => random.between(1, 127) as i8,
                    Codes::OneHot => 0,
                });
            }
        }
        codes
    }
}

/// Scales that differ by row and are not powers of two, so that a swapped pair shows.
pub fn scales(len: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed ^ 0x5ca1e);
    (0..len).map(|_| (1.0 + random.unit().abs()) * 2f32.powi(random.between(-12, -4) as i32)).collect()
}

/// Smoothing factors: most within a few powers of two of 1, some ones, and now and then one at an end of the range or
/// a tiny bit off a power of two, where the reciprocal rounds worst.
pub fn factors(len: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed ^ 0xfac7);
    let ends = [1e-5, 2f32.powi(100), 1f32.next_down(), 1f32.next_up(), 2f32.next_down()];
    let mut one = || match random.below(8) {
        0 => 1.0,
        1 => random.pick(&ends),
        _ => (1.0 + random.unit().abs()) * 2f32.powi(random.between(-6, 6) as i32),
    };
    (0..len).map(|_| one()).collect()
}

/// The bias that takes away the y of a token with codes `x` and scale `s_x`: -(s_x · (s_w · acc)), rounded.
pub fn cancelling_bias(x: &[i8], w: &[i8], s_x: f32, s_w: &[f32]) -> Vec<f32> {
    let sum = |row: &[i8]| x.iter().zip(row).map(|(x, w)| i32::from(*x) * i32::from(*w)).sum::<i32>();
    w.chunks(x.len()).zip(s_w).map(|(row, s_w)| -(s_x * (s_w * sum(row) as f32))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widen<T: Value>(x: Vec<T>) -> Vec<f32> {
        x.into_iter().map(Float::widen).collect()
    }

    fn contents<T: Value>() {
        let (rows, cols) = (40, 64);
        let of = |kind: Kind| widen(kind.matrix::<T>(rows, cols, 7));
        let row_is_zero = |x: &[f32]| x.chunks(cols).filter(|row| row.iter().all(|v| *v == 0.0)).count();
        assert!((5..36).contains(&row_is_zero(&of(Kind::ZeroRows))));
        let spoilt = of(Kind::NonFinite);
        let rows_spoilt = spoilt.chunks(cols).filter(|row| row.iter().any(|v| !v.is_finite())).count();
        assert!((5..36).contains(&rows_spoilt), "{rows_spoilt}");
        assert!(spoilt.iter().any(|v| v.is_nan()) && spoilt.iter().any(|v| v.is_infinite()));
        let largest = T::LARGEST.widen();
        assert!(of(Kind::Extremes).contains(&largest) && of(Kind::Extremes).contains(&-largest));
        assert!(of(Kind::Subnormal).iter().any(|v| *v != 0.0 && v.abs() < 300.5 * T::SMALLEST.widen()));
        // A whole tensor below the smallest scale, where the type has such numbers.
        let floor =
            |seed| oracle::quantize_tensor(&widen(Kind::Subnormal.matrix::<T>(3, 50, seed))).1 == 2f32.powi(-100);
        assert!(T::SMALLEST.widen() > 2f32.powi(-100) || (0..20).filter(|seed| floor(*seed)).count() > 3);
        assert!(
            widen(Kind::Uniform.matrix::<T>(0, 5, 1)).is_empty() && widen(Kind::Ties.matrix::<T>(3, 0, 1)).is_empty()
        );
    }

    #[test]
    fn every_kind_holds_what_it_says() {
        contents::<f32>();
        contents::<f16>();
        contents::<bf16>();
    }

    #[test]
    fn ties_are_ties() {
        all_ties::<f32>();
        all_ties::<f16>();
        all_ties::<bf16>();
    }

    fn all_ties<T: Value>() {
        let x = widen(Kind::Ties.matrix::<T>(20, 50, 3));
        let (mut ties, mut all) = (0, 0);
        for row in x.chunks(50) {
            let s = oracle::quantize_token(row, 1, 50).1[0];
            ties += row.iter().filter(|&&v| (v / s).fract().abs() == 0.5).count();
            all += row.len() - 1;
        }
        assert_eq!(ties, all);
    }

    #[test]
    fn near_ties_meet_both_sides() {
        // Codes of the true quotient and of the rounding half away differ on ties only: both must occur.
        let x = widen(Kind::NearTies.matrix::<f32>(50, 50, 3));
        let (mut below, mut on, mut above) = (0, 0, 0);
        for row in x.chunks(50) {
            let s = oracle::quantize_token(row, 1, 50).1[0];
            for v in row {
                let fraction = (v / s).abs().fract();
                below += usize::from(fraction > 0.499 && fraction < 0.5);
                on += usize::from(fraction == 0.5);
                above += usize::from(fraction > 0.5 && fraction < 0.501);
            }
        }
        assert!(below > 100 && on > 100 && above > 100, "{below} {on} {above}");
    }

    #[test]
    fn large_codes_leave_24_bits() {
        let q = Codes::Large.matrix(2, 2048, 1);
        let acc = oracle::gemm_i32(&q, &q, 2, 2, 2048).unwrap();
        assert!(acc.iter().all(|a| a.unsigned_abs() > 1 << 24));
    }
}
