//! Scales, and which dimension they belong to, as types.

use crate::{DeviceVector, Error, Gpu, Result};
use contract::limits::{SCALE_MAX, SCALE_MIN};
use std::marker::PhantomData;

mod sealed {
    pub trait Sealed {}
}

/// The dimension that a scale belongs to.
pub trait ScaleKind: sealed::Sealed + 'static {
    /// How messages call it.
    const NAME: &'static str;
    /// Scales from one row of codes to the next: 1, or 0 where one scale serves all.
    const STRIDE: u64;

    /// How many scales `rows` rows of codes have.
    fn count(rows: u64) -> u64 {
        if Self::STRIDE == 0 { 1 } else { rows }
    }
}

/// A scale that the tokens of a product can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no scale that tokens can have in a product",
    note = "a product of 8-bit codes sums over K: a scale along K cannot be factored out of the sum",
    note = "scale tokens by `PerToken` or `PerTensor`"
)]
pub trait TokenScale: ScaleKind {}

/// A scale that the weights of a product can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no scale that weights can have in a product",
    note = "a product of 8-bit codes sums over K: a scale along K cannot be factored out of the sum",
    note = "scale weights by `PerChannel` (one scale an output channel) or `PerTensor`"
)]
pub trait WeightScale: ScaleKind {}

/// One scale for each token, a row of x.
#[derive(Clone, Copy, Debug)]
pub enum PerToken {}
/// One scale for the whole tensor.
#[derive(Clone, Copy, Debug)]
pub enum PerTensor {}
/// One scale for each output channel, a row of w.
#[derive(Clone, Copy, Debug)]
pub enum PerChannel {}
/// One scale for each input channel: along K. Smoothing has such scales; codes cannot.
#[derive(Clone, Copy, Debug)]
pub enum PerInputChannel {}

macro_rules! scale_kind {
    ($type:ident, $name:literal, $stride:literal) => {
        impl sealed::Sealed for $type {}
        impl ScaleKind for $type {
            const NAME: &'static str = $name;
            const STRIDE: u64 = $stride;
        }
    };
}
scale_kind!(PerToken, "per-token", 1);
scale_kind!(PerTensor, "per-tensor", 0);
scale_kind!(PerChannel, "per-output-channel", 1);
scale_kind!(PerInputChannel, "per-input-channel", 1);

impl TokenScale for PerToken {}
impl TokenScale for PerTensor {}
impl WeightScale for PerChannel {}
impl WeightScale for PerTensor {}

/// f32 scales in device memory, of the kind `S`. A clone is the same memory.
pub struct Scales<S> {
    pub(crate) values: DeviceVector<f32>,
    kind: PhantomData<S>,
}

impl<S> Clone for Scales<S> {
    fn clone(&self) -> Self {
        Scales { values: self.values.clone(), kind: PhantomData }
    }
}

impl<S: ScaleKind> Scales<S> {
    /// Given scales, each in [2⁻¹⁰⁰, 2¹⁰⁰].
    ///
    /// # Errors
    /// `scales` where one is out of range or NaN, or (per-tensor) there is not just one; a CUDA error.
    pub fn upload(gpu: &Gpu, scales: &[f32]) -> Result<Self> {
        if S::STRIDE == 0 && scales.len() != 1 {
            let rule = format!("a {} scale is one number, got {}", S::NAME, scales.len());
            return Err(Error::argument("upload", "scales", rule));
        }
        for (index, &scale) in scales.iter().enumerate() {
            check_scale(scale).map_err(|rule| Error::argument("upload", "scales", format!("[{index}] {rule}")))?;
        }
        Ok(Scales { values: DeviceVector::upload(gpu, scales)?, kind: PhantomData })
    }

    /// Room for the scales of `rows` rows of codes.
    pub(crate) fn for_rows(gpu: &Gpu, rows: u64) -> Result<Self> {
        Ok(Scales { values: DeviceVector::uninitialized(gpu, S::count(rows))?, kind: PhantomData })
    }

    /// Room for the scales of up to `most` rows of codes, for operations that write to what they are given; one that
    /// serves all rows is there at once, its value unknown.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn with_room(gpu: &Gpu, most: u64) -> Result<Self> {
        let mut scales = Self::for_rows(gpu, most)?;
        scales.values.resize("with_room", "scales", S::count(0))?;
        Ok(scales)
    }

    /// Copies the scales to the host.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<f32>> {
        self.values.download()
    }

    pub(crate) fn as_arg(&self) -> contract::args::Scales {
        contract::args::Scales { ptr: self.values.memory.ptr(), stride: S::STRIDE }
    }
}

/// The range of a scale that is given (NUMERICS.md): inside it the division in three operations is exact.
///
/// # Errors
/// The rule, with the scale.
pub fn check_scale(scale: f32) -> std::result::Result<(), String> {
    if (SCALE_MIN..=SCALE_MAX).contains(&scale) {
        Ok(())
    } else {
        Err(format!("a scale must lie in [2^-100, 2^100], got {scale:e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_scales_have_a_range() {
        for good in [SCALE_MIN, 1.0, SCALE_MAX] {
            assert_eq!(check_scale(good), Ok(()));
        }
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, SCALE_MIN / 2.0, SCALE_MAX * 2.0] {
            assert!(check_scale(bad).is_err(), "{bad:e}");
        }
    }

    #[test]
    fn only_one_scale_serves_all_rows() {
        assert_eq!((PerToken::count(5), PerTensor::count(5), PerTensor::count(0)), (5, 1, 1));
    }
}
