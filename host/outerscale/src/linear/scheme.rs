//! The schemes: how tokens become codes.

use crate::ops::Window;

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
    /// One scale for all tokens of a batch, a moving average over the batches before it; calibration or the first
    /// batch begins it.
    Running(Window),
    /// One scale and one zero point a token, from the data.
    Asym,
    /// As [`Scheme::Static`] where the spread that calibration saw allows it, else as [`Scheme::Token`].
    Hybrid,
}

impl Scheme {
    /// Every scheme, its parameters the defaults.
    pub const ALL: [Scheme; 6] =
        [Scheme::Token, Scheme::Tensor, Scheme::Static, Scheme::Running(Window::DEFAULT), Scheme::Asym, Scheme::Hybrid];

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Token => "w8a8-token",
            Scheme::Tensor => "w8a8-tensor",
            Scheme::Static => "w8a8-static",
            Scheme::Running(_) => "w8a8-running",
            Scheme::Asym => "w8a8-asym",
            Scheme::Hybrid => "w8a8-hybrid",
        }
    }

    /// Whether a layer cannot do without a [`Calibration`](super::Calibration) for it.
    pub const fn is_calibrated(self) -> bool {
        match self {
            Scheme::Token | Scheme::Tensor | Scheme::Running(_) | Scheme::Asym => false,
            Scheme::Static | Scheme::Hybrid => true,
        }
    }
}
