//! Activations have to be quantized before a product.
use outerscale::{Workspace, Activations, Gpu, Output, PerChannel, QuantizedWeights, ops};

fn raw(gpu: &Gpu, x: &Activations<f32>, w: &QuantizedWeights<PerChannel>, y: &mut Output<f32>) {
    let _ = ops::gemm(gpu, ops::Product { x, w, bias: None }, y, &mut Workspace::none(), ops::Choice::Auto);
}

fn main() {}
