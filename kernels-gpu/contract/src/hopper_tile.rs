//! The tile configurations of the INT8 GEMM on Hopper: every tunable, the layout of shared memory, and who does what.
//!
//! A block is one warpgroup that loads and two that multiply. They meet in a ring of slots, each the x tile and the w tile of
//! one k_block of 128 bytes, as the tensor cores read them: rows of 128 bytes with the 128-byte swizzle.

use crate::packed::PANEL_ROWS;
use crate::split;
use crate::stream_k::Deal;
use crate::swizzle::ROW_BYTES;

/// Shared memory that a block of sm_90 may have, 227 KiB.
pub const MAX_SHARED_BYTES: u32 = 227 * 1024;

/// Threads of a warpgroup: four warps.
pub const GROUP_THREADS: u32 = 128;

/// Warpgroups that multiply.
pub const CONSUMERS: u32 = 2;

/// Threads of a block: the warpgroup that loads comes first.
pub const THREADS: u32 = GROUP_THREADS * (1 + CONSUMERS);

/// Rows of x that one tensor copy brings.
pub const X_BOX_ROWS: u32 = 128;

/// Rows of y that one tensor copy takes away: those of a warp.
pub const Y_BOX_ROWS: u32 = 16;

/// Bytes of a row of y that one tensor copy takes away.
pub const Y_BOX_BYTES: u32 = ROW_BYTES;

/// Boxes of y that a warp can have on their way.
pub const Y_BOXES: u32 = 2;

/// Which operand the two blocks of a cluster share: each loads half of its tile for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multicast {
    /// The blocks have the same rows of y: their tiles lie side by side along N.
    X,
    /// The blocks have the same columns of y: their tiles lie one below the other along M.
    W,
}

/// How the two warpgroups that multiply divide their work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Both work on one tile, each on half of its rows.
    Cooperative,
    /// Each has tiles of its own: one multiplies while the other stores.
    PingPong,
}

/// One tile configuration. A block computes `block_m × block_n` outputs at a time, K in steps of 128 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopperTile {
    /// As it stands in the entry's name, `gemm_<name>_<output>`.
    pub name: &'static str,
    /// Rows of y.
    pub block_m: u32,
    /// Columns of y: also those of a warpgroup.
    pub block_n: u32,
    /// Who multiplies what.
    pub schedule: Schedule,
    /// What a cluster shares.
    pub multicast: Multicast,
    /// Slots of the ring.
    pub stages: u32,
}

impl HopperTile {
    /// Rows of y that a warpgroup computes at a time.
    #[inline(always)]
    pub const fn group_m(&self) -> u32 {
        match self.schedule {
            Schedule::Cooperative => self.block_m / CONSUMERS,
            Schedule::PingPong => self.block_m,
        }
    }
    /// m64 operands of a warpgroup.
    #[inline(always)]
    pub const fn frags_m(&self) -> u32 {
        self.group_m() / 64
    }
    /// Accumulators of a thread for one m64 operand.
    #[inline(always)]
    pub const fn registers(&self) -> u32 {
        self.block_n / 2
    }
    /// Warpgroups that read one slot.
    #[inline(always)]
    pub const fn readers(&self) -> u32 {
        match self.schedule {
            Schedule::Cooperative => CONSUMERS,
            Schedule::PingPong => 1,
        }
    }
    /// Bytes of the x tile in one slot; the w tile follows it.
    #[inline(always)]
    pub const fn x_stage_bytes(&self) -> u32 {
        self.block_m * ROW_BYTES
    }
    /// Bytes of one slot.
    #[inline(always)]
    pub const fn stage_bytes(&self) -> u32 {
        (self.block_m + self.block_n) * ROW_BYTES
    }
    /// Panels of w in one slot.
    #[inline(always)]
    pub const fn w_panels(&self) -> u32 {
        self.block_n / PANEL_ROWS as u32
    }
    /// Sets of column factors: one for each tile that is being stored.
    #[inline(always)]
    pub const fn column_sets(&self) -> u32 {
        CONSUMERS / self.readers()
    }
    /// Bytes of one set of column factors: s_w and the bias of each column, f32.
    #[inline(always)]
    pub const fn column_set_bytes(&self) -> u32 {
        2 * 4 * self.block_n
    }

    // Shared memory: slots, boxes of y, column factors, barriers.

    /// Offset of the boxes of y, [`Y_BOXES`] for each warp that multiplies.
    #[inline(always)]
    pub const fn y_offset(&self) -> u32 {
        self.stages * self.stage_bytes()
    }
    /// Offset of the column factors.
    #[inline(always)]
    pub const fn columns_offset(&self) -> u32 {
        self.y_offset() + CONSUMERS * 4 * Y_BOXES * Y_BOX_ROWS * Y_BOX_BYTES
    }
    /// Offset of the barriers, 8 bytes each: a full and an empty one for each slot, then for each set of column factors.
    #[inline(always)]
    pub const fn barriers_offset(&self) -> u32 {
        self.columns_offset() + self.column_sets() * self.column_set_bytes()
    }
    /// Dynamic shared memory of a block.
    #[inline(always)]
    pub const fn shared_bytes(&self) -> u32 {
        self.barriers_offset() + 8 * 2 * (self.stages + self.column_sets())
    }

