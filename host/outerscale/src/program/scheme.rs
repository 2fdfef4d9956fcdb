//! The flags that choose a scheme and give its parameters: the same for every command that runs layers.

use crate::linear::Scheme;
use clap::{Args, ValueEnum};

/// A scheme and its parameters.
#[derive(Args, Clone)]
pub struct SchemeFlags {
    /// How x is quantized.
    #[arg(long, value_enum, default_value = "w8a8-token")]
    scheme: SchemeWord,
}

impl SchemeFlags {
    /// The scheme with its parameters.
    pub fn scheme(&self) -> Scheme {
        self.scheme.scheme()
    }
}

/// The schemes by their words.
#[derive(Clone, Copy, ValueEnum)]
enum SchemeWord {
    /// One scale a token, from the data.
    #[value(name = "w8a8-token")]
    Token,
    /// One scale for all tokens, from the data.
    #[value(name = "w8a8-tensor")]
    Tensor,
    /// One scale for all tokens: the largest of calib_absmax / 127.
    #[value(name = "w8a8-static")]
    Static,
}

impl SchemeWord {
    /// The scheme, its parameters the defaults.
    fn scheme(self) -> Scheme {
        match self {
            SchemeWord::Token => Scheme::Token,
            SchemeWord::Tensor => Scheme::Tensor,
            SchemeWord::Static => Scheme::Static,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_library() {
        let words: Vec<String> = SchemeWord::value_variants()
            .iter()
            .map(|word| word.to_possible_value().unwrap().get_name().to_owned())
            .collect();
        assert_eq!(words, Scheme::ALL.map(Scheme::name));
        for (word, scheme) in SchemeWord::value_variants().iter().zip(Scheme::ALL) {
            assert_eq!(word.scheme(), scheme);
        }
    }
}
