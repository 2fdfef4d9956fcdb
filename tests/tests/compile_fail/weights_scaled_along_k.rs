//! Nor can weights.
use outerscale::{PackedCodes, PerInputChannel, QuantizedWeights, Scales};

fn weights(codes: PackedCodes, scales: Scales<PerInputChannel>) {
    let _ = QuantizedWeights::from_packed(codes, scales);
}

fn main() {}
