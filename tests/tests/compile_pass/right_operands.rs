//! Every kind of scale that a product can have, in the right places.
use outerscale::{
    Gpu, Launch, Output, PerChannel, PerTensor, PerToken, QuantizedTokens, QuantizedWeights, Result, TokenScale,
    WeightScale, ops,
};

fn product<X: TokenScale, W: WeightScale>(
    gpu: &Gpu,
    x: &QuantizedTokens<X>,
    w: &QuantizedWeights<W>,
    y: &mut Output<f32>,
) -> Result<Launch> {
    ops::gemm(gpu, ops::Product { x, w, bias: None }, y, ops::Choice::Auto)
}

fn main() {
    let _ = product::<PerToken, PerChannel>;
    let _ = product::<PerTensor, PerChannel>;
    let _ = product::<PerToken, PerTensor>;
    let _ = product::<PerTensor, PerTensor>;
}
