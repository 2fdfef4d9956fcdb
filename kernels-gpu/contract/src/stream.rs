//! The weight-streaming GEMM for few tokens: how its work is divided, and which bytes of w and x its lanes hold.
//!
//! A block streams panels of w past its registers; the tensor cores take the tokens as operand A and w as operand B, eight
//! rows at a time. The sum over K may go in any order as long as both operands go in the same: so a lane loads 16 bytes
//! of a row at once, and each product takes two of the four words side by side, as registers must lie for operand B. (As
//! operand A, two rows would have to be interleaved in four registers: a move a word.) The weights need no other layout
//! than [`crate::packed`], and no shared memory.

use crate::packed::{PANEL_ROWS, k_blocks, panels};
use crate::swizzle;

/// Warps of a block. Each takes its own k_block of a panel, and they add up in shared memory.
pub const WARPS: u32 = 4;

/// Threads of a block.
pub const THREADS: u32 = 32 * WARPS;

/// Rows of w in an n8 operand.
pub const GROUP_ROWS: u32 = 8;

/// n8 operands in a panel.
pub const GROUPS: u32 = PANEL_ROWS as u32 / GROUP_ROWS;

/// Tokens that a lane holds a register of: an m16 operand has two, eight apart, or one and zeros.
pub const HALF_TOKENS: u32 = 8;

/// Words from one token's sums to the next in shared memory: 8 more than the rows, so that the lanes of a half warp, four
/// tokens, write pairs of words to different banks.
pub const TOKEN_WORDS: u32 = PANEL_ROWS as u32 + 8;

/// Shared memory, in words, in which the sums of the warps meet.
pub const fn shared_words(tokens: u32) -> u32 {
    WARPS * tokens * TOKEN_WORDS
}

/// A configuration: how many tokens a block does at once, and how many blocks fit a multiprocessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// As it stands in the entry's name, `gemm_<name>_<output>`.
    pub name: &'static str,
    /// The most tokens.
    pub tokens: u32,
    /// Blocks of a multiprocessor, by registers. A lane has 14 to 16 loads of 16 bytes on their way, a block 28 to 32 KiB:
    /// one would do to hide the memory's latency, the others are busy while one adds up.
    pub blocks: u32,
}

/// For up to 8 tokens: the upper half of operand A is zero.
pub const STREAM8: Stream = Stream { name: "stream8", tokens: 8, blocks: 3 };
/// For up to 16 tokens.
pub const STREAM16: Stream = Stream { name: "stream16", tokens: 16, blocks: 3 };

/// Every configuration that is compiled.
pub const STREAMS: [Stream; 2] = [STREAM8, STREAM16];

impl Stream {
    /// Tokens of a lane.
    pub const fn lane_tokens(&self) -> u32 {
        self.tokens / HALF_TOKENS
    }

    /// Tiles of a product: the panels of w for the first [`Self::tokens`] tokens, then for the next.
    #[inline(always)]
    pub const fn tiles(&self, m: u64, n: u64) -> u64 {
        m.div_ceil(self.tokens as u64) * panels(n)
    }

    /// Tokens of the largest tile of a product of `m`.
    #[inline(always)]
    pub const fn tile_tokens(&self, m: u64) -> u32 {
        if m < self.tokens as u64 { m as u32 } else { self.tokens }
    }

    /// Blocks for a product on `multiprocessors` multiprocessors: as many as run at a time, one a step at most.
    pub const fn grid(&self, (m, n, k): (u64, u64, u64), multiprocessors: u64) -> u32 {
        let tiles = m.div_ceil(self.tokens as u64).saturating_mul(panels(n));
        let (steps, room) = (tiles.saturating_mul(steps_a_tile(k) as u64), self.blocks as u64 * multiprocessors);
        let blocks = if steps < room { steps } else { room };
        if blocks == 0 { 1 } else { blocks as u32 }
    }
}

/// Steps of a tile with K = `k`: rounds of a k_block for each warp.
#[inline(always)]
pub const fn steps_a_tile(k: u64) -> u32 {
    k_blocks(k).div_ceil(WARPS as u64) as u32
}

/// Sums of a tile of `tokens` tokens.
#[inline(always)]
pub const fn sums(tokens: u32) -> u32 {
    tokens * PANEL_ROWS as u32
}

/// Code in a k_block of the first byte that lane `lane` loads of its row of w, or of its token, for half `half` (0..2) of
/// the k_block.
#[inline(always)]
pub const fn lane_code(lane: u32, half: u32) -> u32 {
    64 * half + 16 * (lane % 4)
}

