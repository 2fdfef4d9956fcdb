//! A scale for each token belongs to x: weights have one for each output channel.
use outerscale::{PackedWeights, PerToken, QuantizedWeights, Scales};

fn weights(codes: PackedWeights, scales: Scales<PerToken>) {
    let _ = QuantizedWeights::from_packed(codes, scales);
}

fn main() {}
