//! Trials of the kernels for Hopper: the same product, its argument with tensor maps.

use super::Trial;
use contract::{
    args,
    decode_tile::{self, DecodeTile},
    hopper_tile,
};
use outerscale::{ops::Variant, ptx::Module};

/// m, n, k, larger than for other tiles. The first is two tiles, with K enough that three blocks share them, one of them both, and
/// rows of y that TMA does not take. The last is more than one tile for each of two blocks in a cluster, and for each of three
/// blocks or clusters with one left that two have K enough to share; K goes round the ring, and TMA takes the rows of y.
pub const HOPPER_PRODUCTS: [(usize, usize, usize); 2] = [(130, 66, 700), (130, 392, 904)];

/// m, n, k for few tokens: one tile, its second panel nearly empty, stored one element at a time; then more than a tile's
/// tokens, w that ends with the first panel of a tile, stored four at a time, and steps enough to go round the ring; then w of one
/// panel, several times round the ring.
fn decode_products(tile: &DecodeTile) -> Vec<(usize, usize, usize)> {
    let past_one = tile.tokens as usize + 6;
    vec![(3, 66, 300), (past_one, 300, 520), (past_one, 50, 1900)]
}

impl Trial<'_> {
    /// What the product is tried on if it is one of Hopper's.
    pub(super) fn hopper_shapes(&self) -> Option<Vec<(usize, usize, usize)>> {
        self.decode_tile().map(decode_products).or_else(|| self.is_sm90().then(|| HOPPER_PRODUCTS.to_vec()))
    }

    /// Whether the variant is one of `contract::hopper_tile`.
    fn is_sm90(&self) -> bool {
        self.variant.module == Module::GemmSm90 && self.decode_tile().is_none()
    }

    /// Of the variants of one of `contract::hopper_tile` the one with the largest clusters that the grid is whole ones of:
    /// over the grids that a kernel is judged in both are tried, and neither twice.
    pub(super) fn clustered(&self) -> &Variant {
        let whole = |variant: &&&Variant| self.machine.how.blocks.is_none_or(|n| n.is_multiple_of(variant.cluster));
        self.variants.iter().filter(whole).max_by_key(|variant| variant.cluster).unwrap_or(&self.variant)
    }

    /// The tile of a variant for few tokens.
    fn decode_tile(&self) -> Option<&'static DecodeTile> {
        decode_tile::TILES.iter().find(|tile| tile.name == self.variant.name)
    }

    /// A product of a variant for few tokens, with the tensor map of x.
    pub(super) fn decode_args(&self, product: args::GemmArgs) -> Option<args::GemmDecodeArgs> {
        let x = product.q_x;
        let x_map = self.machine.tensor_map((x.ptr, 1), [x.rows, x.cols], x.row_bytes, self.decode_tile()?.tokens);
        Some(args::GemmDecodeArgs { x_map, product })
    }

    /// A product of one of `contract::hopper_tile`, with the tensor maps of x and of y, elements of which have `bytes` bytes.
    pub(super) fn sm90_args(&self, product: args::GemmArgs, bytes: u64) -> Option<args::GemmSm90Args> {
        if !self.is_sm90() {
            return None;
        }
        let (x, y) = (product.q_x, product.y);
        let x_map = self.machine.tensor_map((x.ptr, 1), [x.rows, x.cols], x.row_bytes, hopper_tile::X_BOX_ROWS);
        let row_bytes = y.row_stride * bytes;
        let y_by_map = row_bytes.is_multiple_of(16);
        let y_map = if y_by_map {
            self.machine.tensor_map((y.ptr, bytes), [y.rows, y.cols], row_bytes, hopper_tile::Y_BOX_ROWS)
        } else {
            args::TensorMap([0; 16])
        };
        Some(args::GemmSm90Args { x_map, y_map, product, y_by_map: y_by_map.into() })
    }
}