/// Offset in a k_block of a panel of the 16 bytes that lane `lane` loads for half `half`, of row `lane / 4`. Row
/// `lane / 4 + 8 · i` has the same place in its own row.
#[inline(always)]
pub const fn lane_offset(lane: u32, half: u32) -> u32 {
    swizzle::offset(lane / 4, lane_code(lane, half) / 16)
}

/// Word of a lane's 16 bytes that register `reg` (0..2) of operand B takes, for product `product` (0..2) of a half.
#[inline(always)]
pub const fn b_word(product: u32, reg: u32) -> u32 {
    2 * product + reg
}

/// Word of a lane's 16 bytes that register `reg` (0..4) of operand A takes, of token `lane / 4` for an even register and
/// the one 8 further for an odd one.
#[inline(always)]
pub const fn a_word(product: u32, reg: u32) -> u32 {
    2 * product + reg / 2
}

/// Word of shared memory for the sum of token `token` and row `row` of the panel in warp `warp`, for `tokens` tokens.
#[inline(always)]
pub const fn shared_word(warp: u32, token: u32, row: u32, tokens: u32) -> u32 {
    (warp * tokens + token) * TOKEN_WORDS + row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::{a_element, b_element, c_element};
    use crate::packed::{TILE_BYTES, offset};

    /// Which code of a k_block stands where the hardware multiplies position `k` of A and of B with each other.
    #[test]
    fn both_operands_go_along_k_in_the_same_order() {
        let mut seen = [0u8; 128];
        for (half, product) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut code_at = [u32::MAX; 32];
            for lane in 0..32 {
                for (reg, byte) in (0..2).flat_map(|reg| (0..4).map(move |byte| (reg, byte))) {
                    let (k, _) = b_element(lane, reg, byte);
                    let code = lane_code(lane, half) + 4 * b_word(product, reg) + byte;
                    assert!(code_at[k as usize] == u32::MAX || code_at[k as usize] == code);
                    code_at[k as usize] = code;
                }
            }
            for lane in 0..32 {
                for (reg, byte) in (0..4).flat_map(|reg| (0..4).map(move |byte| (reg, byte))) {
                    let (_, k) = a_element(lane, reg, byte);
                    assert_eq!(code_at[k as usize], lane_code(lane, half) + 4 * a_word(product, reg) + byte);
                }
            }
            code_at.iter().for_each(|code| seen[*code as usize] += 1);
        }
        assert_eq!(seen, [1; 128], "every code once");
    }

    /// A lane's loads are the rows that its operand B has, in the layout of the weights.
    #[test]
    fn lanes_load_their_rows() {
        let mut loaded = [0u8; TILE_BYTES as usize / 16];
        for (group, half) in (0..GROUPS).flat_map(|group| (0..2).map(move |half| (group, half))) {
            for lane in 0..32 {
                let (_, row) = b_element(lane, 0, 0);
                let at = 128 * GROUP_ROWS * group + lane_offset(lane, half);
                assert_eq!(at as u64, offset((GROUP_ROWS * group + row) as u64, lane_code(lane, half) as u64, 1));
                loaded[at as usize / 16] += 1;
            }
        }
        assert!(loaded.iter().all(|n| *n == 1), "every byte once");
    }

    /// A store of two words goes by half warps.
    #[test]
    fn sums_meet_without_bank_conflicts() {
        for (first, token_reg) in [(0, 0), (16, 0), (0, 2), (16, 2)] {
            let mut banks = 0u32;
            for lane in first..first + 16 {
                let (token, row) = c_element(lane, token_reg);
                assert_eq!(c_element(lane, token_reg + 1), (token, row + 1));
                let word = shared_word(1, token, row, 16);
                assert!(word.is_multiple_of(2));
                banks |= 0b11 << (word % 32);
            }
            assert_eq!(banks, u32::MAX);
        }
        assert_eq!(shared_word(WARPS - 1, 7, 63, 8) + 1 + TOKEN_WORDS - PANEL_ROWS as u32, shared_words(8));
    }

    #[test]
    fn grids_are_as_wide_as_the_gpu_or_the_work() {
        assert_eq!((STREAM8.grid((1, 1024, 4096), 132), STREAM8.grid((8, 4096, 4096), 132)), (128, 396));
        assert_eq!((STREAM8.grid((9, 65, 513), 132), STREAM16.grid((9, 65, 513), 132)), (8, 4));
        assert_eq!((STREAM8.grid((0, 5, 5), 132), STREAM16.grid((1, 1 << 40, 64), 132)), (1, 396));
        assert_eq!(STREAM8.grid((u64::MAX, u64::MAX, 1024), 132), 396);
        assert_eq!((STREAM8.tile_tokens(3), STREAM8.tile_tokens(9)), (3, 8));
    }
}
