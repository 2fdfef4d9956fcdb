//! The absmax whose codes lose the least information: NVIDIA's calibration by relative entropy.
//!
//! Source: S. Migacz, "8-bit Inference with TensorRT", GTC 2017, and NVIDIA's open form of it, pytorch-quantization's
//! `calib/histogram.py`, from which the details are: 2,048 equal bins up to the largest |x|; the first bin, where
//! zeros are, counts as the second does; a candidate is the upper edge of bin i ≥ 128, so nothing below a sixteenth of
//! the largest is chosen. Its reference P is the first i bins, those beyond added to the last of them. Q is the first
//! i bins alone, merged to 128 levels and spread evenly again over those bins of a level that are not empty. The least
//! KL(P ‖ Q) wins, the larger candidate among equals.

use super::Histogram;
use rayon::prelude::*;

/// Equal bins up to the largest |x|.
const BINS: usize = 2048;
/// Magnitudes of the codes: 0 to 127.
const LEVELS: usize = 128;

/// The candidate of the least divergence.
pub(super) fn least_divergence(values: &Histogram, largest: f32) -> f32 {
    if largest == 0.0 {
        return 0.0;
    }
    let bins = equal_bins(values, largest);
    let divergences: Vec<f64> = (LEVELS..=BINS).into_par_iter().map(|end| divergence(&bins, end)).collect();
    let least = divergences.iter().enumerate().rev().min_by(|a, b| a.1.total_cmp(b.1));
    let end = least.map_or(BINS, |(index, _)| index + LEVELS);
    (f64::from(largest) * end as f64 / BINS as f64) as f32
}

/// Counts in equal bins, each magnitude by its middle.
fn equal_bins(values: &Histogram, largest: f32) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    for (magnitude, count) in values.magnitudes() {
        let bin = (magnitude / f64::from(largest) * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += count as f64;
    }
    bins[0] = bins[1];
    bins
}

/// KL(P ‖ Q) of the candidate that ends with bin `end` − 1; infinite where Q lacks what P has.
fn divergence(bins: &[f64], end: usize) -> f64 {
    let kept = &bins[..end];
    let mut levels = [(0.0, 0u32); LEVELS];
    for (bin, count) in kept.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        let level = &mut levels[bin * LEVELS / end];
        *level = (level.0 + count, level.1 + 1);
    }
    let q = |bin: usize| {
        let (sum, bins) = levels[bin * LEVELS / end];
        if kept[bin] > 0.0 { sum / f64::from(bins) } else { 0.0 }
    };
    let beyond: f64 = bins[end..].iter().sum();
    let p = |bin: usize| kept[bin] + if bin + 1 == end { beyond } else { 0.0 };
    let q_sum: f64 = kept.iter().sum();
    if q_sum == 0.0 {
        return f64::INFINITY;
    }
    let p_sum = q_sum + beyond;
    let term = |bin: usize| {
        let (p, q) = (p(bin) / p_sum, q(bin) / q_sum);
        if p > 0.0 { p * (p / q).ln() } else { 0.0 }
    };
    (0..end).map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergences_by_hand() {
        // One bin a level: Q is P, whatever the counts.
        let mut bins = vec![3.0; BINS];
        bins[5] = 7.0;
        bins[LEVELS..].fill(0.0);
        assert!(divergence(&bins, LEVELS).abs() < 1e-12);
        // Two bins a level, 1 and 3 of them in each: ¼ ln ½ + ¾ ln 1½.
        let mut bins: Vec<f64> = (0..BINS).map(|bin| if bin % 2 == 0 { 1.0 } else { 3.0 }).collect();
        bins[2 * LEVELS..].fill(0.0);
        let want = 0.25 * 0.5f64.ln() + 0.75 * 1.5f64.ln();
        assert!((divergence(&bins, 2 * LEVELS) - want).abs() < 1e-12);
        // What is beyond falls into an empty bin.
        bins[2 * LEVELS - 1] = 0.0;
        bins[BINS - 1] = 1.0;
        assert_eq!(divergence(&bins, 2 * LEVELS), f64::INFINITY);
        assert_eq!(divergence(&[0.0; BINS], BINS), f64::INFINITY);
    }

    #[test]
    fn a_flat_histogram_keeps_its_range() {
        let mut values = Histogram::default();
        values.observe(&(1..=200_000).map(|i| i as f32 / 50_000.0).collect::<Vec<_>>());
        let chosen = least_divergence(&values, 4.0);
        assert!(chosen > 3.9, "{chosen}");
    }
}