    /// (rows, columns) of y that a cluster computes at a time: of two blocks if `in_pair`, else of one.
    #[inline(always)]
    pub const fn cluster_tile(&self, in_pair: bool) -> (u64, u64) {
        let (m, n) = (self.block_m as u64, self.block_n as u64);
        match self.multicast {
            _ if !in_pair => (m, n),
            Multicast::W => (2 * m, n),
            Multicast::X => (m, 2 * n),
        }
    }
    /// Tiles of an `m × n` output along M and along N, for clusters of two blocks if `in_pair`, else of one.
    #[inline(always)]
    pub const fn cluster_tiles(&self, m: u64, n: u64, in_pair: bool) -> (u64, u64) {
        // By constants each, which no check of a divisor is needed for.
        if in_pair {
            (m.div_ceil(self.cluster_tile(true).0), n.div_ceil(self.cluster_tile(true).1))
        } else {
            (m.div_ceil(self.cluster_tile(false).0), n.div_ceil(self.cluster_tile(false).1))
        }
    }

    // Tiles that clusters share (`crate::stream_k`): warpgroup by warpgroup they meet with those of the other clusters.

    /// Sums of a warpgroup, int32.
    #[inline(always)]
    pub const fn group_sums(&self) -> u32 {
        self.group_m() * self.block_n
    }
    /// Where the warpgroups of a cluster meet those of others: places for each that shares a tile.
    #[inline(always)]
    pub const fn places(&self, in_pair: bool) -> u32 {
        self.readers() * if in_pair { 2 } else { 1 }
    }
    /// Bytes of workspace in which clusters share tiles as `deal` says.
    #[inline(always)]
    pub const fn workspace_bytes(&self, deal: &Deal, in_pair: bool) -> u64 {
        let sharers = deal.sharers();
        if sharers == 0 { 0 } else { split::bytes((sharers * self.places(in_pair)) as u64, self.group_sums() as u64) }
    }

    /// Panics, at compile time where it is used in a const, unless the configuration can work.
    pub const fn assert_legal(&self) {
        assert!(self.block_m.is_multiple_of(X_BOX_ROWS), "the x tile must be whole boxes");
        assert!(self.group_m().is_multiple_of(64), "a warpgroup's rows must be whole m64 operands");
        assert!(self.block_n.is_multiple_of(64) && self.block_n <= 256, "wgmma has at most 256 columns");
        assert!(self.frags_m() * self.registers() <= 128, "more accumulators spill (168 registers at entry)");
        match self.multicast {
            Multicast::W => assert!(self.w_panels().is_multiple_of(2), "the w tile must divide among two blocks"),
            Multicast::X => assert!((self.block_m / X_BOX_ROWS).is_multiple_of(2), "the x tile must divide among two"),
        }
        assert!(self.stages >= 3, "a slot is read, one is kept for the product in flight, one is filled");
        assert!(self.shared_bytes() <= MAX_SHARED_BYTES, "more shared memory than a block may have");
        assert!(self.shared_bytes() + self.stage_bytes() > MAX_SHARED_BYTES, "another slot would fit");
    }
}

/// For large products: 160 bytes a cycle of operands would saturate shared memory for 128 × 128; this takes 128.
pub const H128X256: HopperTile = HopperTile {
    name: "h128x256",
    block_m: 128,
    block_n: 256,
    schedule: Schedule::Cooperative,
    multicast: Multicast::W,
    stages: 4,
};
/// For large products whose M divides better.
pub const H256X128: HopperTile = HopperTile {
    name: "h256x128",
    block_m: 256,
    block_n: 128,
    schedule: Schedule::Cooperative,
    multicast: Multicast::X,
    stages: 4,
};
/// For small K, where the store of a tile takes as long as its product, and for what larger tiles divide badly.
pub const H128X128: HopperTile = HopperTile {
    name: "h128x128",
    block_m: 128,
    block_n: 128,
    schedule: Schedule::PingPong,
    multicast: Multicast::W,
    stages: 6,
};

/// Every configuration that is compiled.
pub const TILES: [HopperTile; 3] = [H128X256, H256X128, H128X128];

const _: () = {
    let mut i = 0;
    while i < TILES.len() {
        TILES[i].assert_legal();
        i += 1;
    }
};

/// Tile rows that are walked through together, so that the tiles of w stay in L2 while they are used.
pub const GROUP: u32 = 8;

/// (tile row, tile column) of tile number `tile` of `tiles_m` × `tiles_n`: column by column inside groups of [`GROUP`] tile
/// rows, in 32 bits, as divisions of 64 are calls that spill accumulators.
#[inline(always)]
pub const fn position(tile: u32, tiles_m: u32, tiles_n: u32) -> (u32, u32) {
    // There is no tile where a divisor would be 0; `at_least_one` keeps the panic out of the device code.
    let group = tile / at_least_one(GROUP * tiles_n);
    let first = group * GROUP;
    let rest = tiles_m - first;
    let rows = at_least_one(if rest < GROUP { rest } else { GROUP });
    let in_group = tile - first * tiles_n;
    let col = in_group / rows;
    (first + (in_group - col * rows), col)
}

