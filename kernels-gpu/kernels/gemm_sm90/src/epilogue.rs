//! What a warp makes of its sums: scale, add, round once, store.

use contract::args::GemmArgs;
use contract::hopper_tile::{HopperTile, Schedule, Y_BOX_BYTES, Y_BOX_ROWS, Y_BOXES};
use cuda_std::mbarrier::{mbarrier_arrive_shared_b64, mbarrier_wait_parity_shared_b64};
use cuda_std::memory::ld_shared_v2_b32;
use cuda_std::sync::sync_warp;
use cuda_std::thread::thread_idx_x;
use cuda_std::warp::{FULL_MASK, WARP_SIZE, lane_id};
use product::{Output, affine, load_scale};

use crate::accumulators::Sums;
use crate::ring::{GROUP_WARPS, Shared};
use crate::staging::Staging;
use crate::tiles::Origin;

/// A warp's way from sums to y.
pub(crate) struct Epilogue<'a> {
    args: &'a GemmArgs,
    tile: HopperTile,
    shared: Shared,
    staging: Staging<'a>,
    /// First row of the warp in its warpgroup.
    row: u32,
    /// Its warpgroup's set of column factors, and the parity of the round it is in.
    set: u32,
    parity: u32,
}

/// s_x of the two rows of each m64 operand that a thread holds.
pub(crate) type RowScales<const FRAGS_M: usize> = [[f32; 2]; FRAGS_M];

impl<'a> Epilogue<'a> {
    /// For a warp of warpgroup `group`; `map` is the tensor map of y, or 0.
    #[inline(always)]
    pub(crate) fn new(args: &'a GemmArgs, map: u64, tile: HopperTile, shared: Shared, group: u32) -> Self {
        let warp = thread_idx_x() / WARP_SIZE % GROUP_WARPS;
        let boxes = shared.y() + (group * GROUP_WARPS + warp) * Y_BOXES * Y_BOX_ROWS * Y_BOX_BYTES;
        Self {
            args,
            tile,
            shared,
            staging: Staging::new(&args.y, map, boxes),
            row: Y_BOX_ROWS * warp,
            set: if matches!(tile.schedule, Schedule::PingPong) { group } else { 0 },
            parity: 0,
        }
    }

    /// Loads the scales of the thread's rows, long before they are used. `origin` is the warpgroup's.
    ///
    /// # Safety
    /// Every row of y has a scale.
    #[inline(always)]
    pub(crate) unsafe fn row_scales<O: Output, const FRAGS_M: usize>(&self, origin: Origin) -> RowScales<FRAGS_M> {
        let mut scales = [[0.0; 2]; FRAGS_M];
        if O::SCALED {
            for m in 0..FRAGS_M {
                for half in 0..2 {
                    let row = origin.row + (self.row + 64 * m as u32 + lane_id() / 4 + 8 * half as u32) as u64;
                    if row < self.args.y.rows {
                        // SAFETY: the row is in y.
                        scales[m][half] = unsafe { load_scale(&self.args.s_x, row) };
                    }
                }
            }
        }
        scales
    }

    /// Waits for the factors of the tile's columns.
    ///
    /// # Safety
    /// Once for each turn of the warpgroup, by all lanes of its warps together; [`Self::release_factors`] follows.
    #[inline(always)]
    pub(crate) unsafe fn await_factors<O: Output>(&self) {
        if O::SCALED {
            // SAFETY: the barrier is in the layout; the warp that brings factors does so for every turn.
            unsafe { mbarrier_wait_parity_shared_b64(self.shared.columns_full(self.set), self.parity) };
        }
    }

    /// Says that the warp has read the factors, or will not.
    ///
    /// # Safety
    /// As [`Self::await_factors`], which came before.
    #[inline(always)]
    pub(crate) unsafe fn release_factors<O: Output>(&mut self) {
        // SAFETY: the lanes are here; nobody overwrites the factors before the last arrival.
        unsafe {
            // Where the warp is known to be together again, ptxas keeps the ring's counters in uniform registers.
            sync_warp(FULL_MASK);
            if O::SCALED {
                if lane_id() == 0 {
                    mbarrier_arrive_shared_b64(self.shared.columns_empty(self.set));
                }
                self.parity ^= 1;
            }
        }
    }

    /// Stores the warp's outputs of the warpgroup's tile at `origin`, as far as they are in y.
    ///
    /// # Safety
    /// All lanes of the warp call it together, between [`Self::await_factors`] and [`Self::release_factors`].
    #[inline(always)]
    pub(crate) unsafe fn store<O: Output, S: Sums, const FRAGS_M: usize>(
        &mut self,
        origin: Origin,
        sums: &[S; FRAGS_M],
        s_x: &RowScales<FRAGS_M>,
    ) {
        let columns = self.shared.columns(self.set) + 8 * (lane_id() % 4);
        let biases = columns + 4 * self.tile.block_n;
        // SAFETY: the factors are there, the caller's warp is together.
        unsafe {
            for m in 0..FRAGS_M {
                for part in 0..self.tile.block_n / Staging::cols::<O>() {
                    let first = part * Staging::cols::<O>();
                    let at =
                        Origin { row: origin.row + (64 * m as u32 + self.row) as u64, col: origin.col + first as u64 };
                    self.staging.store::<O>(at, |group| {
                        let col = first + 8 * group;
                        let mut bits = [[0; 2]; 2];
                        let (mut s_w, mut bias) = ([0; 2], [0; 2]);
                        if O::SCALED {
                            s_w = ld_shared_v2_b32(columns + 4 * col);
                            bias = ld_shared_v2_b32(biases + 4 * col);
                        }
                        for half in 0..2 {
                            for c in 0..2 {
                                let sum = sums[m].get(col as usize / 2 + 2 * half + c);
                                let (s_w, bias) = (f32::from_bits(s_w[c]), f32::from_bits(bias[c]));
                                bits[half][c] = O::bits(sum, affine(s_x[m][half], s_w, sum, bias));
                            }
                        }
                        bits
                    });
                }
            }
        }
    }

    /// Waits until the warp's stores no longer need shared memory.
    ///
    /// # Safety
    /// None beyond that of the stores.
    #[inline(always)]
    pub(crate) unsafe fn finish(&self) {
        // SAFETY: the caller's.
        unsafe { self.staging.finish() };
    }
}
