//! Static where calibration allows it, a scale a token elsewhere.

use super::{Calibration, Scheme};
use crate::{Error, Result};

/// The spread up to which one static scale serves.
///
/// The spread is the factor by which the rounding noise of x under one static scale exceeds that under a scale a
/// token ([`Statistics::spread`](crate::calibration::Statistics::spread)). w's noise does not change: where the two
/// were alike, the layer's error grows by √((spread² + 1) / 2), at 1.5 by 27 %.
pub const SPREAD_LIMIT: f64 = 1.5;

/// What [`Scheme::Hybrid`] makes of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hybrid {
    /// [`Scheme::Static`] or [`Scheme::Token`].
    pub scheme: Scheme,
    /// The layer's spread.
    pub spread: f64,
}

impl Hybrid {
    /// Static where the spread is at most [`SPREAD_LIMIT`].
    ///
    /// # Errors
    /// `calib_absmax` where calibration knows no spread: maxima of channels do not tell it.
    pub fn choose(calibration: &Calibration) -> Result<Hybrid> {
        let Some(spread) = calibration.spread else {
            let rule = "does not tell the spread over tokens; give the statistics of outerscale calibrate (--stats), \
                        or take w8a8-token";
            return Err(Error::argument(Scheme::Hybrid.name(), "calib_absmax", rule));
        };
        let scheme = if spread <= SPREAD_LIMIT { Scheme::Static } else { Scheme::Token };
        Ok(Hybrid { scheme, spread })
    }
}

impl Hybrid {
    /// `static` or `per token`.
    pub fn kind(&self) -> &'static str {
        if self.scheme == Scheme::Static { "static" } else { "per token" }
    }
}

impl std::fmt::Display for Hybrid {
    /// The choice and its reason.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let relation = if self.spread > SPREAD_LIMIT { "over" } else { "at most" };
        write!(f, "{}, as its spread, {:.2}, is {relation} {SPREAD_LIMIT}", self.kind(), self.spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_decides() {
        let of = |spread| Calibration { spread, ..Calibration::from_channel_absmax(vec![1.0]) };
        let chosen = |spread| Hybrid::choose(&of(Some(spread))).unwrap().scheme;
        assert_eq!(chosen(1.0), Scheme::Static);
        assert_eq!(chosen(SPREAD_LIMIT), Scheme::Static);
        assert_eq!(chosen(SPREAD_LIMIT.next_up()), Scheme::Token);
        let error = Hybrid::choose(&of(None)).unwrap_err().to_string();
        assert!(error.contains("outerscale calibrate") && error.contains("w8a8-token"), "{error}");
    }
}
