//! One copy's box: which bytes of shared memory go with which bytes of global memory.

use super::{OutOfBoundsFill, Swizzle, TENSOR_RANK, TensorMap};

/// A row of a box along dimension 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// First byte in the box as it lies in shared memory, before the swizzle.
    pub(crate) start: u32,
    /// Bytes of the row.
    pub(crate) bytes: u32,
    /// The part of the row that lies in the tensor, as bytes of the row; empty where none does.
    pub(crate) inside: (u32, u32),
    /// Global address of the first byte of that part.
    pub(crate) address: u64,
}

/// A box at its place in the tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    pub(crate) map: TensorMap,
    pub(crate) coords: [i32; TENSOR_RANK],
}

impl Tile {
    /// The rows of the box in the order in which they lie in shared memory.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let sides = self.map.sides();
        let element = self.map.element.bytes();
        let bytes = sides[0] * element;
        let count = sides[1..].iter().product::<u32>();
        (0..count).map(move |number| {
            let mut left = number;
            let mut address = self.map.address as i128;
            let mut in_tensor = true;
            for (axis, side) in sides.iter().enumerate().skip(1) {
                let index = left % side;
                left /= side;
                let at = i64::from(self.coords[axis]) + i64::from(index) * i64::from(self.map.element_strides[axis]);
                // Dimensions beyond the rank have one element, at coordinate 0.
                if axis >= self.map.rank as usize {
                    continue;
                }
                in_tensor &= at >= 0 && (at as u64) < self.map.dims[axis];
                address += i128::from(at) * i128::from(self.map.strides[axis - 1]);
            }
            let first = i64::from(self.coords[0]);
            let low = first.clamp(0, self.map.dims[0] as i64);
            let high = (first + i64::from(sides[0])).clamp(low, self.map.dims[0] as i64);
            let inside = match in_tensor && high > low {
                true => ((low - first) as u32 * element, (high - first) as u32 * element),
                false => (0, 0),
            };
            address += i128::from(low) * i128::from(element);
            Row { start: number * bytes, bytes, inside, address: address as u64 }
        })
    }

    /// What fills the bytes of a row that lie outside of the tensor.
    pub(crate) fn fill_row(&self, row: &mut [u8]) {
        match self.map.fill {
            OutOfBoundsFill::Zero => row.fill(0),
            OutOfBoundsFill::Nan => {
                let element = self.map.element.bytes() as usize;
                let nan = self.map.element.nan();
                row.chunks_exact_mut(element).for_each(|slot| slot.copy_from_slice(&nan[..element]));
            }
        }
    }

    /// Calls `each` with runs of a row and the places of shared memory where they lie: bytes of the row, and the
    /// shared address of the first. `base` is the shared address of the box.
    pub(crate) fn places(&self, base: u32, row: &Row, mut each: impl FnMut(std::ops::Range<usize>, u32)) {
        let start = base + row.start;
        if self.map.swizzle == Swizzle::None {
            return each(0..row.bytes as usize, start);
        }
        // A swizzle moves pieces of 16 bytes; rows and bases are multiples of that.
        for piece in (0..row.bytes).step_by(16) {
            each(piece as usize..piece as usize + 16, self.map.swizzle.apply(start + piece));
        }
    }
}
