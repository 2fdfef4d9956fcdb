//! Who computes what: tiles of y over the blocks of a grid that fills the GPU once (Stream-K: Osama et al., 2023,
//! arXiv:2301.03598).
//!
//! Whole waves of tiles go to the blocks one tile each. What is left would leave blocks idle: its k_blocks are dealt
//! out evenly instead, and blocks whose share is part of a tile meet in the workspace. Sums of int32 are exact, so the
//! deal shows in no bit of y.

use crate::split::{self, Shares};

/// The least k_blocks of a share: fewer would take longer to meet than to multiply.
pub const MIN_SHARE: u32 = 4;

/// A grid's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    /// k_blocks of a tile.
    k_blocks: u32,
    /// Blocks of the grid.
    blocks: u32,
    /// Tiles that are computed whole, in steps of the grid.
    whole: u32,
    /// Blocks that share the k_blocks of all tiles after these; 0: there are none.
    sharers: u32,
    /// Who has which of these k_blocks, counted tile after tile.
    shares: Shares,
}

/// Part of a tile, for one block to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The tile.
    pub tile: u32,
    /// Its first k_block of the part.
    pub first: u32,
    /// k_blocks of the part, at least 1; as many as the tile has where one block computes all of it.
    pub count: u32,
    /// Place in the workspace where the blocks that share the tile meet; 0 where they do not.
    pub place: u32,
}

impl Deal {
    /// Every tile whole, in steps of the grid of `blocks` blocks: blocks do not meet.
    #[inline(always)]
    pub const fn whole(tiles: u32, k_blocks: u32, blocks: u32) -> Self {
        Self { k_blocks, blocks: at_least_one(blocks), whole: tiles, sharers: 0, shares: Shares::new(0, 1) }
    }

    /// `tiles` of `k_blocks` each over `blocks` blocks, the tiles of the last wave shared.
    ///
    /// They are not where they nearly fill it (seven eighths): sharing gains less there than meeting costs.
    #[inline(always)]
    pub const fn shared(tiles: u32, k_blocks: u32, blocks: u32) -> Self {
        let blocks = at_least_one(blocks);
        let rest = tiles % blocks;
        // At most 2²⁰ blocks (`grid::MAX_BLOCKS`), less than 2¹¹ k_blocks (`limits::MAX_K`): it fits.
        let units = rest * k_blocks;
        let most = units / MIN_SHARE;
        let sharers = if most < blocks { most } else { blocks };
        if rest as u64 * 8 >= blocks as u64 * 7 || sharers <= rest {
            return Self::whole(tiles, k_blocks, blocks);
        }
        Self { k_blocks, blocks, whole: tiles - rest, sharers, shares: Shares::new(units, sharers) }
    }

    /// Blocks that share tiles, hence places where they meet; 0: no tile is shared.
    #[inline(always)]
    pub const fn sharers(&self) -> u32 {
        self.sharers
    }

    /// Bytes of workspace for tiles of `outputs` elements of y.
    #[inline(always)]
    pub const fn workspace_bytes(&self, outputs: u32) -> u64 {
        if self.sharers == 0 { 0 } else { split::bytes(self.sharers as u64, outputs as u64) }
    }

    /// Turns of block `block`: from this one on [`Deal::part`] has nothing for it.
    #[inline(always)]
    pub const fn turns(&self, block: u32) -> u32 {
        let Deal { k_blocks, blocks, whole, sharers, shares } = *self;
        let waves = whole / blocks;
        if block >= sharers {
            return waves + (block < whole - waves * blocks) as u32;
        }
        let (begin, last) = (shares.first(block), shares.first(block + 1) - 1);
        waves + last / at_least_one(k_blocks) - begin / at_least_one(k_blocks) + 1
    }

    /// What block `block` does in turn `turn`, from 0; `None` once it has done everything. Whole tiles come first: the
    /// blocks that meet then do so at about one time.
    ///
    /// From the turn alone, so that a block carries one number through the main loop: there the registers are the
    /// accumulators'.
    #[inline(always)]
    pub const fn part(&self, block: u32, turn: u32) -> Option<Part> {
        let Deal { k_blocks, blocks, whole, sharers, shares } = *self;
        // A grid has less than 2³² tiles, and a turn is one step through it.
        let tile = block as u64 + turn as u64 * blocks as u64;
        if tile < whole as u64 {
            return Some(Part { tile: tile as u32, first: 0, count: k_blocks, place: 0 });
        }
        if block >= sharers {
            return None;
        }
        // Where tiles are shared, the whole ones are as many for every block.
        let (begin, end) = (shares.first(block), shares.first(block + 1));
        let number = begin / at_least_one(k_blocks) + (turn - whole / blocks);
        let (tile_begin, tile_end) = (number * k_blocks, number * k_blocks + k_blocks);
        let from = if begin > tile_begin { begin } else { tile_begin };
        let to = if end < tile_end { end } else { tile_end };
        if from >= to {
            return None;
        }
        let count = to - from;
        let place = if count == k_blocks { 0 } else { shares.block_of(tile_begin) };
        Some(Part { tile: whole + number, first: from - tile_begin, count, place })
    }
}