const fn at_least_one(n: u32) -> u32 {
    if n == 0 { 1 } else { n }
}

/// The most tiles that [`position`] can tell apart with room for the steps of a grid.
pub const MAX_TILES: u64 = 1 << 28;

/// The unit of places in descriptors, bytes.
pub const PLACE_BYTES: u32 = 16;

/// The place of a shared address in descriptors, below 2¹⁴ (PTX ISA 9.1, section 9.7.15.5.1.2, `matrix-descriptor-encode`).
///
/// In a cluster a block's own addresses have its rank from bit 24 on (ptxas 13.0.88 makes them of `SR_CgaCtaId`), which
/// would stand in a descriptor where another field does.
#[inline(always)]
pub const fn place(addr: u32) -> u32 {
    (addr & 0x3_ffff) / PLACE_BYTES
}

/// The descriptor of a K-major operand with the 128-byte swizzle (PTX ISA 9.1, section 9.7.15.5.1.2) that begins at a
/// [`place`]: groups of eight rows follow each other, 1,024 bytes apart. A step of 32 bytes along K is 2 places.
///
/// Places are added as they stand, being below 2¹⁴ as all of shared memory is: the rest is one constant.
#[inline(always)]
pub const fn descriptor(place: u32) -> u64 {
    const SWIZZLE_128B: u64 = 1 << 62;
    const GROUP_STRIDE: u64 = (8 * ROW_BYTES as u64 / 16) << 32;
    SWIZZLE_128B | GROUP_STRIDE | place as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_laid_out_without_overlap() {
        for tile in TILES {
            assert_eq!(tile.y_offset() % 1024, 0, "{tile:?}");
            assert_eq!(tile.columns_offset() - tile.y_offset(), 32 << 10, "{tile:?}");
            assert_eq!(tile.barriers_offset() % 8, 0, "{tile:?}");
            assert_eq!(tile.x_stage_bytes() % 1024, 0, "{tile:?}");
            let barriers = (tile.shared_bytes() - tile.barriers_offset()) / 8;
            assert_eq!(barriers, 2 * tile.stages + 2 * tile.column_sets(), "{tile:?}");
        }
        assert_eq!(TILES.map(|tile| tile.stages), [4, 4, 6]);
    }

    #[test]
    fn clusters_share_the_operand_that_they_say() {
        assert_eq!(H128X256.cluster_tile(true), (256, 256));
        assert_eq!(H256X128.cluster_tile(true), (256, 256));
        assert_eq!(H128X128.cluster_tile(true), (256, 128));
        assert_eq!(H128X256.cluster_tiles(257, 257, true), (2, 2));
        assert_eq!(H128X256.cluster_tiles(257, 257, false), (3, 2));
    }

    #[test]
    fn a_workspace_has_a_place_for_each_warpgroup_that_shares_a_tile() {
        let deal = Deal::shared(1, 40, 66);
        assert_eq!(deal.sharers(), 10);
        assert_eq!(H128X256.workspace_bytes(&deal, false), split::bytes(20, 64 * 256));
        assert_eq!(H256X128.workspace_bytes(&deal, true), split::bytes(40, 128 * 128));
        assert_eq!(H128X128.workspace_bytes(&deal, true), split::bytes(20, 128 * 128), "a tile is one warpgroup's");
        assert_eq!(H128X256.workspace_bytes(&Deal::whole(7, 40, 66), true), 0);
    }

    #[test]
    fn positions_cover_the_output_once() {
        for (tiles_m, tiles_n) in [(1, 1), (1, 5), (7, 1), (8, 3), (9, 4), (17, 13), (40, 2)] {
            let mut seen = [[false; 16]; 40];
            for tile in 0..tiles_m * tiles_n {
                let (row, col) = position(tile, tiles_m, tiles_n);
                assert!(row < tiles_m && col < tiles_n, "tile {tile} of {tiles_m} × {tiles_n} is at ({row}, {col})");
                assert!(!core::mem::replace(&mut seen[row as usize][col as usize], true));
            }
        }
        assert!((0..8).all(|tile| position(tile, 100, 100).1 == 0) && position(8, 100, 100).1 == 1);
    }

    #[test]
    fn a_descriptor_has_its_fields_in_their_places() {
        let d = descriptor(place(0x3_4400));
        assert_eq!(d & 0x3fff, 0x3_4400 >> 4, "address");
        assert_eq!(d >> 32 & 0x3fff, 1024 >> 4, "stride");
        assert_eq!((d >> 49 & 7, d >> 62), (0, 1), "base offset, swizzle");
        assert_eq!(descriptor(place(3 << 24 | 0x3_4400)), d, "in the fourth block of a cluster");
        const { assert!(MAX_SHARED_BYTES / PLACE_BYTES < 1 << 14) };
    }
}
