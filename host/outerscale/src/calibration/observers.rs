//! The rules that choose the absmax of one static scale.

use super::{Histogram, Statistics, entropy};
use contract::limits::{CODE_MAX, RUNNING_ABSMAX_MAX};
use rayon::prelude::*;
use std::{fmt, str::FromStr};

/// A rule that chooses the absmax of which a static scale is made: absmax / 127.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Observer {
    /// The largest |x|: nothing saturates that calibration saw.
    #[default]
    Absmax,
    /// The percentile P, in (0, 100], of |x|, zeros among it; at most the largest.
    Percentile(f64),
    /// The absmax whose codes have the least mean squared error.
    Mse,
    /// The absmax whose codes lose the least information, by Kullback and Leibler's measure.
    Entropy,
    /// The moving average of the batches' absmax, in order; the number is what it keeps at a batch, in [0, 1).
    MovingAverage(f32),
}

/// Steps of the search for the least error between one octave and the next.
const MSE_STEPS: u32 = 32;
/// Octaves below the largest |x| that are searched.
const MSE_OCTAVES: u32 = 10;

impl Observer {
    /// Every rule, its parameter the default.
    pub const ALL: [Observer; 5] =
        [Observer::Absmax, Observer::Percentile(99.99), Observer::Mse, Observer::Entropy, Observer::MovingAverage(0.9)];

    /// The absmax that the rule chooses; 0 where nothing but zeros was seen.
    pub fn tensor_absmax(self, of: &Statistics) -> f32 {
        let largest = of.absmax();
        match self {
            Observer::Absmax => largest,
            Observer::Percentile(percent) => of.values.quantile(percent / 100.0).min(largest),
            Observer::Mse => least_squared_error(&of.values, largest),
            Observer::Entropy => entropy::least_divergence(&of.values, largest),
            Observer::MovingAverage(momentum) => moving_average(&of.batch_absmax, momentum),
        }
    }
}

/// The candidates are largest · 2^(−i/32); the largest of equals is taken.
fn least_squared_error(values: &Histogram, largest: f32) -> f32 {
    let candidates: Vec<f32> = (0..=MSE_STEPS * MSE_OCTAVES)
        .map(|step| (f64::from(largest) * (-f64::from(step) / f64::from(MSE_STEPS)).exp2()) as f32)
        .collect();
    let errors: Vec<f64> = candidates.par_iter().map(|absmax| squared_error(values, *absmax)).collect();
    let least = errors.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    least.map_or(largest, |(index, _)| candidates[index])
}

/// The mean squared error of int8 codes under absmax / 127, each bin standing for its middle.
fn squared_error(values: &Histogram, absmax: f32) -> f64 {
    let scale = f64::from(absmax / CODE_MAX);
    if scale == 0.0 {
        return values.mean(|magnitude| magnitude * magnitude);
    }
    values.mean(|magnitude| {
        let code = (magnitude / scale).round_ties_even().min(f64::from(CODE_MAX));
        (magnitude - code * scale).powi(2)
    })
}

/// As the running scale on the device has it, updated at every batch (NUMERICS.md): begun by the first batch that is
/// not all zeros, in f32, with one rounding of the sum; a batch past the device's limit is left out.
fn moving_average(batch_absmax: &[f32], momentum: f32) -> f32 {
    batch_absmax.iter().filter(|absmax| **absmax <= RUNNING_ABSMAX_MAX).fold(0.0, |average, absmax| {
        let before: f32 = if average == 0.0 { *absmax } else { average };
        momentum.mul_add(before, (1.0 - momentum) * absmax)
    })
}

impl fmt::Display for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Observer::Absmax => f.write_str("absmax"),
            Observer::Percentile(percent) => write!(f, "percentile:{percent}"),
            Observer::Mse => f.write_str("mse"),
            Observer::Entropy => f.write_str("entropy"),
            Observer::MovingAverage(momentum) => write!(f, "moving-average:{momentum}"),
        }
    }
}

impl FromStr for Observer {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (rule, number) = word.split_once(':').map_or((word, None), |(rule, number)| (rule, Some(number)));
        let plain = |observer| match number {
            None => Ok(observer),
            Some(_) => Err(format!("{rule} takes no number")),
        };
        match rule {
            "absmax" => plain(Observer::Absmax),
            "mse" => plain(Observer::Mse),
            "entropy" => plain(Observer::Entropy),
            "percentile" => match number.unwrap_or("99.99").parse() {
                Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Observer::Percentile(percent)),
                _ => Err("a percentile must be a number in (0, 100], as in percentile:99.99".to_owned()),
            },
            "moving-average" => match number.unwrap_or("0.9").parse() {
                Ok(momentum) if (0.0..1.0).contains(&momentum) => Ok(Observer::MovingAverage(momentum)),
                _ => Err("a momentum must be a number in [0, 1), as in moving-average:0.9".to_owned()),
            },
            _ => Err("the observers are absmax, percentile:P, mse, entropy and moving-average:M".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(batches: &[&[f32]]) -> Statistics {
        let mut statistics = Statistics::new(1);
        batches.iter().for_each(|batch| statistics.observe(batch));
        statistics
    }

    #[test]
    fn words_go_and_come() {
        for observer in Observer::ALL {
            assert_eq!(observer.to_string().parse(), Ok(observer));
        }
        assert_eq!("percentile".parse(), Ok(Observer::Percentile(99.99)));
        for wrong in ["", "max", "mse:1", "percentile:0", "percentile:100.1", "percentile:NaN", "moving-average:1"] {
            assert!(wrong.parse::<Observer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn moving_average_by_hand() {
        let seen = statistics(&[&[0.0], &[4.0, -1.0], &[8.0], &[2.0]]);
        // 4, then (4 + 8) / 2, then (6 + 2) / 2.
        assert_eq!(Observer::MovingAverage(0.5).tensor_absmax(&seen), 4.0);
        assert_eq!(Observer::MovingAverage(0.0).tensor_absmax(&seen), 2.0);
    }

    #[test]
    fn a_single_outlier_is_clipped_by_all_but_absmax() {
        // Most magnitudes near 0, all up to 1, and one of 8.
        let bulk: Vec<f32> = (0..20_000).map(|i| ((i % 141) * (i % 139)) as f32 / 19_320.0).collect();
        let seen = statistics(&[&bulk, &[8.0]]);
        assert_eq!(Observer::Absmax.tensor_absmax(&seen), 8.0);
        for observer in [Observer::Percentile(99.99), Observer::Entropy] {
            let chosen = observer.tensor_absmax(&seen);
            assert!((0.5..2.0).contains(&chosen), "{observer}: {chosen}");
        }
        // One clipped by 6 would cost more than rounding all the others at 8 / 127.
        let squares = |absmax| squared_error(&seen.values, absmax);
        let chosen = Observer::Mse.tensor_absmax(&seen);
        assert!(squares(chosen) < squares(8.0) && squares(chosen) < squares(2.0), "{chosen}");
    }

    #[test]
    fn zeros_give_zero() {
        for observer in Observer::ALL {
            assert_eq!(observer.tensor_absmax(&statistics(&[&[0.0, 0.0]])), 0.0, "{observer}");
            assert_eq!(observer.tensor_absmax(&statistics(&[])), 0.0, "{observer}");
        }
    }
}
