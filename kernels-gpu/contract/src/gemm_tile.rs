//! The tile configurations of the INT8 GEMM: every tunable, and what follows from it.

use crate::swizzle::{CHUNKS, ROW_BYTES};

/// Shared memory that a block may have on every GPU from sm_80 on (sm_86, sm_89 and sm_120 have least).
pub const COMMON_SHARED_BYTES: u32 = 99 * 1024;
/// The most that a block may have on any (sm_90, sm_100). A configuration between the two needs a GPU that has as much.
pub const MAX_SHARED_BYTES: u32 = 227 * 1024;
/// What the system takes of a multiprocessor's shared memory for each block; a multiprocessor has as much more than a
/// block may have (CUDA C++ Programming Guide, compute capabilities).
const RESERVED_SHARED_BYTES: u32 = 1024;

/// One tile configuration. A block computes `block_m × block_n` outputs, K in steps of 128 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GemmTile {
    /// As it stands in the entry's name, `gemm_<name>_<output>`.
    pub name: &'static str,
    /// Rows of y a block computes.
    pub block_m: u32,
    /// Columns of y a block computes.
    pub block_n: u32,
    /// Warps along M.
    pub warps_m: u32,
    /// Warps along N.
    pub warps_n: u32,
    /// Slots of the cp.async pipeline.
    pub stages: u32,
    /// Blocks that fit a multiprocessor by their registers: the launch bound under which ptxas allots them.
    pub blocks: u32,
}

impl GemmTile {
    /// Bytes (and int8 elements) of K in one pipeline slot.
    pub const BLOCK_K: u32 = ROW_BYTES;

    /// Threads of a block.
    #[inline(always)]
    pub const fn threads(&self) -> u32 {
        32 * self.warps_m * self.warps_n
    }
    /// Elements of y a block computes.
    #[inline(always)]
    pub const fn outputs(&self) -> u32 {
        self.block_m * self.block_n
    }
    /// Rows of y a warp computes.
    #[inline(always)]
    pub const fn warp_m(&self) -> u32 {
        self.block_m / self.warps_m
    }
    /// Columns of y a warp computes.
    #[inline(always)]
    pub const fn warp_n(&self) -> u32 {
        self.block_n / self.warps_n
    }
    /// m16 operands a warp holds along M.
    #[inline(always)]
    pub const fn frags_m(&self) -> u32 {
        self.warp_m() / 16
    }
    /// n8 operands a warp holds along N.
    #[inline(always)]
    pub const fn frags_n(&self) -> u32 {
        self.warp_n() / 8
    }
    /// Bytes of the x tile in one pipeline slot; the w tile follows it.
    #[inline(always)]
    pub const fn x_stage_bytes(&self) -> u32 {
        self.block_m * ROW_BYTES
    }
    /// Bytes of the w tile in one pipeline slot.
    #[inline(always)]
    pub const fn w_stage_bytes(&self) -> u32 {
        self.block_n * ROW_BYTES
    }
    /// Bytes of one pipeline slot.
    #[inline(always)]
    pub const fn stage_bytes(&self) -> u32 {
        self.x_stage_bytes() + self.w_stage_bytes()
    }
    /// Dynamic shared memory of a block.
    #[inline(always)]
    pub const fn shared_bytes(&self) -> u32 {
        self.stages * self.stage_bytes()
    }
    /// 16-byte copies each thread issues for the x tile of one slot.
    #[inline(always)]
    pub const fn x_copies(&self) -> u32 {
        self.block_m * CHUNKS / self.threads()
    }
    /// 16-byte copies each thread issues for the w tile of one slot.
    #[inline(always)]
    pub const fn w_copies(&self) -> u32 {
        self.block_n * CHUNKS / self.threads()
    }
    /// Blocks that a multiprocessor holds at once, on a GPU where a block may have `shared_limit` bytes.
    #[inline(always)]
    pub const fn resident(&self, shared_limit: u32) -> u32 {
        let by_shared = (shared_limit + RESERVED_SHARED_BYTES) / (self.shared_bytes() + RESERVED_SHARED_BYTES);
        if by_shared < self.blocks { by_shared } else { self.blocks }
    }
    /// Number of tiles of an `m × n` output; of one that no memory holds, at most what the number can be.
    #[inline(always)]
    pub const fn tiles(&self, m: u64, n: u64) -> u64 {
        m.div_ceil(self.block_m as u64).saturating_mul(n.div_ceil(self.block_n as u64))
    }
    /// Tile rows that are walked through together, so that the tiles of w stay in L2 while they are used.
    pub const GROUP: u32 = 8;

