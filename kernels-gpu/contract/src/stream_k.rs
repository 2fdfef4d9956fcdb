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
    /// Tiles that are computed whole, in steps of the grid.
    whole: u64,
    /// The k_blocks of all tiles after these, tile after tile, over the sharers.
    shares: Shares,
    /// Blocks that have a share; 0: no tile is shared.
    sharers: u32,
}

/// Part of a tile, for one block to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The tile.
    pub tile: u64,
    /// Its first k_block of the part.
    pub first: u32,
    /// k_blocks of the part, at least 1.
    pub count: u32,
    /// Where the blocks that share the tile meet; `None` where one computes all of it.
    pub meeting: Option<Meeting>,
}

/// Where blocks meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Place in the workspace (`contract::split`).
    pub place: u32,
    /// How many meet.
    pub parties: u32,
}

impl Deal {
    /// Every tile whole, in steps of the grid: blocks do not meet.
    #[inline(always)]
    pub const fn whole(tiles: u64, k_blocks: u32) -> Self {
        Self { k_blocks, whole: tiles, shares: Shares::new(0, 1), sharers: 0 }
    }

    /// `tiles` of `k_blocks` each over `blocks` blocks, at least one, the tiles of the last wave shared.
    ///
    /// They are not where they nearly fill it (seven eighths): sharing gains less there than meeting costs.
    #[inline(always)]
    pub const fn shared(tiles: u64, k_blocks: u32, blocks: u32) -> Self {
        let blocks = if blocks == 0 { 1 } else { blocks };
        let rest = (tiles % blocks as u64) as u32;
        // A grid that fills a GPU once has less than 2¹⁸ blocks, a tile less than 2¹¹ k_blocks: no overflow.
        let units = rest * k_blocks;
        let most = units / MIN_SHARE;
        let sharers = if most < blocks { most } else { blocks };
        if rest * 8 >= blocks * 7 || sharers <= rest {
            return Self::whole(tiles, k_blocks);
        }
        Self { k_blocks, whole: tiles - rest as u64, shares: Shares::new(units, sharers), sharers }
    }

    /// Blocks that have a share of tiles that are shared, hence places where they meet; 0: no tile is.
    #[inline(always)]
    pub const fn sharers(&self) -> u32 {
        self.sharers
    }

    /// Bytes of workspace for tiles of `outputs` elements of y.
    #[inline(always)]
    pub const fn workspace_bytes(&self, outputs: u32) -> u64 {
        if self.sharers == 0 { 0 } else { split::bytes(self.sharers as u64, outputs as u64) }
    }

    /// The work of block `block` of `blocks`.
    #[inline(always)]
    pub const fn work(&self, block: u32, blocks: u32) -> Work {
        let (unit, end) =
            if block < self.sharers { (self.shares.first(block), self.shares.first(block + 1)) } else { (0, 0) };
        Work { deal: *self, step: blocks, tile: block as u64, unit, end }
    }
}

/// What a block has yet to do.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    deal: Deal,
    step: u32,
    /// The next whole tile.
    tile: u64,
    /// The next k_block of the share, and the end of the share.
    unit: u32,
    end: u32,
}

impl Work {
    /// The next part of the block's work. Whole tiles come first: the blocks that meet then do so at about one time.
    #[inline(always)]
    #[allow(clippy::should_implement_trait, reason = "const, and always inlined")]
    pub const fn next(&mut self) -> Option<Part> {
        let Deal { k_blocks, whole, shares, .. } = self.deal;
        if self.tile < whole {
            let part = Part { tile: self.tile, first: 0, count: k_blocks, meeting: None };
            self.tile += self.step as u64;
            return Some(part);
        }
        if self.unit >= self.end {
            return None;
        }
        let number = self.unit / if k_blocks == 0 { 1 } else { k_blocks };
        let first = self.unit - number * k_blocks;
        let (left_of_tile, left_of_share) = (k_blocks - first, self.end - self.unit);
        let count = if left_of_tile < left_of_share { left_of_tile } else { left_of_share };
        self.unit += count;
        let place = shares.block_of(number * k_blocks);
        let parties = shares.block_of(number * k_blocks + k_blocks - 1) - place + 1;
        let meeting = if parties == 1 { None } else { Some(Meeting { place, parties }) };
        Some(Part { tile: whole + number as u64, first, count, meeting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::{vec, vec::Vec};

    /// Tiles, k_blocks, blocks.
    const CASES: [(u64, u32, u32); 12] = [
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
        let of = |block| {
            let mut work = deal.work(block, blocks);
            std::iter::from_fn(move || work.next()).collect()
        };
        (0..blocks).map(of).collect()
    }

    #[test]
    fn every_k_block_of_every_tile_is_computed_once() {
        for (tiles, k_blocks, blocks) in CASES {
            for deal in [Deal::shared(tiles, k_blocks, blocks), Deal::whole(tiles, k_blocks)] {
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
                match part.meeting {
                    None => assert_eq!((parties, part.count), (1, k_blocks), "{deal:?}: {part:?}"),
                    Some(meeting) => {
                        assert_eq!(meeting.parties as usize, parties, "{deal:?}: {part:?}");
                        let tile = taken[meeting.place as usize].get_or_insert(part.tile);
                        assert_eq!(*tile, part.tile, "{deal:?}: two tiles at place {}", meeting.place);
                    }
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
