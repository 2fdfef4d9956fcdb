//! Axes: what they show, how far they go, where their ticks are.

use super::number::decimal;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// How values are spaced along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spacing {
    /// Evenly, from 0 where the values are near it.
    Linear,
    /// Evenly and from 0, however far the values are from it: small differences shall look small.
    FromZero,
    /// By their logarithm; values that have none are not shown.
    Log,
    /// Evenly and without ticks: places have names instead of numbers.
    Named,
}

/// An axis: what it shows, with the unit, and how.
#[derive(Clone, Copy, Debug)]
pub struct Axis<'a> {
    /// What is shown, and its unit.
    pub label: &'a str,
    /// How its values are spaced.
    pub spacing: Spacing,
}

impl<'a> Axis<'a> {
    /// Values evenly spaced.
    pub fn linear(label: &'a str) -> Axis<'a> {
        Axis { label, spacing: Spacing::Linear }
    }

    /// Values evenly spaced from 0.
    pub fn from_zero(label: &'a str) -> Axis<'a> {
        Axis { label, spacing: Spacing::FromZero }
    }

    /// Places that have names: 0, 1 and so on.
    pub(super) fn named() -> Axis<'static> {
        Axis { label: "", spacing: Spacing::Named }
    }

    /// Values spaced by their logarithm.
    pub fn log(label: &'a str) -> Axis<'a> {
        Axis { label, spacing: Spacing::Log }
    }

    /// Whether a value has a place on the axis.
    pub(super) fn shows(&self, value: f64) -> bool {
        value.is_finite() && (self.spacing != Spacing::Log || value > 0.0)
    }

    /// The scale that shows all of `values`.
    pub(super) fn scale(&self, values: impl Iterator<Item = f64>) -> Scale {
        let (low, high) = values
            .filter(|value| self.shows(*value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let range = match self.spacing {
            _ if low > high => (0.1, 1.0),
            Spacing::Named => (low - 0.6, high + 0.6),
            Spacing::FromZero => (low.min(0.0), 1.04 * high.max(0.0)),
            Spacing::Linear => {
                let low = if low >= 0.0 && low < 0.4 * high { 0.0 } else { low };
                let width = if high > low { high - low } else { high.abs().max(1.0) };
                // An end at 0 is a true end; others have room.
                (if low == 0.0 { 0.0 } else { low - 0.04 * width }, high + 0.04 * width)
            }
            Spacing::Log => {
                let room = (high / low).powf(0.06).max(1.15);
                (low / room, high * room)
            }
        };
        Scale { spacing: self.spacing, range }
    }
}

/// An axis with its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) spacing: Spacing,
    pub(super) range: (f64, f64),
}

impl Scale {
    /// The ticks, at most `most` of them: round numbers.
    fn ticks(&self, most: usize) -> Vec<f64> {
        let (low, high) = self.range;
        let most = most.max(2);
        match self.spacing {
            Spacing::Named => Vec::new(),
            Spacing::Linear | Spacing::FromZero => {
                let rough = (high - low) / most as f64;
                let decade = 10f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|s| *s >= rough);
                let step = step.unwrap_or(10.0 * decade);
                let first = (low / step).ceil() as i64;
                (first..).map(|i| i as f64 * step).take_while(|tick| *tick <= high + 1e-9 * step).collect()
            }
            Spacing::Log => {
                let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
                let every = (decades.clone().count() / most).max(1);
                let within = |factors: &'static [f64]| {
                    let ticks =
                        decades.clone().step_by(every).flat_map(|d| factors.iter().map(move |f| f * 10f64.powi(d)));
                    ticks.filter(|tick| (low..=high).contains(tick)).collect::<Vec<_>>()
                };
                // As many as fit: most digits (the last are too near to each other for words), then 1-2-5, then powers of ten alone.
                let choices: [&[f64]; 4] = [&[1., 2., 3., 4., 5., 6., 8.], &[1., 2., 5.], &[1., 3.], &[1.]];
                let fitting = choices.into_iter().map(within).find(|ticks| ticks.len() <= most);
                fitting.unwrap_or_else(|| within(&[1.]))
            }
        }
    }

    /// Where a value is between the ends, 0 to 1; what is beyond an end is at it.
    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let place = match self.spacing {
            Spacing::Linear | Spacing::FromZero | Spacing::Named => (value - low) / (high - low),
            Spacing::Log => (value / low).ln() / (high / low).ln(),
        };
        place.clamp(0.0, 1.0)
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.place(*value) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.bold_points())
    }

    fn range(&self) -> Range<f64> {
        self.range.0..self.range.1
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(value: &f64) -> String {
        decimal(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let linear = Axis::linear("").scale([0.02, 0.97].into_iter());
        assert_eq!(linear.range.0, 0.0, "values near 0 are shown from 0");
        assert_eq!(
            linear.ticks(6).into_iter().map(decimal).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        let log = Axis::log("").scale([1e-3, 0.0, f64::NAN, 2.0].into_iter());
        let ticks = log.ticks(6);
        assert_eq!(ticks.into_iter().map(decimal).collect::<Vec<_>>(), ["0.001", "0.01", "0.1", "1"]);
        for axis in [linear, log] {
            for most in [2, 4, 9] {
                let ticks = axis.ticks(most);
                assert!(!ticks.is_empty() && ticks.len() <= most + 1, "{axis:?} {most}: {ticks:?}");
                assert!(ticks.iter().all(|t| (axis.range.0..=axis.range.1 * (1.0 + 1e-9)).contains(t)), "{ticks:?}");
            }
        }
    }

    #[test]
    fn values_have_their_place() {
        let log = Scale { spacing: Spacing::Log, range: (0.01, 1.0) };
        assert_eq!([0.01, 0.1, 1.0, 50.0].map(|v| log.map(&v, (0, 200))), [0, 100, 200, 200]);
        // From the bottom up, as the y axis has it.
        assert_eq!(log.map(&0.1, (300, 100)), 200);
        assert_eq!(Axis::from_zero("").scale([95.0, 100.0].into_iter()).range, (0.0, 104.0));
        let one = Axis::linear("").scale([3.0].into_iter());
        assert!(one.range.0 < 3.0 && 3.0 < one.range.1);
        let none = Axis::log("").scale([0.0].into_iter());
        assert!(!none.ticks(5).is_empty());
    }
}
