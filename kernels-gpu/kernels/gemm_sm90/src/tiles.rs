//! The tiles of y that a block computes: every warp of a cluster walks the same ones, and none tells another.

use contract::args::GemmArgs;
use contract::hopper_tile::{HopperTile, Multicast, position};
use contract::packed;
use contract::stream_k::Deal;
use cuda_std::cluster::{cluster_ctarank, cluster_nctarank, clusterid_x, nclusterid_x};

use crate::uniform::uniform;

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

/// What a block does in one turn: a tile, or its share of one.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) origin: Origin,
    /// The first k_block of the share.
    pub(crate) first: u32,
    /// Its k_blocks, at least 1: all that the tile has, or the block's cluster meets others.
    pub(crate) k_blocks: u32,
    /// Where they meet: the cluster's number among the places of the deal.
    pub(crate) place: u32,
}

/// A block's way through y.
pub(crate) struct Tiles {
    tile: HopperTile,
    /// Tiles of a cluster, along M and along N: fewer than 2²⁸ in all, which the host sees to.
    extent: (u32, u32),
    deal: Deal,
    turn: u32,
    turns: u32,
}

impl Tiles {
    /// The tiles of this block: those of the last wave are shared where the workspace has room for clusters to meet.
    #[inline(always)]
    pub(crate) fn of_this_block(args: &GemmArgs, tile: HopperTile) -> Self {
        let (tiles_m, tiles_n) = tile.cluster_tiles(args.y.rows, args.y.cols, in_pair());
        let extent = (tiles_m as u32, tiles_n as u32);
        let (tiles, k_blocks, clusters) = (extent.0 * extent.1, packed::k_blocks(args.q_w.cols) as u32, nclusterid_x());
        let mut deal = Deal::shared(tiles, k_blocks, clusters);
        if tile.workspace_bytes(&deal, in_pair()) > args.workspace.bytes {
            deal = Deal::whole(tiles, k_blocks, clusters);
        }
        Self { tile, extent, deal, turn: 0, turns: deal.turns(clusterid_x()) }
    }

    /// The same, for a warp that walks as a whole.
    ///
    /// # Safety
    /// All lanes of the warp call it together.
    #[inline(always)]
    pub(crate) unsafe fn of_this_warp(self) -> Self {
        // SAFETY: the caller's.
        Self { turns: unsafe { uniform(self.turns) }, ..self }
    }

    /// What comes next, if anything: the same answer in all warps of a cluster. In the last row or column of a cluster's tiles a
    /// block's own may lie outside y: it then brings its half of what is shared, and nothing is stored.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<Part> {
        if !self.more() {
            return None;
        }
        let part = self.deal.part(clusterid_x(), self.turn)?;
        self.turn += 1;
        let (tiles_m, tiles_n) = self.extent;
        let (row, col) = position(part.tile, tiles_m, tiles_n);
        let (rows, cols) = self.tile.cluster_tile(in_pair());
        let rank = cluster_ctarank() as u64;
        let (down, right) = match self.tile.multicast {
            Multicast::W => (rank * self.tile.block_m as u64, 0),
            Multicast::X => (0, rank * self.tile.block_n as u64),
        };
        let origin = Origin { row: row as u64 * rows + down, col: col as u64 * cols + right };
        Some(Part { origin, first: part.first, k_blocks: part.count, place: part.place })
    }

    /// Whether anything comes after what was given so far.
    #[inline(always)]
    pub(crate) fn more(&self) -> bool {
        self.turn < self.turns
    }

    /// Clusters that share tiles.
    #[inline(always)]
    pub(crate) fn sharers(&self) -> u32 {
        self.deal.sharers()
    }
}
