//! The tile configurations of the INT8 GEMM on Hopper with the operands exchanged: rows of w are the tensor cores' M side,
//! tokens their N side, so that a product of 8 tokens does not take the time of one of 64, nor one of 257 that of 384.
//!
//! A block has two warpgroups that multiply, each a panel of w, and one warp that loads. They meet in a ring of slots, each
//! one k_block of both panels and of the tokens, as far ahead as shared memory holds. The two blocks of a cluster have the same
//! rows of w and tokens side by side: each loads a panel for both.

use crate::hopper_tile::{GROUP_THREADS, MAX_SHARED_BYTES};
use crate::packed::{PANEL_ROWS, TILE_BYTES, k_blocks};
use crate::split;
use crate::swizzle::ROW_BYTES;

/// Warpgroups that multiply, one panel of w each.
pub const GROUPS: u32 = 2;

/// Rows of w, columns of y, of a tile.
pub const ROWS: u32 = GROUPS * PANEL_ROWS as u32;

/// Threads that multiply: the first of the block.
pub const CONSUMER_THREADS: u32 = GROUPS * GROUP_THREADS;

/// Threads of a block: the last warp loads.
pub const THREADS: u32 = CONSUMER_THREADS + 32;

/// Words from one token's sums to the next where they are exchanged: 4 more than the rows, so that the four lanes that hold
/// tokens of one row write to different banks, and rows are read four at a time.
pub const TOKEN_WORDS: u32 = ROWS + 4;

/// The most tokens whose sums are exchanged at a time.
const MOST_EXCHANGED: u32 = 64;

/// One tile configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeTile {
    /// As it stands in the entry's name, `gemm_<name>_<output>`.
    pub name: &'static str,
    /// Tokens of a tile: N of a product, and rows of a box of x.
    pub tokens: u32,
    /// Slots of the ring.
    pub stages: u32,
}

impl DecodeTile {
    /// Sums of a thread.
    #[inline(always)]
    pub const fn registers(&self) -> u32 {
        self.tokens / 2
    }
    /// Bytes of w in one slot; the tokens follow.
    #[inline(always)]
    pub const fn w_stage_bytes(&self) -> u32 {
        GROUPS * TILE_BYTES as u32
    }
    /// Bytes of the tokens in one slot.
    #[inline(always)]
    pub const fn x_stage_bytes(&self) -> u32 {
        self.tokens * ROW_BYTES
    }
    /// Bytes of one slot.
    #[inline(always)]
    pub const fn stage_bytes(&self) -> u32 {
        self.w_stage_bytes() + self.x_stage_bytes()
    }
    /// Parts of a tile, by tokens, whose sums are exchanged one after the other.
    #[inline(always)]
    pub const fn exchanges(&self) -> u32 {
        self.tokens.div_ceil(MOST_EXCHANGED)
    }
    /// Tokens of such a part.
    #[inline(always)]
    pub const fn exchanged_tokens(&self) -> u32 {
        self.tokens / self.exchanges()
    }
    /// Offset of the words in which sums are exchanged.
    #[inline(always)]
    pub const fn sums_offset(&self) -> u32 {
        self.stages * self.stage_bytes()
    }
    /// Offset of the barriers, 8 bytes each: a full one for each slot, then an empty one for each.
    #[inline(always)]
    pub const fn barriers_offset(&self) -> u32 {
        self.sums_offset() + 4 * self.exchanged_tokens() * TOKEN_WORDS
    }
    /// Dynamic shared memory of a block.
    #[inline(always)]
    pub const fn shared_bytes(&self) -> u32 {
        self.barriers_offset() + 8 * 2 * self.stages
    }
    /// Tiles of a cluster along N and along M, of two blocks if `in_pair`, else of one.
    #[inline(always)]
    pub const fn cluster_tiles(&self, m: u64, n: u64, in_pair: bool) -> (u64, u64) {
        let across = n.div_ceil(ROWS as u64);
        // By constants each, which no check of a divisor is needed for.
        if in_pair { (across, m.div_ceil(2 * self.tokens as u64)) } else { (across, m.div_ceil(self.tokens as u64)) }
    }
    /// Tokens of the largest tile of a product of `m`.
    #[inline(always)]
    pub const fn tile_tokens(&self, m: u64) -> u32 {
        if m < self.tokens as u64 { m as u32 } else { self.tokens }
    }
    /// Sums of a tile of `tokens` tokens.
    #[inline(always)]
    pub const fn sums(tokens: u32) -> u32 {
        tokens * ROWS
    }
    /// Blocks for a product: whole clusters, one for each multiprocessor, but not so many that one has less than a k_block.
    pub const fn grid(&self, (m, n, k): (u64, u64, u64), multiprocessors: u64, in_pair: bool) -> u32 {
        let cluster = if in_pair { 2 } else { 1 };
        let (across, down) = self.cluster_tiles(m, n, in_pair);
        let steps = across.saturating_mul(down).saturating_mul(k_blocks(k));
        let room = multiprocessors / cluster;
        let clusters = if steps < room { steps } else { room };
        (if clusters == 0 { cluster } else { clusters * cluster }) as u32
    }
    /// Bytes of workspace: room for a tile a block, none where a tile is one step, which no two clusters share.
    pub const fn workspace_bytes(&self, (m, n, k): (u64, u64, u64), multiprocessors: u64, in_pair: bool) -> u64 {
        if k_blocks(k) <= 1 {
            return 0;
        }
        split::bytes(self.grid((m, n, k), multiprocessors, in_pair) as u64, Self::sums(self.tile_tokens(m)) as u64)
    }

