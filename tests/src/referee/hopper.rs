//! Trials of the kernels for Hopper: the same product, its argument with tensor maps.

use super::Trial;
use contract::{args, hopper_tile};

/// m, n, k, larger than for other tiles: the last is more than one tile for each of two blocks in a
/// cluster, with K enough to go round the ring, and rows of y that TMA takes.
pub const HOPPER_PRODUCTS: [(usize, usize, usize); 2] = [(17, 66, 300), (130, 504, 520)];

impl Trial<'_> {
    /// Whether the variant is one of `contract::hopper_tile`.
    pub(super) fn is_hopper(&self) -> bool {
        hopper_tile::TILES.iter().any(|tile| tile.name == self.variant.name)
    }

    /// A product with the tensor maps of x and of y, elements of which have `bytes` bytes.
    pub(super) fn with_maps(&self, product: args::GemmArgs, bytes: u64) -> args::GemmSm90Args {
        let (x, y) = (product.q_x, product.y);
        let x_map = self.machine.tensor_map((x.ptr, 1), [x.rows, x.cols], x.row_bytes, hopper_tile::X_BOX_ROWS);
        let row_bytes = y.row_stride * bytes;
        let y_by_map = row_bytes.is_multiple_of(16);
        let y_map = if y_by_map {
            self.machine.tensor_map((y.ptr, bytes), [y.rows, y.cols], row_bytes, hopper_tile::Y_BOX_ROWS)
        } else {
            args::TensorMap([0; 16])
        };
        args::GemmSm90Args { x_map, y_map, product, y_by_map: y_by_map.into() }
    }
}