/// Keeps the panic of a division by zero out of the device code.
const fn at_least_one(n: u32) -> u32 {
    if n == 0 { 1 } else { n }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::{vec, vec::Vec};

    /// Tiles, k_blocks, blocks.
    const CASES: [(u32, u32, u32); 12] = [
        (0, 3, 5),
        (1, 1, 4),
        (1, 40, 7),
        (3, 9, 108),
        (64, 32, 432),
        (109, 5, 108),
        (150, 7, 108),
        (215, 8, 108),
        (216, 8, 108),
        (107, 64, 108),
        (5, 100, 1),
        (300, 33, 264),
    ];

    /// The parts of all blocks.
    fn parts(deal: Deal, blocks: u32) -> Vec<Vec<Part>> {
        let of = |block| (0..).map_while(|turn| deal.part(block, turn)).collect();
        (0..blocks).map(of).collect()
    }

    #[test]
    fn every_k_block_of_every_tile_is_computed_once() {
        for (tiles, k_blocks, blocks) in CASES {
            for deal in [Deal::shared(tiles, k_blocks, blocks), Deal::whole(tiles, k_blocks, blocks)] {
                let mut seen = vec![vec![0; k_blocks as usize]; tiles as usize];
                for part in parts(deal, blocks).into_iter().flatten() {
                    assert!(part.count > 0, "{deal:?}: {part:?}");
                    for k_block in part.first..part.first + part.count {
                        seen[part.tile as usize][k_block as usize] += 1;
                    }
                }
                assert!(seen.iter().flatten().all(|count| *count == 1), "{deal:?}");
            }
        }
    }

    #[test]
    fn all_who_share_a_tile_meet_at_a_place_of_its_own() {
        for (tiles, k_blocks, blocks) in CASES {
            let deal = Deal::shared(tiles, k_blocks, blocks);
            let all: Vec<Part> = parts(deal, blocks).into_iter().flatten().collect();
            let mut taken = vec![None; deal.sharers() as usize];
            for part in &all {
                let parties = all.iter().filter(|other| other.tile == part.tile).count();
                assert_eq!(parties == 1, part.count == k_blocks, "{deal:?}: {part:?}");
                if parties > 1 {
                    let tile = taken[part.place as usize].get_or_insert(part.tile);
                    assert_eq!(*tile, part.tile, "{deal:?}: two tiles at place {}", part.place);
                }
            }
        }
    }

    #[test]
    fn a_block_has_as_many_turns_as_parts() {
        for (tiles, k_blocks, blocks) in CASES {
            for deal in [Deal::shared(tiles, k_blocks, blocks), Deal::whole(tiles, k_blocks, blocks)] {
                for (block, parts) in parts(deal, blocks).iter().enumerate() {
                    assert_eq!(deal.turns(block as u32) as usize, parts.len(), "{deal:?}: block {block}");
                }
            }
        }
    }

    #[test]
    fn the_last_wave_is_dealt_evenly() {
        for (tiles, k_blocks, blocks) in CASES {
            let deal = Deal::shared(tiles, k_blocks, blocks);
            let parts = parts(deal, blocks);
            let shares = parts[..deal.sharers() as usize].iter();
            let shares: Vec<u32> = shares
                .map(|parts| parts.iter().filter(|part| part.tile >= deal.whole).map(|part| part.count).sum())
                .collect();
            if let (Some(least), Some(most)) = (shares.iter().min(), shares.iter().max()) {
                assert!(most - least <= 1 && *least >= MIN_SHARE, "{deal:?}: {shares:?}");
            }
        }
    }

    #[test]
    fn nothing_is_shared_where_it_gains_nothing() {
        let sharers = |tiles, k_blocks, blocks| Deal::shared(tiles, k_blocks, blocks).sharers();
        assert_eq!(sharers(216, 8, 108), 0, "two full waves");
        assert_eq!(sharers(107, 8, 108), 0, "nearly one");
        assert_eq!(sharers(2, 4, 108), 0, "a tile is one share");
        assert_eq!(sharers(54, 8, 108), 108, "half a wave");
        assert_eq!(sharers(162, 8, 108), 108, "a wave and a half");
        assert_eq!(sharers(1, 40, 108), 10, "shares of four k_blocks");
        assert_eq!((sharers(0, 8, 108), Deal::shared(0, 8, 108).workspace_bytes(64)), (0, 0));
        assert_eq!(Deal::shared(1, 40, 108).workspace_bytes(64), split::bytes(10, 64));
    }
}
