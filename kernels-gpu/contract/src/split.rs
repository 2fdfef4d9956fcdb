//! Tiles of y whose sum over K several blocks share (split-K, stream-K): who does which part of it, and where in the
//! workspace they meet.
//!
//! The work is a row of steps, tile after tile and along K inside a tile. Every block takes as many of them side by
//! side as any other, give or take one, so that no multiprocessor idles in a last wave whatever the shape. Then a
//! tile that two or more blocks share begins in exactly one of them and is the last that begins there: the number of
//! that block is the tile's place in the workspace, which so grows with the grid and not with the product.

/// Bytes of a counter.
const COUNTER_BYTES: u64 = 4;
/// Bytes of a sum.
const SUM_BYTES: u64 = 4;
/// The sums begin at a multiple of this.
const ALIGN_BYTES: u64 = 256;

/// Bytes of workspace for `blocks` blocks and tiles of `sums` int32 sums: counters first, then the sums of each place.
#[inline(always)]
pub const fn bytes(blocks: u64, sums: u64) -> u64 {
    sums_offset(blocks, 0, sums) + blocks * sums * SUM_BYTES
}

/// Offset of the counter of place `place`.
#[inline(always)]
pub const fn counter_offset(place: u64) -> u64 {
    place * COUNTER_BYTES
}

/// Offset of the first of the `sums` sums of place `place`, of `blocks` places.
#[inline(always)]
pub const fn sums_offset(blocks: u64, place: u64, sums: u64) -> u64 {
    (blocks * COUNTER_BYTES).next_multiple_of(ALIGN_BYTES) + place * sums * SUM_BYTES
}

macro_rules! shares {
    ($(#[$meta:meta])* $name:ident counts $int:ident, never by 0: $at_least_one:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            /// Steps of the blocks that have fewer.
            steps: $int,
            /// Blocks that have one step more.
            longer: $int,
        }

        impl $name {
            /// `steps` steps for `blocks` blocks, at least one.
            #[inline(always)]
            pub const fn new(steps: $int, blocks: u32) -> Self {
                let each = steps / $at_least_one(blocks as $int);
                Self { steps: each, longer: steps - each * blocks as $int }
            }

            /// The first step of block `block`; of the block after the last, the number of steps.
            #[inline(always)]
            pub const fn first(&self, block: u32) -> $int {
                let block = block as $int;
                block * self.steps + if block < self.longer { block } else { self.longer }
            }

            /// The block that has step `step`.
            #[inline(always)]
            pub const fn block_of(&self, step: $int) -> u32 {
                let of_longer = self.longer * (self.steps + 1);
                let block = if step < of_longer {
                    step / $at_least_one(self.steps + 1)
                } else {
                    self.longer + (step - of_longer) / $at_least_one(self.steps)
                };
                block as u32
            }
        }

        /// Keeps the panic of a division by zero out of the device code.
        const fn $at_least_one(n: $int) -> $int {
            if n == 0 { 1 } else { n }
        }
    };
}

shares!(
    /// Steps dealt out to blocks: the first blocks have one more than the others.
    Shares counts u32, never by 0: at_least_one
);
shares!(
    /// [`Shares`] of more steps than 32 bits count.
    LongShares counts u64, never by 0: at_least_one_long
);

/// A block's part of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Place of the tile along N.
    pub across: u32,
    /// Place of the tile along M.
    pub down: u32,
    /// The first step of the part along K.
    pub first: u32,
    /// How many steps it has, at least one.
    pub steps: u32,
    /// Where the tile's blocks meet, if the part is not the whole of it.
    pub place: u32,
}

impl Part {
    /// No part: without a step.
    pub const NONE: Part = Part { across: 0, down: 0, first: 0, steps: 0, place: 0 };
}

/// A block's way through its parts: tiles along N, and those for the next tokens after them.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    across: u32,
    /// Steps of a tile.
    of: u32,
    block: u32,
    /// Steps that are left, and the part that comes next but for their number.
    left: u64,
    next: Part,
}

impl Walk {
    /// The parts of block `block` of `blocks`, for `across` by `down` tiles of `of` steps. More tiles either way than 32 bits
    /// count are more bytes than there are addresses.
    #[inline(always)]
    pub const fn new((across, down): (u64, u64), of: u32, block: u32, blocks: u32) -> Self {
        let shares = LongShares::new(across * down * of as u64, blocks);
        let step = shares.first(block);
        let tile = step / at_least_one_long(of as u64);
        let row = tile / at_least_one_long(across);
        let next = Part {
            across: (tile - row * across) as u32,
            down: row as u32,
            first: (step - tile * of as u64) as u32,
            steps: 0,
            place: shares.block_of(tile * of as u64),
        };
        Self { across: across as u32, of, block, left: shares.first(block + 1) - step, next }
    }

