//! The element types of matrices, and what the host does with them.

use contract::args::input_type;
use half::{bf16, f16};

/// An element type, as entries and files name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// 32-bit signed integer: raw accumulators.
    I32,
    /// 8-bit signed integer: codes.
    I8,
}

impl Dtype {
    /// The suffix of a kernel's entry and the word of the command line: `f32`, `f16`, `bf16`, `i32`, `i8`.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::Bf16 => "bf16",
            Dtype::I32 => "i32",
            Dtype::I8 => "i8",
        }
    }

    /// As a kernel takes it that tells the types of an input apart when it runs.
    ///
    /// # Panics
    /// Unless it is a floating-point type.
    pub(crate) fn input_type(self) -> u32 {
        match self {
            Dtype::F32 => input_type::F32,
            Dtype::F16 => input_type::F16,
            Dtype::Bf16 => input_type::BF16,
            Dtype::I32 | Dtype::I8 => unreachable!("inputs are f32, f16 or bf16"),
        }
    }

    /// Bytes of one element.
    pub const fn bytes(self) -> u64 {
        match self {
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::I8 => 1,
        }
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// An element of a device matrix.
///
/// # Safety
/// Implementors are plain old data without padding, valid for every bit pattern: they are copied to and
/// from device memory as bytes. The trait is sealed.
pub unsafe trait Element: sealed::Sealed + Copy + std::fmt::Debug + Send + Sync + 'static {
    /// The type's name and size.
    const DTYPE: Dtype;
    /// All bits zero.
    const ZERO: Self;

    /// The bit pattern, in the low bits. Comparisons of results go through it: NaN equals itself.
    fn bits(self) -> u32;
}

/// An input type of the quantizers: f32, f16 or bf16.
pub trait Float: Element {
    /// The value as f32, exactly.
    fn widen(self) -> f32;
    /// Rounded to nearest even; NaN becomes the canonical one.
    fn narrow(value: f32) -> Self;
    /// Of the bit pattern in the low bits.
    fn from_bits(bits: u32) -> Self;
}

/// An output type of the product: f32, f16, bf16, or i32 for the accumulators themselves.
pub trait OutputElement: Element {}

macro_rules! element {
    ($type:ty, $dtype:ident, $zero:expr, $bits:expr) => {
        impl sealed::Sealed for $type {}
        // SAFETY: a scalar without padding, valid for every bit pattern.
        unsafe impl Element for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            const ZERO: Self = $zero;
            fn bits(self) -> u32 {
                $bits(self)
            }
        }
    };
}

element!(f32, F32, 0.0, f32::to_bits);
element!(f16, F16, f16::ZERO, |v: f16| u32::from(v.to_bits()));
element!(bf16, Bf16, bf16::ZERO, |v: bf16| u32::from(v.to_bits()));
element!(i32, I32, 0, |v: i32| v as u32);
element!(i8, I8, 0, |v: i8| u32::from(v as u8));

impl Float for f32 {
    fn from_bits(bits: u32) -> Self {
        f32::from_bits(bits)
    }
    fn widen(self) -> f32 {
        self
    }
    fn narrow(value: f32) -> Self {
        if value.is_nan() { f32::from_bits(contract::limits::NAN_F32) } else { value }
    }
}

impl Float for f16 {
    fn from_bits(bits: u32) -> Self {
        f16::from_bits(bits as u16)
    }
    fn widen(self) -> f32 {
        self.to_f32()
    }
    fn narrow(value: f32) -> Self {
        if value.is_nan() { f16::from_bits(contract::limits::NAN_16) } else { f16::from_f32(value) }
    }
}

impl Float for bf16 {
    fn from_bits(bits: u32) -> Self {
        bf16::from_bits(bits as u16)
    }
    fn widen(self) -> f32 {
        self.to_f32()
    }
    fn narrow(value: f32) -> Self {
        if value.is_nan() { bf16::from_bits(contract::limits::NAN_16) } else { bf16::from_f32(value) }
    }
}

impl OutputElement for f32 {}
impl OutputElement for f16 {}
impl OutputElement for bf16 {}
impl OutputElement for i32 {}

/// The bytes of a slice, as they go to the device.
pub(crate) fn as_bytes<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: `Element` is plain old data without padding; the length is the slice's own.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The bytes of a slice, to be written by a copy from the device.
pub(crate) fn as_bytes_mut<T: Element>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: `Element` is valid for every bit pattern; the length is the slice's own.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_writes_the_canonical_nan() {
        let odd = f32::from_bits(0xffc1_2345);
        assert_eq!(f32::narrow(odd).bits(), 0x7fff_ffff);
        assert_eq!(f16::narrow(odd).bits(), 0x7fff);
        assert_eq!(bf16::narrow(odd).bits(), 0x7fff);
    }

    #[test]
    fn sizes_agree_with_the_types() {
        assert_eq!(Dtype::F32.bytes(), size_of::<f32>() as u64);
        assert_eq!(Dtype::Bf16.bytes(), size_of::<bf16>() as u64);
        assert_eq!(as_bytes(&[1i32, -1]), [1, 0, 0, 0, 255, 255, 255, 255]);
    }
}
