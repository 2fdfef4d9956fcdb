//! `quantize_tensor`: codes with one scale, found from the data, for the whole tensor.

use crate::{code, scale_from_absmax, tensor_absmax};

/// x f32 of any shape → (codes i8 of that shape, the scale). The scale of nothing is 1.
pub fn quantize_tensor(x: &[f32]) -> (Vec<i8>, f32) {
    let scale = scale_from_absmax(tensor_absmax(x));
    (x.iter().map(|&v| code(v, scale)).collect(), scale)
}
