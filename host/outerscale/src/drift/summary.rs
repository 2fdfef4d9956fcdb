//! A course in a few numbers.

use super::{Course, Sample, Scenario, Study};
use crate::linear::Scheme;

/// Samples over which errors are averaged where a single one would say too little.
pub const SPAN: usize = 16;
/// Samples at the end of the stream that tell where a remedy arrives.
const LAST: usize = 100;

/// A course in a few numbers. Averages are root mean squares over samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The error before the gain set in.
    pub before: f64,
    /// That of the [`SPAN`] samples after.
    pub after: f64,
    /// That of the last hundred samples, or of as many as there are after the gain.
    pub last: f64,
    /// The share of inputs that saturate there.
    pub saturated: f64,
    /// Samples from the gain on until the error, over [`SPAN`] of them, is within the plan's factor of the error under
    /// the per-tensor dynamic scale, over the same samples; none where it never is.
    pub lag: Option<usize>,
}

impl Study {
    /// The summary of a course of one of the scenarios.
    pub fn summary(&self, scenario: &Scenario, course: &Course) -> Summary {
        let from = self.plan.from;
        let (samples, end) = (&course.samples, course.samples.len());
        let last = &samples[from.max(end.saturating_sub(LAST))..];
        let dynamic = scenario.courses.iter().find(|course| course.scheme == Scheme::Tensor);
        Summary {
            before: root_mean_square(&samples[..from]),
            after: root_mean_square(&samples[from..(from + SPAN).min(end)]),
            last: root_mean_square(last),
            saturated: last.iter().map(|sample| sample.saturated).sum::<f64>() / last.len() as f64,
            lag: dynamic.and_then(|dynamic| lag(&samples[from..], &dynamic.samples[from..], self.plan.factor)),
        }
    }
}

/// The first sample from which on, over [`SPAN`], one is within `factor` of the other.
fn lag(samples: &[Sample], dynamic: &[Sample], factor: f64) -> Option<usize> {
    let near = |(ours, theirs): (&[Sample], &[Sample])| root_mean_square(ours) <= factor * root_mean_square(theirs);
    samples.windows(SPAN).zip(dynamic.windows(SPAN)).position(near)
}

/// Of the errors that are numbers: a sample with NaN among its inputs has none.
pub(super) fn root_mean_square(samples: &[Sample]) -> f64 {
    let squares: Vec<f64> = samples.iter().map(|sample| sample.error.powi(2)).filter(|e| e.is_finite()).collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errors: &[f64]) -> Vec<Sample> {
        errors.iter().map(|error| Sample { error: *error, saturated: 0.0, scale: None }).collect()
    }

    #[test]
    fn lags_count_from_the_change() {
        let dynamic = of(&[1.0; 60]);
        let after = |n: usize| of(&[vec![5.0; n], vec![1.2; 60 - n]].concat());
        assert_eq!(lag(&after(0), &dynamic, 1.25), Some(0));
        assert_eq!(lag(&after(20), &dynamic, 1.25), Some(20));
        assert_eq!(lag(&after(44), &dynamic, 1.25), Some(44));
        assert_eq!(lag(&after(45), &dynamic, 1.25), None, "fewer are left than are averaged");
        assert_eq!(lag(&after(0), &dynamic, 1.1), None);
    }

    #[test]
    fn averages_leave_out_what_is_no_number() {
        assert_eq!(root_mean_square(&of(&[3.0, f64::NAN, 4.0, f64::INFINITY])), 12.5f64.sqrt());
    }
}
