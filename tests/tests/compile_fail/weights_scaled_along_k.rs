//! Nor can weights.
use outerscale::{PackedWeights, PerInputChannel, QuantizedWeights, Scales};

fn weights(codes: PackedWeights, scales: Scales<PerInputChannel>) {
    let _ = QuantizedWeights::from_packed(codes, scales);
}

fn main() {}
