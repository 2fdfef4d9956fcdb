//! `tensor_absmax`: the largest magnitude of a whole tensor.

use crate::{canonical, row_absmax::larger};

/// x f32 of any shape → the largest |x|; any NaN makes it NaN (0x7FFFFFFF). That of nothing is 0.
///
/// Maxima of parts may be taken first, in any split: the maximum of the maxima is the same.
pub fn tensor_absmax(x: &[f32]) -> f32 {
    let mut largest = 0.0;
    for &v in x {
        largest = larger(largest, v);
    }
    canonical(largest)
}
