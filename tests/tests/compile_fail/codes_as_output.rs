//! y is f32, f16, bf16 or i32. int8 would be another rounding, which the contract does not define.
use outerscale::{Gpu, Layout, Output};

fn output(gpu: &Gpu) {
    let _ = Output::<i8>::new(gpu, Layout::contiguous(1, 1));
}

fn main() {}