    /// (tile row, tile column) of tile number `tile` of `tiles_m` × `tiles_n`: column by column inside groups of
    /// [`Self::GROUP`] tile rows.
    #[inline(always)]
    pub const fn position(tile: u32, tiles_m: u32, tiles_n: u32) -> (u32, u32) {
        // There is no tile where a divisor would be 0; `at_least_one` keeps the panic out of the device code.
        let group = tile / at_least_one(Self::GROUP * tiles_n);
        let first = group * Self::GROUP;
        let rest = tiles_m - first;
        let rows = at_least_one(if rest < Self::GROUP { rest } else { Self::GROUP });
        let in_group = tile - group * Self::GROUP * tiles_n;
        let col = in_group / rows;
        (first + (in_group - col * rows), col)
    }

    /// Panics, at compile time where it is used in a const, unless the configuration can work.
    #[inline(always)]
    pub const fn assert_legal(&self) {
        assert!(self.block_m.is_multiple_of(16 * self.warps_m), "a warp's rows must be whole m16 operands");
        assert!(self.block_n.is_multiple_of(16 * self.warps_n), "a warp's columns must be whole pairs of n8 operands");
        assert!((self.block_m * CHUNKS).is_multiple_of(self.threads()), "the x tile must divide among the threads");
        assert!((self.block_n * CHUNKS).is_multiple_of(self.threads()), "the w tile must divide among the threads");
        // The map of w's rows repeats every 16, and the loader steps by as many rows as the block copies at a time.
        assert!((self.threads() / CHUNKS).is_multiple_of(16), "a thread's rows must lie alike in their sixteens");
        assert!(self.stages >= 2, "a pipeline needs two slots");
        assert!(self.shared_bytes() <= MAX_SHARED_BYTES, "more shared memory than any GPU has");
        assert!(self.frags_m() * self.frags_n() * 4 <= 128, "more accumulators than registers allow");
    }
}

const fn at_least_one(n: u32) -> u32 {
    if n == 0 { 1 } else { n }
}

/// For large products. Warps of 64 × 64 take 8 `ldmatrix.x4` for 32 `mma.sync`, half a wavefront of shared memory an
/// mma less than warps of 64 × 32; eight of them give every scheduler two, one to multiply while the other waits. Two
/// slots are what every GPU has room for. N of a model is a multiple of 256, M is whatever there is: the longer side
/// lies along N.
pub const T128X256: GemmTile =
    GemmTile { name: "t128x256", block_m: 128, block_n: 256, warps_m: 2, warps_n: 4, stages: 2, blocks: 1 };
/// The same with a k_block more on its way, where a block may have 144 KiB.
pub const T128X256S3: GemmTile = GemmTile { name: "t128x256s3", stages: 3, ..T128X256 };
/// For as many rows as two of the tiles before would leave half empty, M of 129 to 160 or 257 to 320, say. As many outputs
/// as the accumulators of two warps a scheduler hold, and 2 % less from L2 for each than 128 × 256. A panel of w has 64 rows: the
/// columns are whole panels. Two slots are what every GPU has room for.
pub const T160X192: GemmTile =
    GemmTile { name: "t160x192", block_m: 160, block_n: 192, warps_m: 2, warps_n: 4, stages: 2, blocks: 1 };
/// Where tiles of twice the size leave multiprocessors idle. Two blocks fit one with 164 KiB.
pub const T128X128: GemmTile =
    GemmTile { name: "t128x128", block_m: 128, block_n: 128, warps_m: 2, warps_n: 2, stages: 2, blocks: 2 };
/// For rows of y that tiles of 128 leave idle: 65 to 96 and 161 to 192, say. Warps of 48 × 64 read least from shared memory.
pub const T96X128: GemmTile =
    GemmTile { name: "t96x128", block_m: 96, block_n: 128, warps_m: 2, warps_n: 2, stages: 2, blocks: 2 };
/// The same for 65 to 80, 129 to 160 and 193 to 240. A row of warps, since 80 are five m16 operands, which do not halve;
/// three slots are 78 KiB, which every GPU has.
pub const T80X128: GemmTile =
    GemmTile { name: "t80x128", block_m: 80, block_n: 128, warps_m: 1, warps_n: 4, stages: 3, blocks: 2 };
/// For 33 to 48 tokens, and for products that are small both ways. Two blocks fit every multiprocessor.
pub const T48X128: GemmTile =
    GemmTile { name: "t48x128", block_m: 48, block_n: 128, warps_m: 1, warps_n: 4, stages: 2, blocks: 3 };
/// For products too small to fill the GPU with large tiles.
pub const T64X64: GemmTile =
    GemmTile { name: "t64x64", block_m: 64, block_n: 64, warps_m: 2, warps_n: 2, stages: 3, blocks: 4 };
/// For up to 32 tokens.
pub const T32X64: GemmTile =
    GemmTile { name: "t32x64", block_m: 32, block_n: 64, warps_m: 2, warps_n: 2, stages: 4, blocks: 4 };
