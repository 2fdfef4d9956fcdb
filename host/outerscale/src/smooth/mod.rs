//! SmoothQuant (Xiao and others 2022, arXiv 2211.10438): moves the outliers of activations into the weights.
//!
//! y = x · wᵀ = (x / s) · (w · s)ᵀ for any factors s, one an input channel. With s_j large where channel j of x is
//! large, x / s has no outlier channels left and takes 8 bits better; w · s has larger columns instead, which one
//! scale an output channel still carries. α tells how much goes over: 0 nothing but a levelling of w, 1 all of it.
//!
//! - [`Factors`]: the factors, from calibration and the weights of *all* linears that read the same input.
//! - [`Alpha`] and [`search()`]: the exponent, chosen layer by layer on the kernels.
//! - [`Norm`]: where x comes out of a normalization, the division is folded into its parameters and costs nothing.
//!
//! # When folding is not allowed
//! The folded norm gives x / s to everyone who reads it. So it must have no reader but the linears whose weights were
//! multiplied by s. In a post-norm network (BERT, MiniLM) the norm's output is also the residual that is added
//! further on: folding would scale that residual and change the network. There, and where no norm comes before (after
//! GELU, after attention), x is divided at run time, in the quantizer's own pass over it.

mod alpha;
mod factors;
mod fold;
mod search;

pub use alpha::Alpha;
pub(crate) use alpha::not_searched;
pub use factors::{FACTOR_MIN, Factors, Real, weight_absmax};
pub use fold::Norm;
pub use search::{AlphaSearch, CANDIDATES, Candidate, Judged, MARGIN, Search, search, search_layer};
