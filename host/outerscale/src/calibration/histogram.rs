//! A histogram of magnitudes that needs no range beforehand.

use rayon::prelude::*;
use std::collections::BTreeMap;

/// Bits of the significand that a bin does not tell apart: 11 of 23 remain, so that a bin is 2⁻¹¹ of its lower edge
/// wide or less.
const MERGED_BITS: u32 = 12;

/// How often each magnitude occurred.
///
/// A bin is the upper bits of the binary32 pattern of |x|, which order as the numbers do: bins are the same for every
/// batch whatever its range, hence counts add up exactly in any order. Only bins that occurred are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    zeros: u64,
    bins: BTreeMap<u32, u64>,
}

impl Histogram {
    /// From the number of zeros, and bins with their counts.
    ///
    /// # Errors
    /// The rule that is broken: bins ascend, are those of finite numbers, and none is empty.
    pub(super) fn from_parts(zeros: u64, bins: &[u32], counts: &[u64]) -> Result<Self, String> {
        if bins.len() != counts.len() {
            return Err(format!("must have a count for each of {} bins, has {}", bins.len(), counts.len()));
        }
        if !bins.is_sorted_by(|a, b| a < b) || bins.last().is_some_and(|bin| *bin >= Self::END) {
            return Err(format!("must be bins in ascending order, each below {}", Self::END));
        }
        if counts.contains(&0) {
            return Err("must have no empty bin".to_owned());
        }
        let total = counts.iter().try_fold(zeros, |sum, count| sum.checked_add(*count));
        total.ok_or("has more numbers than can be counted")?;
        Ok(Histogram { zeros, bins: bins.iter().copied().zip(counts.iter().copied()).collect() })
    }

    /// The first bin that is of no finite number: that of infinity.
    const END: u32 = f32::INFINITY.to_bits() >> MERGED_BITS;

    /// Width of a bin at most, by its lower edge; subnormal ones are wider.
    pub(super) const RELATIVE_WIDTH: f64 = (1u32 << MERGED_BITS) as f64 / (1u32 << 23) as f64;

    /// Counts the finite among `values`; how many others there were.
    pub fn observe(&mut self, values: &[f32]) -> u64 {
        let finite = values.par_iter().filter(|v| v.is_finite());
        // Sorting is faster than a tree walk for every element, and exact whatever the order.
        let mut keys: Vec<u32> = finite.map(|v| v.abs().to_bits()).collect();
        let non_finite = values.len() - keys.len();
        keys.par_sort_unstable();
        let zeros = keys.partition_point(|bits| *bits == 0);
        self.zeros += zeros as u64;
        for run in keys[zeros..].chunk_by(|a, b| a >> MERGED_BITS == b >> MERGED_BITS) {
            *self.bins.entry(run[0] >> MERGED_BITS).or_default() += run.len() as u64;
        }
        non_finite as u64
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.zeros += other.zeros;
        for (bin, count) in &other.bins {
            *self.bins.entry(*bin).or_default() += count;
        }
    }

    /// How many numbers were counted, zeros among them.
    pub fn total(&self) -> u64 {
        self.zeros + self.bins.values().sum::<u64>()
    }

    /// How many zeros.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The bins that occurred, ascending, and their counts.
    pub(super) fn bins(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.bins.iter().map(|(bin, count)| (*bin, *count))
    }

    /// The middle of each bin that occurred, ascending, and its count.
    pub fn magnitudes(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.bins().map(|(bin, count)| (f64::from(f32::from_bits(bin << MERGED_BITS | 1 << (MERGED_BITS - 1))), count))
    }

    /// The least upper edge of a bin below which at least the share `share` (0 to 1) of the numbers lies; 0 where
    /// that many are zeros, or nothing was counted.
    pub fn quantile(&self, share: f64) -> f32 {
        let wanted = (share * self.total() as f64).ceil() as u64;
        let mut reached = self.zeros;
        let mut edge = 0;
        for (bin, count) in self.bins() {
            if reached >= wanted {
                break;
            }
            reached += count;
            edge = bin << MERGED_BITS | ((1 << MERGED_BITS) - 1);
        }
        f32::from_bits(edge)
    }

    /// The mean of `of` over all numbers, zeros among them; 0 where there are none.
    pub fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        let sum: f64 = self.magnitudes().map(|(magnitude, count)| of(magnitude) * count as f64).sum();
        (sum + of(0.0) * self.zeros as f64) / self.total().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_within_half_a_bin() {
        for value in [1.0f32, -1.9999, 3e-39, 1e30, f32::MAX, 1e-45] {
            let mut histogram = Histogram::default();
            assert_eq!(histogram.observe(&[value, 0.0, f32::NAN, f32::INFINITY]), 2);
            let (magnitude, count) = histogram.magnitudes().next().unwrap();
            let bin = f64::from(value.abs()) * 2f64.powi(-12) + f64::from(f32::from_bits(1 << 11));
            assert!((magnitude - f64::from(value.abs())).abs() <= bin, "{value:e}: {magnitude:e}");
            assert_eq!((count, histogram.zeros(), histogram.total()), (1, 1, 2));
        }
    }

    #[test]
    fn quantiles_count_zeros_and_reach_the_share() {
        let mut histogram = Histogram::default();
        histogram.observe(&[0.0, 0.0, 1.0, 2.0, 4.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        let within = |quantile: f32, value: f32| assert!((value..value * 1.0005).contains(&quantile), "{quantile}");
        assert_eq!((histogram.quantile(0.0), histogram.quantile(0.2)), (0.0, 0.0));
        within(histogram.quantile(0.21), 1.0);
        within(histogram.quantile(0.6), 4.0);
        within(histogram.quantile(0.61), 8.0);
        within(histogram.quantile(1.0), 64.0);
        assert_eq!(Histogram::default().quantile(1.0), 0.0);
    }

    #[test]
    fn parts_have_rules() {
        let refused = |bins: &[u32], counts: &[u64]| Histogram::from_parts(0, bins, counts).unwrap_err();
        assert!(refused(&[1], &[]).contains("a count for each"));
        assert!(refused(&[2, 2], &[1, 1]).contains("ascending"));
        assert!(refused(&[Histogram::END], &[1]).contains("ascending"));
        assert!(refused(&[3], &[0]).contains("no empty bin"));
        assert!(refused(&[3, 4], &[u64::MAX, 1]).contains("counted"));
    }
}
