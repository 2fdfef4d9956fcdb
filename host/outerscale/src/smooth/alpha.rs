//! The exponent of the factors.

use crate::Error;
use std::{fmt, str::FromStr};

/// How much of the outliers goes over into the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Alpha {
    /// Searched for, layer by layer ([`search`](super::search())). One number does not fit all: after GELU, 0.5 doubles the
    /// error of a static scale.
    #[default]
    Auto,
    /// This one, in [0, 1].
    Fixed(f64),
    /// No smoothing: what a search may end with. The plain kernels run.
    Off,
}

impl Alpha {
    /// The number, where it is one.
    pub const fn number(self) -> Option<f64> {
        match self {
            Alpha::Fixed(alpha) => Some(alpha),
            Alpha::Auto | Alpha::Off => None,
        }
    }
}

impl FromStr for Alpha {
    type Err = String;

    /// `auto`, or a number in [0, 1].
    fn from_str(word: &str) -> Result<Alpha, String> {
        match (word, word.parse()) {
            ("auto", _) => Ok(Alpha::Auto),
            (_, Ok(alpha)) if (0.0..=1.0).contains(&alpha) => Ok(Alpha::Fixed(alpha)),
            _ => Err("must be auto or a number in [0, 1]".to_owned()),
        }
    }
}

impl fmt::Display for Alpha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alpha::Auto => f.write_str("auto"),
            Alpha::Fixed(alpha) => write!(f, "{alpha}"),
            Alpha::Off => f.write_str("no smoothing"),
        }
    }
}

/// Where a search must have come first.
pub(crate) fn not_searched(scheme: &'static str) -> Error {
    Error::argument(scheme, "alpha", "auto is chosen on a layer's tokens: search first, or give a number in [0, 1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbers_or_auto() {
        assert_eq!("auto".parse(), Ok(Alpha::Auto));
        assert_eq!(
            ("0".parse(), "1".parse(), "0.35".parse()),
            (Ok(Alpha::Fixed(0.0)), Ok(Alpha::Fixed(1.0)), Ok(Alpha::Fixed(0.35)))
        );
        for word in ["1.01", "-0.1", "nan", "inf", "half", "", "Auto"] {
            assert_eq!(word.parse::<Alpha>(), Err("must be auto or a number in [0, 1]".to_owned()), "{word}");
        }
        assert_eq!(
            [Alpha::Auto, Alpha::Fixed(0.5), Alpha::Off].map(|a| a.to_string()),
            ["auto", "0.5", "no smoothing"]
        );
    }
}
