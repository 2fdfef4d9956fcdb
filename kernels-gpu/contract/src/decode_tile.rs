//! The tile configurations of the INT8 GEMM for few tokens on Hopper, with the operands exchanged: rows of w are the tensor
//! cores' M side, tokens their N side, so that a product of 8 tokens does not take the time of one of 64.
//!
//! A block has two warpgroups that multiply, each a panel of w, and one warp that loads. They meet in a ring of slots, each
//! one k_block of both panels and of the tokens, as far ahead as shared memory holds.

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
    /// Offset of the words in which sums are exchanged.
    #[inline(always)]
    pub const fn sums_offset(&self) -> u32 {
        self.stages * self.stage_bytes()
    }
    /// Offset of the barriers, 8 bytes each: a full one for each slot, then an empty one for each.
    #[inline(always)]
    pub const fn barriers_offset(&self) -> u32 {
        self.sums_offset() + 4 * self.tokens * TOKEN_WORDS
    }
    /// Dynamic shared memory of a block.
    #[inline(always)]
    pub const fn shared_bytes(&self) -> u32 {
        self.barriers_offset() + 8 * 2 * self.stages
    }
    /// Tiles along N and along M.
    #[inline(always)]
    pub const fn tiles(&self, m: u64, n: u64) -> (u64, u64) {
        (n.div_ceil(ROWS as u64), m.div_ceil(self.tokens as u64))
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
    /// Blocks for a product: one for each multiprocessor, but not so many that one has less than a k_block.
    pub const fn grid(&self, (m, n, k): (u64, u64, u64), multiprocessors: u64) -> u32 {
        let (across, down) = self.tiles(m, n);
        let steps = across.saturating_mul(down).saturating_mul(k_blocks(k));
        let blocks = if steps < multiprocessors { steps } else { multiprocessors };
        if blocks == 0 { 1 } else { blocks as u32 }
    }
    /// Bytes of workspace: room for a tile a block, none where a tile is one step, which no two blocks share.
    pub const fn workspace_bytes(&self, (m, n, k): (u64, u64, u64), multiprocessors: u64) -> u64 {
        if k_blocks(k) <= 1 {
            return 0;
        }
        split::bytes(self.grid((m, n, k), multiprocessors) as u64, Self::sums(self.tile_tokens(m)) as u64)
    }

    /// Panics, at compile time where it is used in a const, unless the configuration can work.
    pub const fn assert_legal(&self) {
        // wgmma for int8 has N of 8, 16, 24, 32 and then multiples of 16.
        assert!(matches!(self.tokens, 8 | 16 | 32 | 64 | 128), "not a width of wgmma that is compiled");
        assert!(
            self.stages >= 6 && self.stages <= 10,
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

/// Every configuration that is compiled.
pub const TILES: [DecodeTile; 4] = [D128X8, D128X16, D128X32, D128X64];

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
            assert!(tile.stages * tile.w_stage_bytes() >= 4 * (28 << 10), "{tile:?}");
            assert!(tile.barriers_offset().is_multiple_of(8) && tile.sums_offset().is_multiple_of(16), "{tile:?}");
        }
    }

    #[test]
    fn grids_are_as_wide_as_the_gpu_or_the_work() {
        assert_eq!(D128X16.grid((16, 4096, 4096), 132), 132);
        assert_eq!(
            (D128X8.grid((9, 129, 129), 132), D128X16.grid((9, 1, 1), 132), D128X8.grid((0, 1, 1), 132)),
            (8, 1, 1)
        );
        assert_eq!(D128X16.grid((u64::MAX, u64::MAX, 256), 132), 132);
        assert_eq!(D128X64.workspace_bytes((64, 4096, 128), 132), 0);
        assert_eq!(D128X64.workspace_bytes((64, 4096, 4096), 132), 768 + 132 * 64 * 128 * 4);
    }
}
