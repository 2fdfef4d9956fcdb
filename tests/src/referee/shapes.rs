//! The products' shapes, by the tile of the variant: as small as still meets every path.

use super::Trial;
use crate::data::Codes;
use contract::{
    gemm_tile::{GemmTile, TILES},
    stream::{STREAMS, Stream},
    stream_k::MIN_SHARE,
};

/// m, n, k.
pub(super) type Shape = (usize, usize, usize);

/// A shape and the codes that it is filled with, besides a product that cancels.
pub(super) struct Case {
    pub(super) shape: Shape,
    pub(super) codes: &'static [Codes],
    /// Elements by which the bias lies off a boundary.
    pub(super) bias_offset: usize,
}

/// Less than a tile; all but a row of a tile and the beginning of another beside it, which three blocks share, with K
/// enough to go round the pipeline twice; a tile and the beginning of another below it. Each ends in other columns of a
/// warp's part of a tile.
fn tile_shapes(tile: &GemmTile) -> [Shape; 3] {
    let (m, n) = (tile.block_m as usize, tile.block_n as usize);
    // Three blocks share two tiles if each has at least so many k_blocks.
    let k_blocks = (2 * tile.stages + 1).max(3 * MIN_SHARE / 2) as usize;
    [(3, 5, 40), (m - 1, n + 35, 128 * k_blocks - 2), (m + 2, 51, 300)]
}

/// Less than a group of tokens and than a panel; more than one of either, with K enough for steps that blocks share; one
/// past both.
fn stream_shapes(stream: &Stream) -> [Shape; 3] {
    [(3, 5, 40), (17, 66, 1150), (stream.tokens as usize + 1, 129, 520)]
}

impl Trial<'_> {
    /// The tile of one of the portable products.
    fn tile(&self) -> Option<&'static GemmTile> {
        TILES.iter().find(|tile| tile.name == self.variant.name)
    }

    /// What a product is tried on.
    pub(super) fn product_cases(&self) -> Vec<Case> {
        if let Some(shapes) = self.hopper_shapes() {
            return shapes.into_iter().map(|shape| Case { shape, codes: &Codes::ALL[..1], bias_offset: 0 }).collect();
        }
        let stream = STREAMS.iter().find(|stream| stream.name == self.variant.name);
        let shapes = self.tile().map(tile_shapes).or(stream.map(stream_shapes));
        let [small, long, wide] = shapes.unwrap_or_else(|| panic!("{} has no tile", self.variant.name));
        [
            Case { shape: small, codes: &Codes::ALL, bias_offset: 0 },
            Case { shape: long, codes: &[Codes::Large, Codes::OneHot], bias_offset: 1 },
            Case { shape: wide, codes: &[Codes::Large], bias_offset: 0 },
        ]
        .into()
    }

    /// The same with fewer rows or fewer steps along K, as each element of x may be one of an outlier column.
    pub(super) fn outlier_shapes(&self) -> [Shape; 3] {
        let tile = self.tile().unwrap_or_else(|| panic!("{} has no tile", self.variant.name));
        let [small, (m, n, _), (below, few, _)] = tile_shapes(tile);
        [small, (m.min(17), n, 150), (below, few, 40)]
    }
}
