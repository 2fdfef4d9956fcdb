//! `tensormap.replace`: one field of an encoded map gets another value (PTX ISA 9.7.9.28).

use super::bytes::{
    ADDRESS, ATOMICITY, BOX_DIMS, DIMS, ELEMENT, ELEMENT_STRIDES, FILL, INTERLEAVE, RANK, STRIDES, SWIZZLE, is_map,
    make_map,
};
use super::{Swizzle, TENSOR_MAP_BYTES, TensorElement, TensorMapError};

/// A field that can be replaced; those of one dimension with its ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    GlobalAddress,
    Rank,
    BoxDim(u8),
    GlobalDim(u8),
    GlobalStride(u8),
    ElementStride(u8),
    Element,
    Interleave,
    Swizzle,
    Atomicity,
    Fill,
}

impl Field {
    /// Whether the new value has 64 bits.
    pub(crate) fn wide(self) -> bool {
        matches!(self, Self::GlobalAddress | Self::GlobalStride(_))
    }

    /// Whether the value is one of a list, which an instruction has to name as a constant.
    pub(crate) fn by_code(self) -> bool {
        matches!(self, Self::Element | Self::Interleave | Self::Swizzle | Self::Atomicity | Self::Fill)
    }

    /// The most that the ordinal can be.
    pub(crate) fn last_ordinal(self) -> u32 {
        if matches!(self, Self::GlobalStride(_)) { 3 } else { 4 }
    }

    /// Puts `value` into its place. Whether the map as a whole makes sense shows when it is used: fields
    /// are replaced one after the other.
    pub(crate) fn replace(self, bytes: &mut [u8; TENSOR_MAP_BYTES], value: u64) -> Result<(), TensorMapError> {
        if bytes.iter().all(|byte| *byte == 0) {
            // Triton makes a map from nothing: zeros, then every field that is not zero.
            make_map(bytes);
        }
        if !is_map(bytes) {
            let message = "these 128 bytes are neither a tensor map nor all zero; copy one here first";
            return Err(TensorMapError(message.to_owned()));
        }
        let small = |most: u64| match value <= most {
            true => Ok(value as u8),
            false => Err(TensorMapError(format!("{value} is no value of this field; it can be 0 to {most}"))),
        };
        match self {
            Self::GlobalAddress => bytes[ADDRESS..ADDRESS + 8].copy_from_slice(&value.to_le_bytes()),
            Self::Rank => bytes[RANK] = small(4)?,
            Self::BoxDim(axis) => {
                bytes[BOX_DIMS + usize::from(axis) * 4..][..4].copy_from_slice(&(value as u32).to_le_bytes());
            }
            Self::GlobalDim(axis) => {
                bytes[DIMS + usize::from(axis) * 8..][..8].copy_from_slice(&value.to_le_bytes());
            }
            Self::GlobalStride(axis) => {
                bytes[STRIDES + usize::from(axis) * 8..][..8].copy_from_slice(&value.to_le_bytes());
            }
            Self::ElementStride(axis) => {
                let value = u16::try_from(value).unwrap_or(u16::MAX);
                bytes[ELEMENT_STRIDES + usize::from(axis) * 2..][..2].copy_from_slice(&value.to_le_bytes());
            }
            Self::Element => match u32::try_from(value).ok().and_then(TensorElement::from_replace) {
                Some(element) => bytes[ELEMENT] = element as u8,
                None => return Err(TensorMapError(format!("{value} is no element type that is supported"))),
            },
            Self::Interleave => bytes[INTERLEAVE] = small(0)?,
            Self::Swizzle => match u32::try_from(value).ok().and_then(Swizzle::from_code) {
                Some(swizzle) => bytes[SWIZZLE] = swizzle as u8,
                None => return Err(TensorMapError(format!("{value} is no swizzle mode that is supported"))),
            },
            Self::Atomicity => bytes[ATOMICITY] = small(0)?,
            Self::Fill => bytes[FILL] = small(1)?,
        }
        Ok(())
    }
}