    /// The next part.
    #[inline(always)]
    #[allow(clippy::should_implement_trait, reason = "const, and always inlined")]
    pub const fn next(&mut self) -> Option<Part> {
        if self.left == 0 {
            return None;
        }
        let of_tile = self.of - self.next.first;
        let steps = if self.left < of_tile as u64 { self.left as u32 } else { of_tile };
        self.left -= steps as u64;
        let part = Part { steps, ..self.next };
        let ends_row = part.across + 1 == self.across;
        // All tiles but the first begin in this block.
        self.next = Part {
            across: if ends_row { 0 } else { part.across + 1 },
            down: if ends_row { part.down + 1 } else { part.down },
            first: 0,
            steps: 0,
            place: self.block,
        };
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(u32, u32); 9] =
        [(0, 1), (1, 1), (1, 7), (7, 7), (8, 7), (6, 7), (1000, 7), (1792, 528), (u32::MAX, 1 << 20)];

    #[test]
    fn shares_are_side_by_side_and_differ_by_one_at_most() {
        for (steps, blocks) in CASES {
            let shares = Shares::new(steps, blocks);
            assert_eq!((shares.first(0), shares.first(blocks)), (0, steps));
            let lengths = || (0..blocks).map(|block| shares.first(block + 1) - shares.first(block));
            assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1, "{steps} steps, {blocks} blocks");
        }
    }

    #[test]
    fn shares_in_64_bits_are_the_same() {
        for (steps, blocks) in CASES {
            let (shares, long) = (Shares::new(steps, blocks), LongShares::new(steps as u64, blocks));
            for block in [0, blocks / 2, blocks] {
                assert_eq!(shares.first(block) as u64, long.first(block));
            }
            for step in [0, steps / 3, steps.saturating_sub(1)] {
                assert_eq!(shares.block_of(step), long.block_of(step as u64));
            }
        }
        let long = LongShares::new(1 << 40, 7);
        assert_eq!(long.first(7), 1 << 40);
        assert_eq!([long.block_of(long.first(3)), long.block_of(long.first(3) - 1)], [3, 2]);
    }

    #[test]
    fn a_step_is_in_the_share_of_its_block() {
        for (steps, blocks) in CASES {
            let shares = Shares::new(steps, blocks);
            for step in (0..steps.min(5000)).chain(steps.saturating_sub(5000)..steps) {
                let block = shares.block_of(step);
                assert!(block < blocks && (shares.first(block)..shares.first(block + 1)).contains(&step));
            }
        }
    }

    #[test]
    fn tiles_that_are_shared_meet_in_places_of_their_own() {
        for (tiles, steps_a_tile, blocks) in [(5, 8, 3), (224, 8, 528), (3, 100, 7), (64, 1, 9), (1, 31, 40)] {
            let shares = Shares::new(tiles * steps_a_tile, blocks);
            let mut taken = [false; 1024];
            for tile in 0..tiles {
                let (first, last) = (tile * steps_a_tile, (tile + 1) * steps_a_tile - 1);
                let place = shares.block_of(first);
                if place != shares.block_of(last) {
                    assert!(!core::mem::replace(&mut taken[place as usize], true), "tile {tile}");
                }
            }
        }
    }

    #[test]
    fn walks_cover_every_step_once_and_meet_in_places_of_their_own() {
        for (across, down, of, blocks) in [(1u64, 1u64, 1, 1), (5, 1, 8, 3), (3, 2, 7, 11), (2, 3, 1, 4), (1, 1, 40, 9)]
        {
            let mut done = [0u8; 256];
            let mut places = [None; 16];
            for block in 0..blocks {
                let mut walk = Walk::new((across, down), of, block, blocks);
                while let Some(part) = walk.next() {
                    let tile = part.down as usize * across as usize + part.across as usize;
                    (0..part.steps).for_each(|i| done[tile * of as usize + (part.first + i) as usize] += 1);
                    if part.steps < of {
                        assert!(part.place <= block && places[part.place as usize].is_none_or(|other| other == tile));
                        places[part.place as usize] = Some(tile);
                    }
                }
            }
            let steps = (across * down) as usize * of as usize;
            assert!(done[..steps].iter().all(|n| *n == 1) && done[steps..].iter().all(|n| *n == 0));
        }
    }

    #[test]
    fn places_do_not_overlap() {
        for (blocks, sums) in [(1u64, 1u64), (63, 512), (64, 512), (65, 8192)] {
            assert!(counter_offset(blocks - 1) + COUNTER_BYTES <= sums_offset(blocks, 0, sums));
            assert!(sums_offset(blocks, 0, sums).is_multiple_of(ALIGN_BYTES));
            assert_eq!(sums_offset(blocks, 1, sums) - sums_offset(blocks, 0, sums), sums * SUM_BYTES);
            assert_eq!(sums_offset(blocks, blocks, sums), bytes(blocks, sums));
        }
    }
}
