//! The division in two operations that kernels use where x and the absmax that its scale was made from have 16 bits:
//! every pair of them. No sample would do: a reciprocal alone is wrong for some eight thousand of 10⁹ pairs.

use half::{bf16, f16};

/// Adding it rounds to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;

/// 2⁻¹⁰⁰, below which no scale is.
const SCALE_MIN: f32 = f32::from_bits((127 - 100) << 23);

/// The product of two f32, which f64 holds exactly, rounded down.
fn mul_down(a: f32, b: f32) -> f32 {
    let exact = f64::from(a) * f64::from(b);
    let nearest = exact as f32;
    if f64::from(nearest) > exact { nearest.next_down() } else { nearest }
}

/// How many pairs of numbers, which ascend from 0 on, get another code than from the f32 quotient: by both operations,
/// and by the reciprocal alone.
fn differing(numbers: &[f32]) -> [u64; 2] {
    let mut differing = [0; 2];
    for (last, absmax) in numbers.iter().enumerate().skip(1) {
        let scale = (absmax / 127.0).max(SCALE_MIN);
        let reciprocal = 1.0 / scale;
        let rest = mul_down((-scale).mul_add(reciprocal, 1.0), reciprocal);
        // Quotients far below a half have code 0 either way.
        let first = numbers.partition_point(|x| *x < 0.25 * scale).min(last);
        for x in &numbers[first..=last] {
            let want = (x / scale + ROUND).to_bits();
            differing[0] += u64::from((x.mul_add(reciprocal, x * rest) + ROUND).to_bits() != want);
            differing[1] += u64::from((x * reciprocal + ROUND).to_bits() != want);
        }
    }
    differing
}

#[test]
fn no_pair_of_16_bits_gets_another_code() {
    let f16s: Vec<f32> = (0..=f16::MAX.to_bits()).map(|bits| f16::from_bits(bits).to_f32()).collect();
    let bf16s: Vec<f32> = (0..=bf16::MAX.to_bits()).map(|bits| bf16::from_bits(bits).to_f32()).collect();
    for numbers in [f16s, bf16s] {
        let [both, reciprocal] = differing(&numbers);
        assert_eq!(both, 0, "codes that differ");
        assert!(reciprocal > 5000, "the reciprocal alone is not enough, got {reciprocal} differences");
    }
}