/// For up to 16 tokens: weights stream through, so that the slots are many.
pub const T16X64: GemmTile =
    GemmTile { name: "t16x64", block_m: 16, block_n: 64, warps_m: 1, warps_n: 4, stages: 4, blocks: 4 };

/// Every configuration that is compiled for `gemm`.
pub const TILES: [GemmTile; 10] =
    [T128X256, T128X256S3, T160X192, T128X128, T96X128, T80X128, T48X128, T64X64, T32X64, T16X64];

/// The configurations of the products with an epilogue of their own.
pub const OTHER_TILES: [GemmTile; 3] = [T128X128, T64X64, T16X64];

const _: () = {
    let mut i = 0;
    while i < TILES.len() {
        TILES[i].assert_legal();
        i += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_cover_the_output_once() {
        for (tiles_m, tiles_n) in [(1, 1), (1, 5), (7, 1), (8, 3), (9, 4), (17, 13), (40, 2)] {
            let mut seen = [[false; 16]; 40];
            for tile in 0..tiles_m * tiles_n {
                let (row, col) = GemmTile::position(tile, tiles_m, tiles_n);
                assert!(row < tiles_m && col < tiles_n, "tile {tile} of {tiles_m} × {tiles_n} is at ({row}, {col})");
                assert!(!core::mem::replace(&mut seen[row as usize][col as usize], true));
            }
        }
    }

    #[test]
    fn neighbouring_tiles_share_a_tile_of_w() {
        let columns = core::array::from_fn::<_, 16, _>(|tile| GemmTile::position(tile as u32, 100, 100));
        assert!(columns[..8].iter().all(|&(_, col)| col == 0) && columns[8..].iter().all(|&(_, col)| col == 1));
    }

    #[test]
    fn tiles_divide_among_warps_and_threads() {
        for tile in TILES {
            assert_eq!(tile.warp_m() * tile.warps_m, tile.block_m, "{tile:?}");
            assert_eq!(tile.warp_n() * tile.warps_n, tile.block_n, "{tile:?}");
            assert_eq!(16 * tile.x_copies() * tile.threads(), tile.x_stage_bytes(), "{tile:?}");
            assert_eq!(16 * tile.w_copies() * tile.threads(), tile.w_stage_bytes(), "{tile:?}");
            assert_eq!(tile.stages * (tile.x_stage_bytes() + tile.w_stage_bytes()), tile.shared_bytes(), "{tile:?}");
        }
    }

    #[test]
    fn partial_tiles_count() {
        assert_eq!(T128X128.tiles(1, 1), 1);
        assert_eq!(T128X128.tiles(129, 128), 2);
        assert_eq!(T16X64.tiles(17, 65), 4);
        assert_eq!(T16X64.tiles(0, 65), 0);
        assert_eq!(T16X64.tiles(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn residents_are_limited_by_shared_memory_and_registers() {
        // sm_80, sm_86, sm_90.
        let resident = |tile: GemmTile| [163, 99, 227].map(|kib| tile.resident(kib << 10));
        assert_eq!(resident(T128X256), [1, 1, 1]);
        assert_eq!(resident(T128X256S3), [1, 0, 1]);
        assert_eq!(resident(T128X128), [2, 1, 2]);
        assert_eq!(resident(T160X192), [1, 1, 1]);
        assert_eq!(resident(T96X128), [2, 1, 2]);
        assert_eq!(resident(T80X128), [2, 1, 2]);
        assert_eq!(resident(T48X128), [3, 2, 3]);
        assert_eq!(resident(T64X64), [3, 2, 4]);
        assert_eq!(resident(T16X64), [4, 2, 4]);
    }

    #[test]
    fn every_gpu_has_a_tile_for_every_shape() {
        let everywhere = |tile: &&GemmTile| tile.shared_bytes() <= COMMON_SHARED_BYTES;
        assert_eq!(TILES.iter().filter(everywhere).count(), TILES.len() - 1);
        assert!(OTHER_TILES.iter().all(|tile| everywhere(&tile)));
    }

    #[test]
    fn illegal_configurations_are_refused() {
        let illegal = [
            GemmTile { block_m: 24, ..T64X64 },
            GemmTile { block_n: 72, ..T64X64 },
            GemmTile { stages: 1, ..T64X64 },
            GemmTile { stages: 5, ..T128X256 },
            GemmTile { warps_n: 1, ..T128X128 },
            GemmTile { warps_m: 1, warps_n: 1, ..T16X64 },
        ];
        for tile in illegal {
            assert!(!legal(&tile), "{tile:?}");
        }
        assert!(TILES.iter().all(legal));
    }

    fn legal(tile: &GemmTile) -> bool {
        extern crate std;
        let tile = *tile;
        std::panic::catch_unwind(move || tile.assert_legal()).is_ok()
    }
}
