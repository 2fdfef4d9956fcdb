//! A scale for each token belongs to x: weights have one for each output channel.
use outerscale::{PackedCodes, PerToken, QuantizedWeights, Scales};

fn weights(codes: PackedCodes, scales: Scales<PerToken>) {
    let _ = QuantizedWeights::from_packed(codes, scales);
}

fn main() {}
