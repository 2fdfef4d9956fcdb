//! Element types of tensor maps.

/// The type of a tensor's elements; the numbers are those of the driver's `CUtensorMapDataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say all")]
pub enum TensorElement {
    U8 = 0,
    U16 = 1,
    U32 = 2,
    S32 = 3,
    U64 = 4,
    S64 = 5,
    F16 = 6,
    F32 = 7,
    F64 = 8,
    BF16 = 9,
    /// Subnormals become zeros of their sign.
    F32Ftz = 10,
    Tf32 = 11,
    Tf32Ftz = 12,
}

use TensorElement::*;

impl TensorElement {
    /// All of them, in the driver's order.
    pub const ALL: [Self; 13] = [U8, U16, U32, S32, U64, S64, F16, F32, F64, BF16, F32Ftz, Tf32, Tf32Ftz];

    /// `tensormap.replace.elemtype` numbers them in an order of its own (PTX ISA 9.7.9.28, table 33).
    const REPLACE: [Self; 13] = [U8, U16, U32, S32, U64, S64, F16, F32, F32Ftz, F64, BF16, Tf32, Tf32Ftz];

    /// The type with that number in the driver API.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }

    /// The type with that number in `tensormap.replace`.
    pub(crate) fn from_replace(code: u32) -> Option<Self> {
        Self::REPLACE.get(code as usize).copied()
    }

    /// Bytes of an element.
    pub fn bytes(self) -> u32 {
        match self {
            U8 => 1,
            U16 | F16 | BF16 => 2,
            U32 | S32 | F32 | F32Ftz | Tf32 | Tf32Ftz => 4,
            U64 | S64 | F64 => 8,
        }
    }

    /// Whether it has a NaN to fill with.
    pub fn is_float(self) -> bool {
        matches!(self, F16 | F32 | F64 | BF16 | F32Ftz | Tf32 | Tf32Ftz)
    }

    /// The quiet NaN that fills elements outside of the tensor, little end first.
    pub(crate) fn nan(self) -> [u8; 8] {
        let bits = match self {
            F16 | BF16 => 0x7FFF,
            F64 => 0x7FFF_FFFF_FFFF_FFFF,
            _ => 0x7FFF_FFFF,
        };
        u64::to_le_bytes(bits)
    }
}
