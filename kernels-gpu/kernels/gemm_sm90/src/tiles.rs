//! The tiles of y that a block computes: every warp of a cluster walks the same ones, and none tells another.

use contract::args::GemmArgs;
use contract::hopper_tile::{HopperTile, Multicast, position};
use cuda_std::cluster::{cluster_ctarank, cluster_nctarank, clusterid_x, nclusterid_x};

/// Whether the block has a peer in its cluster.
#[inline(always)]
pub(crate) fn in_pair() -> bool {
    cluster_nctarank() == 2
}

/// Row and column of the first of some outputs.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) row: u64,
    pub(crate) col: u64,
}

/// A block's way through y.
pub(crate) struct Tiles {
    tile: HopperTile,
    next: u32,
    step: u32,
    /// Tiles of a cluster, along M and along N: fewer than 2²⁸ in all, which the host sees to.
    extent: (u32, u32),
}

impl Tiles {
    /// The tiles of this block.
    #[inline(always)]
    pub(crate) fn of_this_block(args: &GemmArgs, tile: HopperTile) -> Self {
        let (tiles_m, tiles_n) = tile.cluster_tiles(args.y.rows, args.y.cols, in_pair());
        Self { tile, next: clusterid_x(), step: nclusterid_x(), extent: (tiles_m as u32, tiles_n as u32) }
    }

    /// The next tile, if there is one: the same answer in all warps of a cluster. In the last row or column of a cluster's tiles a
    /// block's own may lie outside y: it then brings its half of what is shared, and nothing is stored.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<Origin> {
        if !self.more() {
            return None;
        }
        let (tiles_m, tiles_n) = self.extent;
        let (row, col) = position(self.next, tiles_m, tiles_n);
        self.next += self.step;
        let (rows, cols) = self.tile.cluster_tile(in_pair());
        let rank = cluster_ctarank() as u64;
        let (down, right) = match self.tile.multicast {
            Multicast::W => (rank * self.tile.block_m as u64, 0),
            Multicast::X => (0, rank * self.tile.block_n as u64),
        };
        Some(Origin { row: row as u64 * rows + down, col: col as u64 * cols + right })
    }

    /// Whether there is a tile after those given so far.
    #[inline(always)]
    pub(crate) fn more(&self) -> bool {
        self.next < self.extent.0 * self.extent.1
    }
}
