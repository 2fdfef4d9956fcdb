//! Tensors on the host, their element type known only when the program runs.

use crate::{Dtype, Float};
use half::{bf16, f16};
use std::ops::Range;

/// Floating-point values.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// f32.
    F32(Vec<f32>),
    /// f16.
    F16(Vec<f16>),
    /// bf16.
    Bf16(Vec<bf16>),
}

/// Runs an expression for whichever slice a [`Values`] holds.
macro_rules! with_values {
    ($values:expr, $slice:ident => $body:expr) => {
        match $values {
            $crate::host::Values::F32($slice) => $body,
            $crate::host::Values::F16($slice) => $body,
            $crate::host::Values::Bf16($slice) => $body,
        }
    };
}
pub(crate) use with_values;

impl Values {
    /// From little-endian bytes at any address; nothing where `dtype` is no floating-point type.
    pub fn from_le_bytes(dtype: Dtype, bytes: &[u8]) -> Option<Values> {
        let pairs = || bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
        match dtype {
            Dtype::F32 => Some(Values::F32(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())),
            Dtype::F16 => Some(Values::F16(pairs().map(f16::from_bits).collect())),
            Dtype::Bf16 => Some(Values::Bf16(pairs().map(bf16::from_bits).collect())),
            Dtype::I32 | Dtype::I8 => None,
        }
    }

    /// The little-endian bytes.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Values::F32(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::F16(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::Bf16(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        match self {
            Values::F32(_) => Dtype::F32,
            Values::F16(_) => Dtype::F16,
            Values::Bf16(_) => Dtype::Bf16,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        with_values!(self, v => v.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the values.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn slice(&self, range: Range<usize>) -> Values {
        match self {
            Values::F32(v) => Values::F32(v[range].to_vec()),
            Values::F16(v) => Values::F16(v[range].to_vec()),
            Values::Bf16(v) => Values::Bf16(v[range].to_vec()),
        }
    }

    /// Each value as f32, exactly.
    pub fn widen(&self) -> Vec<f32> {
        with_values!(self, v => v.iter().map(|v| v.widen()).collect())
    }

    /// The bit pattern of each value.
    pub fn bits(&self) -> Vec<u32> {
        use crate::Element;
        with_values!(self, v => v.iter().map(|v| v.bits()).collect())
    }
}

/// A matrix [rows, cols] on the host, row-major without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct HostMatrix {
    /// Number of rows.
    pub rows: u64,
    /// Number of columns.
    pub cols: u64,
    /// The elements.
    pub values: Values,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_and_come() {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
            let bytes: Vec<u8> = (1..=8).collect();
            let values = Values::from_le_bytes(dtype, &bytes).unwrap();
            assert_eq!(values.dtype(), dtype);
            assert_eq!(values.len() as u64, 8 / dtype.bytes());
            assert_eq!(values.to_le_bytes(), bytes);
        }
        assert_eq!(Values::from_le_bytes(Dtype::I8, &[1]), None);
        assert_eq!(Values::from_le_bytes(Dtype::Bf16, &[0x80, 0x3f]).unwrap().widen(), [1.0]);
    }
}
