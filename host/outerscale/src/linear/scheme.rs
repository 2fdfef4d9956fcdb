//! The schemes: how tokens become codes.

/// How x is quantized, and what a layer needs for it; w has one scale an output channel in every scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Scheme {
    /// One scale a token, from the data.
    #[default]
    Token,
    /// One scale for all tokens, from the data.
    Tensor,
    /// One scale for all tokens, from calibration.
    Static,
}

impl Scheme {
    /// Every scheme, its parameters the defaults.
    pub const ALL: [Scheme; 3] = [Scheme::Token, Scheme::Tensor, Scheme::Static];

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Token => "w8a8-token",
            Scheme::Tensor => "w8a8-tensor",
            Scheme::Static => "w8a8-static",
        }
    }

    /// Whether a layer needs a [`Calibration`](super::Calibration) for it.
    pub const fn is_calibrated(self) -> bool {
        match self {
            Scheme::Token | Scheme::Tensor => false,
            Scheme::Static => true,
        }
    }
}
