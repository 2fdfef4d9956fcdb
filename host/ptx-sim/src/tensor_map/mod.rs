//! Tensor maps: what `cp.async.bulk.tensor` knows of a tensor in global memory.
//!
//! On a GPU the 128 bytes of a map are opaque: the driver makes them, `tensormap.replace` changes them in place
//! and the copies read them. Here the same three parties share [`TensorMap`] and its 128 bytes. Field rules:
//! driver API, `cuTensorMapEncodeTiled`; modes and swizzles: PTX ISA 5.5.

mod bytes;
mod element;
mod field;
mod tile;

pub use element::TensorElement;
pub(crate) use field::Field;
pub(crate) use tile::{Row, Tile};

/// Bytes of an encoded map.
pub const TENSOR_MAP_BYTES: usize = 128;
/// What the address of an encoded map has to be a multiple of.
pub const TENSOR_MAP_ALIGN: u64 = 64;
/// Most dimensions of a tensor.
pub const TENSOR_RANK: usize = 5;

/// Why a map was refused, with the argument that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TensorMapError(pub(crate) String);

/// How 16-byte pieces of shared memory are permuted, so that columns of a tile lie in different banks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Swizzle {
    /// Not at all.
    #[default]
    None,
    /// In rows of 32 bytes, a pattern of 256.
    B32,
    /// In rows of 64 bytes, a pattern of 512.
    B64,
    /// In rows of 128 bytes, a pattern of 1024.
    B128,
}

impl Swizzle {
    /// The value of the driver's `CUtensorMapSwizzle` and of `tensormap.replace.swizzle_mode`.
    pub fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::None,
            1 => Self::B32,
            2 => Self::B64,
            3 => Self::B128,
            _ => return None,
        })
    }

    /// Bytes of a row, which the inner dimension of a box must not exceed; `None` without a swizzle.
    pub fn span(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::B32 => Some(32),
            Self::B64 => Some(64),
            Self::B128 => Some(128),
        }
    }

    /// Where the byte at `address` of shared memory goes: bits 4 to 6 are XORed with bits 7 to 9, as many of
    /// them as the row has pieces of 16 bytes (PTX ISA 5.5.7). Its own inverse.
    #[inline(always)]
    pub fn apply(self, address: u32) -> u32 {
        let mask = match self {
            Self::None => 0,
            Self::B32 => 0x10,
            Self::B64 => 0x30,
            Self::B128 => 0x70,
        };
        address ^ (address >> 3 & mask)
    }
}

/// What elements outside of the tensor read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutOfBoundsFill {
    /// Zeros.
    #[default]
    Zero,
    /// A quiet NaN; for floating-point elements only.
    Nan,
}

/// A tensor in global memory and the box of it that one copy moves, in tiled mode without interleaving.
/// Dimension 0 is the innermost: its elements follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorMap {
    /// Type of the elements.
    pub element: TensorElement,
    /// Number of dimensions, 1 to 5; entries of the arrays beyond it mean nothing.
    pub rank: u32,
    /// Global address of element (0, 0, ..); a multiple of 16.
    pub address: u64,
    /// Elements along each dimension, 1 to 2^32.
    pub dims: [u64; TENSOR_RANK],
    /// Bytes from one index to the next along dimensions 1 to 4; multiples of 16 below 2^40.
    pub strides: [u64; TENSOR_RANK - 1],
    /// Elements of the box along each dimension, 1 to 256.
    pub box_dims: [u32; TENSOR_RANK],
    /// Only every so many-th element of the box is moved, 1 to 8; that of dimension 0 is not looked at.
    pub element_strides: [u32; TENSOR_RANK],
    /// Permutation in shared memory.
    pub swizzle: Swizzle,
    /// What a load finds outside of the tensor.
    pub fill: OutOfBoundsFill,
}