    /// Panics, at compile time where it is used in a const, unless the configuration can work.
    pub const fn assert_legal(&self) {
        // wgmma for int8 has N of 8, 16, 24, 32 and then multiples of 16.
        assert!(
            matches!(self.tokens, 8 | 16 | 24 | 32) || self.tokens.is_multiple_of(16) && self.tokens <= 256,
            "not a width of wgmma"
        );
        assert!(self.exchanged_tokens().is_multiple_of(8), "a lane holds pairs of eight tokens");
        // Where tokens are few the memory is waited for, else the products.
        assert!(
            self.stages >= (if self.tokens <= 64 { 6 } else { 4 }) && self.stages <= 10,
            "fewer slots do not hide the memory's latency, more serve nothing"
        );
        assert!(self.shared_bytes() <= MAX_SHARED_BYTES, "more shared memory than a block may have");
        assert!(self.stage_bytes().is_multiple_of(1024), "the swizzle is a pattern of 1,024 bytes of the address");
    }
}

/// Word of the sum of token `token` and row `row` of the tile where sums are exchanged.
#[inline(always)]
pub const fn sum_word(token: u32, row: u32) -> u32 {
    token * TOKEN_WORDS + row
}

/// (row of the warpgroup's panel, token) of sum `i` of lane `lane` in warp `warp` of a warpgroup: the accumulator of
/// `wgmma` (PTX ISA 9.1, section 9.7.15.5.2), whose rows are those of w.
#[inline(always)]
pub const fn sum_element(warp: u32, lane: u32, i: u32) -> (u32, u32) {
    (16 * warp + lane / 4 + 8 * (i / 2 % 2), 8 * (i / 4) + 2 * (lane % 4) + i % 2)
}

/// Up to 8 tokens.
pub const D128X8: DecodeTile = DecodeTile { name: "d128x8", tokens: 8, stages: 10 };
/// Up to 16 tokens.
pub const D128X16: DecodeTile = DecodeTile { name: "d128x16", tokens: 16, stages: 10 };
/// Up to 32 tokens.
pub const D128X32: DecodeTile = DecodeTile { name: "d128x32", tokens: 32, stages: 10 };
/// Up to 64 tokens.
pub const D128X64: DecodeTile = DecodeTile { name: "d128x64", tokens: 64, stages: 8 };
/// Up to 96 tokens, or 192 in pairs. With it and the next two, no number of tokens leaves more than a quarter of the products idle:
/// tiles of 128 tokens leave half of them for 129 or a third for 257.
pub const D128X96: DecodeTile = DecodeTile { name: "d128x96", tokens: 96, stages: 7 };
/// Up to 144 tokens, or 288 in pairs.
pub const D128X144: DecodeTile = DecodeTile { name: "d128x144", tokens: 144, stages: 5 };
/// Up to 192 tokens, or 384 in pairs.
pub const D128X192: DecodeTile = DecodeTile { name: "d128x192", tokens: 192, stages: 4 };

/// Every configuration that is compiled.
pub const TILES: [DecodeTile; 7] = [D128X8, D128X16, D128X32, D128X64, D128X96, D128X144, D128X192];

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
    fn sums_are_exchanged_without_bank_conflicts() {
        for (warp, i) in [(0, 0), (3, 1), (2, 2), (1, 31)] {
            let mut banks = 0u32;
            for lane in 0..32 {
                let (row, token) = sum_element(warp, lane, i);
                banks |= 1 << (sum_word(token, row) % 32);
            }
            assert_eq!(banks, u32::MAX, "a store of register {i}");
        }
        assert!(TOKEN_WORDS.is_multiple_of(4), "four rows are read at once");
    }

    #[test]
    fn every_sum_has_a_lane() {
        let mut seen = [[0u8; 64]; 64];
        for (warp, lane) in (0..4).flat_map(|warp| (0..32).map(move |lane| (warp, lane))) {
            for i in 0..D128X64.registers() {
                let (row, token) = sum_element(warp, lane, i);
                seen[row as usize][token as usize] += 1;
            }
        }
        assert_eq!(seen, [[1; 64]; 64]);
    }

    /// 21 to 28 KiB have to be on their way to an H200's multiprocessor to hide 600 to 800 ns (Little's law).
    #[test]
    fn the_rings_hold_more_than_the_memory_has_on_its_way() {
        for tile in TILES {
            assert!((tile.stages - 1) * tile.stage_bytes() >= 4 * (28 << 10), "{tile:?}");
            assert!(tile.barriers_offset().is_multiple_of(8) && tile.sums_offset().is_multiple_of(16), "{tile:?}");
        }
    }

    #[test]
    fn grids_are_as_wide_as_the_gpu_or_the_work() {
        let alone = |tile: DecodeTile, product| tile.grid(product, 132, false);
        assert_eq!(alone(D128X16, (16, 4096, 4096)), 132);
        assert_eq!([alone(D128X8, (9, 129, 129)), alone(D128X16, (9, 1, 1)), alone(D128X8, (0, 1, 1))], [8, 1, 1]);
        assert_eq!(alone(D128X16, (u64::MAX, u64::MAX, 256)), 132);
        assert_eq!(D128X64.workspace_bytes((64, 4096, 128), 132, false), 0);
        assert_eq!(D128X64.workspace_bytes((64, 4096, 4096), 132, false), 768 + 132 * 64 * 128 * 4);
        let in_pairs = |product, multiprocessors| D128X96.grid(product, multiprocessors, true);
        assert_eq!(
            [in_pairs((500, 4096, 4096), 131), in_pairs((193, 129, 1), 132), in_pairs((1, 1, 1), 1)],
            [130, 8, 2]
        );
        assert_eq!(D128X96.workspace_bytes((97, 128, 256), 132, true), 256 + 4 * 96 * 128 * 4);
    }
}
