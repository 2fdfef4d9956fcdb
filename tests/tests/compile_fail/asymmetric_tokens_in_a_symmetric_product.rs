//! A product that knows no zero points would be wrong for tokens that have some.
use outerscale::{Workspace, AsymmetricTokens, Gpu, Output, PerChannel, QuantizedWeights, ops};

fn asym(gpu: &Gpu, x: &AsymmetricTokens, w: &QuantizedWeights<PerChannel>, y: &mut Output<f32>) {
    let _ = ops::gemm(gpu, ops::Product { x, w, bias: None }, y, &mut Workspace::none(), ops::Choice::Auto);
}

fn main() {}
