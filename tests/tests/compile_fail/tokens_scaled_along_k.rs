//! A scale along K cannot be factored out of the sum over K: tokens cannot have one.
use outerscale::{PackedCodes, PerInputChannel, QuantizedTokens, Scales};

fn tokens(codes: PackedCodes, scales: Scales<PerInputChannel>) {
    let _ = QuantizedTokens::from_packed(codes, scales);
}

fn main() {}
