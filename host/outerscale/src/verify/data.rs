//! Data that finds what is wrong: random numbers alone never meet a tie, a NaN or a tile's edge.

use crate::{Dtype, Float, Layout};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer in `0..n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// A number in [-1, 1).
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A power of two with an exponent in `low..=high`.
    fn power(&mut self, low: i32, high: i32) -> f32 {
        2f32.powi(low + self.below((high - low + 1) as u64) as i32)
    }

    fn sign(&mut self) -> f32 {
        if self.bits() & 1 == 0 { 1.0 } else { -1.0 }
    }
}

/// What the rows of a matrix are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Bell-shaped, with an outlier here and there, each row at its own size.
    Normal,
    /// Every quotient by the row's scale is a tie.
    Ties,
    /// Every quotient is a tie or a few units in the last place beside one.
    NearTies,
    /// As Ties, for a scale of 1/255 of the range, which has 0 anywhere.
    ShiftedTies,
    /// As NearTies, for such a scale.
    ShiftedNearTies,
    /// Zeros of both signs.
    Zeros,
    /// Subnormals of the element type, for f32 scales below the floor of 2⁻¹⁰⁰.
    Tiny,
    /// The largest finite values.
    Huge,
    /// Normal, but one element is NaN, with a sign and a payload.
    Nan,
    /// Normal, but one element is infinite.
    Infinite,
    /// Each row another one of the others.
    Mixed,
}

impl Pattern {
    /// For what has a scale a row: a row's specials stay its own.
    pub(super) const ROWS: [Pattern; 4] = [Pattern::Mixed, Pattern::Normal, Pattern::Ties, Pattern::NearTies];
    /// For what has a zero point a row too.
    pub(super) const SHIFTED_ROWS: [Pattern; 4] =
        [Pattern::Mixed, Pattern::Normal, Pattern::ShiftedTies, Pattern::ShiftedNearTies];
    /// Each kind by itself.
    pub(super) const SINGLE: [Pattern; 8] = [
        Pattern::Normal,
        Pattern::Ties,
        Pattern::NearTies,
        Pattern::Zeros,
        Pattern::Tiny,
        Pattern::Huge,
        Pattern::Nan,
        Pattern::Infinite,
    ];
}

/// A matrix [rows, cols] of a pattern.
pub(super) fn matrix<T: Float>(random: &mut Random, pattern: Pattern, rows: u64, cols: u64) -> Vec<T> {
    let mut values = Vec::with_capacity((rows * cols) as usize);
    for row in 0..rows {
        let pattern = match pattern {
            Pattern::Mixed => Pattern::SINGLE[((row + random.below(2)) % 8) as usize],
            other => other,
        };
        let start = values.len();
        match pattern {
            Pattern::Normal | Pattern::Nan | Pattern::Infinite | Pattern::Mixed => {
                let size = random.power(-6, 6);
                values.extend((0..cols).map(|_| T::narrow(bell(random) * size)));
            }
            Pattern::Ties => {
                // s is a power of two, so that (j + ½) · s is exact in every type.
                let s = random.power(-7, 3);
                values.extend((0..cols).map(|_| T::narrow(random.sign() * (random.below(127) as f32 + 0.5) * s)));
                put(&mut values[start..], random, |random| T::narrow(random.sign() * 127.0 * s));
            }
            Pattern::NearTies => {
                let absmax = T::narrow((1.5 + 0.49 * random.unit()) * random.power(-6, 6)).widen();
                let s = absmax / 127.0;
                values.extend((0..cols).map(|_| {
                    let tie = T::narrow((random.below(127) as f32 + 0.5) * s).widen();
                    T::narrow(random.sign() * beside::<T>(tie, random).min(absmax))
                }));
                put(&mut values[start..], random, |random| T::narrow(random.sign() * absmax));
            }
            Pattern::ShiftedTies => {
                // 255 steps, `below` of them on the side of negative numbers: every half step is exact in every type.
                let (s, below) = (random.power(-7, 3), random.below(256) as f32);
                values.extend((0..cols).map(|_| T::narrow((random.below(255) as f32 + 0.5 - below) * s)));
                put_ends(&mut values[start..], [-below * s, (255.0 - below) * s].map(T::narrow));
            }
            Pattern::ShiftedNearTies => {
                let range = T::narrow((1.5 + 0.49 * random.unit()) * random.power(-6, 6)).widen();
                let below = T::narrow(range * random.below(5) as f32 / 4.0).widen();
                let ends = [-below, range - below].map(T::narrow);
                let s = (ends[1].widen() - ends[0].widen()) / 255.0;
                values.extend((0..cols).map(|_| {
                    let tie = T::narrow((random.below(255) as f32 + 0.5) * s - below).widen();
                    T::narrow(beside::<T>(tie, random).clamp(ends[0].widen(), ends[1].widen()))
                }));
                put_ends(&mut values[start..], ends);
            }
            Pattern::Zeros => values.extend((0..cols).map(|_| T::narrow(0.0 * random.sign()))),
            Pattern::Tiny => values.extend((0..cols).map(|_| T::narrow(random.unit() * tiny(T::DTYPE)))),
            Pattern::Huge => values.extend((0..cols).map(|_| T::narrow(random.sign() * huge(T::DTYPE)))),
        }
        match pattern {
            Pattern::Nan => put(&mut values[start..], random, |random| T::from_bits(nan_bits(T::DTYPE, random))),
            Pattern::Infinite => put(&mut values[start..], random, |random| T::narrow(random.sign() * f32::INFINITY)),
            _ => {}
        }
    }
    values
}

/// About normal, with a tail: one in 64 is an outlier.
fn bell(random: &mut Random) -> f32 {
    let sum = random.unit() + random.unit() + random.unit();
    if random.below(64) == 0 { sum * 20.0 } else { sum }
}

/// Overwrites one element somewhere.
fn put<T>(row: &mut [T], random: &mut Random, value: impl FnOnce(&mut Random) -> T) {
    if !row.is_empty() {
        let index = random.below(row.len() as u64) as usize;
        row[index] = value(random);
    }
}

/// Overwrites the first and the last element.
fn put_ends<T: Copy>(row: &mut [T], ends: [T; 2]) {
    if let Some(first) = row.first_mut() {
        *first = ends[0];
    }
    if let Some(last) = row.last_mut() {
        *last = ends[1];
    }
}

/// `value` or a neighbour at most two steps of the type away.
fn beside<T: Float>(value: f32, random: &mut Random) -> f32 {
    let step = match T::DTYPE {
        Dtype::Bf16 => 1 << 16,
        Dtype::F16 => 1 << 13,
        _ => 1,
    };
    let steps = random.below(5) as i32 - 2;
    f32::from_bits(value.to_bits().wrapping_add_signed(steps * step))
}

fn tiny(dtype: Dtype) -> f32 {
    match dtype {
        // Subnormal in f16.
        Dtype::F16 => 2f32.powi(-15),
        // Every scale from here down is below the floor; products with 2⁻²⁶ reach the subnormals.
        _ => 2f32.powi(-101),
    }
}

fn huge(dtype: Dtype) -> f32 {
    match dtype {
        Dtype::F16 => 65504.0,
        Dtype::Bf16 => f32::from_bits(0x7f7f_0000),
        _ => f32::MAX,
    }
}

/// A NaN of either sign, quiet or signalling.
fn nan_bits(dtype: Dtype, random: &mut Random) -> u32 {
    let payload = 1 + random.below(60) as u32;
    let sign = random.below(2) as u32;
    match dtype {
        Dtype::F32 => sign << 31 | 0x7f80_0000 | payload,
        Dtype::F16 => sign << 15 | 0x7c00 | payload,
        _ => sign << 15 | 0x7f80 | payload,
    }
}

/// Ways to lay out a matrix: aligned for vectors, and every way of not being so.
pub(super) fn layout(way: u64, rows: u64, cols: u64) -> Layout {
    let tight = Layout::contiguous(rows, cols);
    match way % 5 {
        0 => tight,
        1 => tight.with_row_stride(cols.next_multiple_of(16) + 16),
        2 => tight.with_offset(1),
        3 => tight.with_row_stride(cols + 1),
        _ => tight.with_row_stride(cols + 5).with_offset(3),
    }
}

/// How many layouts there are.
pub(super) const LAYOUTS: u64 = 5;

/// A case in words.
pub(super) fn describe(pattern: impl std::fmt::Debug, layout: &Layout) -> String {
    let Layout { rows, cols, row_stride, offset } = layout;
    format!("{pattern:?} data, x [{rows}, {cols}], row stride {row_stride}, offset {offset}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn ties_are_ties() {
        let mut random = Random::new(1);
        for _ in 0..20 {
            let row: Vec<f32> = matrix::<bf16>(&mut random, Pattern::Ties, 1, 50).iter().map(|v| v.to_f32()).collect();
            let s = row.iter().fold(0.0, |m: f32, v| m.max(v.abs())) / 127.0;
            assert_eq!(row.iter().filter(|v| (*v / s).fract().abs() == 0.5).count(), 49);
        }
    }

    #[test]
    fn shifted_ties_are_ties_of_the_range() {
        let mut random = Random::new(4);
        for _ in 0..20 {
            let row: Vec<f32> =
                matrix::<f16>(&mut random, Pattern::ShiftedTies, 1, 50).iter().map(|v| v.to_f32()).collect();
            let (lo, hi) = row.iter().fold((0f32, 0f32), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
            let s = (hi - lo) / 255.0;
            assert_eq!(row.iter().filter(|v| (*v / s).fract().abs() == 0.5).count(), 48, "{lo} to {hi}");
        }
    }

    #[test]
    fn near_ties_lie_beside_ties_within_the_range() {
        let mut random = Random::new(2);
        let row = matrix::<f32>(&mut random, Pattern::NearTies, 1, 1000);
        let absmax = row.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
        let near = |v: &&f32| (((**v / (absmax / 127.0)).abs().fract() - 0.5).abs()) < 1e-4;
        assert!(row.iter().filter(near).count() > 900);
    }

    #[test]
    fn specials_are_what_they_say() {
        let mut random = Random::new(3);
        let nan = matrix::<f16>(&mut random, Pattern::Nan, 1, 9);
        assert_eq!(nan.iter().filter(|v| v.is_nan()).count(), 1);
        let infinite = matrix::<bf16>(&mut random, Pattern::Infinite, 1, 9);
        assert_eq!(infinite.iter().filter(|v| v.is_infinite()).count(), 1);
        let tiny = matrix::<f16>(&mut random, Pattern::Tiny, 1, 99);
        assert!(tiny.iter().all(|v| v.to_f32().abs() <= 2f32.powi(-15)) && tiny.iter().any(|v| v.to_f32() != 0.0));
        let huge = matrix::<f16>(&mut random, Pattern::Huge, 1, 9);
        assert!(huge.iter().all(|v| v.to_f32().abs() == 65504.0));
    }
}
