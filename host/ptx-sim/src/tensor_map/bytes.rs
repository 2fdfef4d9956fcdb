//! The 128 bytes of a map. NVIDIA does not say what is in theirs, so that nothing may depend on it; these begin
//! with a mark, so that bytes that are no map are told from one.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | the mark |
//! | 4, 5, 6, 7 | element, rank - 1, swizzle, fill |
//! | 8..16 | global address |
//! | 16..56 | dimensions, 5 u64 |
//! | 56..88 | strides, 4 u64 |
//! | 88..108 | box, 5 u32 |
//! | 108..118 | element strides, 5 u16 |
//! | 118, 119 | interleave layout, swizzle atomicity: 0 |

use super::{OutOfBoundsFill, Swizzle, TENSOR_MAP_BYTES, TensorElement, TensorMap, TensorMapError};

const MARK: [u8; 4] = *b"tmap";
pub(super) const ELEMENT: usize = 4;
pub(super) const RANK: usize = 5;
pub(super) const SWIZZLE: usize = 6;
pub(super) const FILL: usize = 7;
pub(super) const ADDRESS: usize = 8;
pub(super) const DIMS: usize = 16;
pub(super) const STRIDES: usize = 56;
pub(super) const BOX_DIMS: usize = 88;
pub(super) const ELEMENT_STRIDES: usize = 108;
pub(super) const INTERLEAVE: usize = 118;
pub(super) const ATOMICITY: usize = 119;

/// Whether `bytes` begin as a map does.
pub(super) fn is_map(bytes: &[u8; TENSOR_MAP_BYTES]) -> bool {
    bytes[..4] == MARK
}

/// Makes zeros a map whose fields are all zero.
pub(super) fn make_map(bytes: &mut [u8; TENSOR_MAP_BYTES]) {
    bytes[..4].copy_from_slice(&MARK);
}

fn read<const N: usize>(bytes: &[u8; TENSOR_MAP_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl TensorMap {
    /// The map as 128 bytes; says what is wrong with it when [`TensorMap::validate`] does.
    pub fn encode(&self) -> Result<[u8; TENSOR_MAP_BYTES], TensorMapError> {
        self.validate()?;
        let mut out = [0; TENSOR_MAP_BYTES];
        out[..4].copy_from_slice(&MARK);
        out[ELEMENT] = self.element as u8;
        out[RANK] = self.rank as u8 - 1;
        out[SWIZZLE] = self.swizzle as u8;
        out[FILL] = self.fill as u8;
        out[ADDRESS..ADDRESS + 8].copy_from_slice(&self.address.to_le_bytes());
        for (axis, dim) in self.dims.iter().enumerate() {
            out[DIMS + axis * 8..][..8].copy_from_slice(&dim.to_le_bytes());
        }
        for (axis, stride) in self.strides.iter().enumerate() {
            out[STRIDES + axis * 8..][..8].copy_from_slice(&stride.to_le_bytes());
        }
        for (axis, side) in self.box_dims.iter().enumerate() {
            out[BOX_DIMS + axis * 4..][..4].copy_from_slice(&side.to_le_bytes());
        }
        for (axis, step) in self.element_strides.iter().enumerate() {
            out[ELEMENT_STRIDES + axis * 2..][..2].copy_from_slice(&(*step as u16).to_le_bytes());
        }
        Ok(out)
    }

    /// The map that 128 bytes hold, valid as [`TensorMap::validate`] has it; else what is wrong with them.
    pub fn decode(bytes: &[u8; TENSOR_MAP_BYTES]) -> Result<Self, TensorMapError> {
        let refuse = |message: &str| Err(TensorMapError(message.to_owned()));
        if !is_map(bytes) {
            return refuse("these 128 bytes are no tensor map; cuTensorMapEncodeTiled makes one");
        }
        if bytes[INTERLEAVE] != 0 || bytes[ATOMICITY] != 0 {
            return refuse("interleaved layouts and other swizzle atomicities than 16 bytes are not supported");
        }
        let fill = match bytes[FILL] {
            0 => OutOfBoundsFill::Zero,
            1 => OutOfBoundsFill::Nan,
            _ => return refuse("the fill mode is none of zero and NaN"),
        };
        let (Some(element), Some(swizzle)) =
            (TensorElement::from_code(u32::from(bytes[ELEMENT])), Swizzle::from_code(u32::from(bytes[SWIZZLE])))
        else {
            return refuse("the element type or the swizzle mode is not supported");
        };
        let word = |at: usize| u64::from_le_bytes(read(bytes, at));
        let map = Self {
            element,
            rank: u32::from(bytes[RANK]) + 1,
            address: word(ADDRESS),
            dims: std::array::from_fn(|axis| word(DIMS + axis * 8)),
            strides: std::array::from_fn(|axis| word(STRIDES + axis * 8)),
            box_dims: std::array::from_fn(|axis| u32::from_le_bytes(read(bytes, BOX_DIMS + axis * 4))),
            element_strides: std::array::from_fn(|axis| {
                u32::from(u16::from_le_bytes(read(bytes, ELEMENT_STRIDES + axis * 2)))
            }),
            swizzle,
            fill,
        };
        map.validate()?;
        Ok(map)
    }
}