impl TensorMap {
    /// A map of a tensor without gaps, dimension 0 first; no swizzle, every element of the box, zero fill.
    /// Says why when `dims` and `box_dims` have not the same number of 1 to 5 entries.
    pub fn packed(
        element: TensorElement,
        address: u64,
        dims: &[u64],
        box_dims: &[u32],
    ) -> Result<Self, TensorMapError> {
        if dims.len() != box_dims.len() || !(1..=TENSOR_RANK).contains(&dims.len()) {
            let message = format!("{} dimensions with a box of {}; both take 1 to 5", dims.len(), box_dims.len());
            return Err(TensorMapError(message));
        }
        let mut map = Self {
            element,
            rank: dims.len() as u32,
            address,
            dims: [1; TENSOR_RANK],
            strides: [0; TENSOR_RANK - 1],
            box_dims: [1; TENSOR_RANK],
            element_strides: [1; TENSOR_RANK],
            swizzle: Swizzle::None,
            fill: OutOfBoundsFill::Zero,
        };
        map.dims[..dims.len()].copy_from_slice(dims);
        map.box_dims[..dims.len()].copy_from_slice(box_dims);
        let mut stride = u64::from(element.bytes());
        for axis in 1..dims.len() {
            stride = stride.saturating_mul(dims[axis - 1]);
            map.strides[axis - 1] = stride;
        }
        Ok(map)
    }

    /// The same map with a swizzle.
    pub fn with_swizzle(mut self, swizzle: Swizzle) -> Self {
        self.swizzle = swizzle;
        self
    }

    /// Checks what `cuTensorMapEncodeTiled` checks; says which field is wrong and what it may be.
    pub fn validate(&self) -> Result<(), TensorMapError> {
        let refuse = |message: String| Err(TensorMapError(message));
        if !(1..=TENSOR_RANK as u32).contains(&self.rank) {
            return refuse(format!("a rank of {}; it can be 1 to 5", self.rank));
        }
        if !self.address.is_multiple_of(16) {
            return refuse(format!("the global address {:#x} is not a multiple of 16", self.address));
        }
        let rank = self.rank as usize;
        for axis in 0..rank {
            let (dim, side, step) = (self.dims[axis], self.box_dims[axis], self.element_strides[axis]);
            if dim == 0 || dim > 1 << 32 {
                return refuse(format!("dimension {axis} has {dim} elements; it can have 1 to 2^32"));
            }
            if side == 0 || side > 256 {
                return refuse(format!("the box has {side} elements along dimension {axis}; it can have 1 to 256"));
            }
            if step == 0 || step > 8 {
                return refuse(format!("the element stride of dimension {axis} is {step}; it can be 1 to 8"));
            }
        }
        for (axis, stride) in self.strides[..rank - 1].iter().enumerate() {
            if !stride.is_multiple_of(16) || *stride >= 1 << 40 {
                let axis = axis + 1;
                return refuse(format!(
                    "the stride of dimension {axis} is {stride} bytes; it has to be a multiple of 16 below 2^40"
                ));
            }
        }
        let inner = self.box_dims[0] * self.element.bytes();
        if !inner.is_multiple_of(16) {
            return refuse(format!("the inner dimension of the box has {inner} bytes, not a multiple of 16"));
        }
        if let Some(span) = self.swizzle.span().filter(|span| inner > *span) {
            return refuse(format!("the inner dimension of the box has {inner} bytes, the swizzle's rows have {span}"));
        }
        if self.fill == OutOfBoundsFill::Nan && !self.element.is_float() {
            return refuse(format!("elements of type {:?} cannot be filled with NaN", self.element));
        }
        Ok(())
    }

    /// Elements that a copy moves along each dimension.
    pub(crate) fn sides(&self) -> [u32; TENSOR_RANK] {
        let mut sides = [1; TENSOR_RANK];
        for (axis, side) in sides.iter_mut().enumerate().take(self.rank as usize) {
            // Tiles without interleaving have no stride along dimension 0 (driver API, elementStrides).
            let step = if axis == 0 { 1 } else { self.element_strides[axis] };
            *side = self.box_dims[axis].div_ceil(step);
        }
        sides
    }

    /// Bytes that one copy moves into or out of shared memory, whatever part of the box lies in the tensor.
    pub fn box_bytes(&self) -> u32 {
        self.sides().iter().product::<u32>() * self.element.bytes()
    }
}

#[cfg(test)]
mod tests;
