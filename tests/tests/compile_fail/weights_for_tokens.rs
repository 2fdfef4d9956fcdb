//! Tokens and weights are not interchangeable.
use outerscale::{Workspace, Gpu, Output, PerChannel, QuantizedWeights, ops};

fn swapped(gpu: &Gpu, w: &QuantizedWeights<PerChannel>, y: &mut Output<f32>) {
    let _ = ops::gemm(gpu, ops::Product { x: w, w, bias: None }, y, &mut Workspace::none(), ops::Choice::Auto);
}

fn main() {}
