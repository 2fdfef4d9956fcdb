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
    fn places_do_not_overlap() {
        for (blocks, sums) in [(1u64, 1u64), (63, 512), (64, 512), (65, 8192)] {
            assert!(counter_offset(blocks - 1) + COUNTER_BYTES <= sums_offset(blocks, 0, sums));
            assert!(sums_offset(blocks, 0, sums).is_multiple_of(ALIGN_BYTES));
            assert_eq!(sums_offset(blocks, 1, sums) - sums_offset(blocks, 0, sums), sums * SUM_BYTES);
            assert_eq!(sums_offset(blocks, blocks, sums), bytes(blocks, sums));
        }
    }
}
