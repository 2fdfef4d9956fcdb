//! Where a block's warps meet: the ring of slots, the sets of column factors, and the barriers that say who may touch them.
//!
//! A slot is *full* when its bytes have arrived: one arrival, that of the producer who says how many bytes to expect.
//! It is *empty* when every warp that reads it has said so, those of the other block of a cluster too, as half of a
//! shared tile comes from there. Phases alternate: round r of a slot is the barrier's phase r, of parity r % 2.

use contract::hopper_tile::HopperTile;
use cuda_std::cluster::cluster_nctarank;
use cuda_std::dynamic_shared_mem;
use cuda_std::mbarrier::{fence_mbarrier_init_release_cluster, mbarrier_init_shared_b64};

dynamic_shared_mem! {
    /// All of a block's shared memory. The 128-byte swizzle is a pattern of 1,024 bytes of the address.
    pub(crate) fn gemm_sm90_shared() -> align(1024);
}

/// Bytes of a barrier.
const BARRIER_BYTES: u32 = 8;

/// Warps of a warpgroup.
pub(crate) const GROUP_WARPS: u32 = 4;

/// Shared addresses of what a block's warps meet in.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    base: u32,
    tile: HopperTile,
}

impl Shared {
    #[inline(always)]
    pub(crate) fn of_this_block(tile: HopperTile) -> Self {
        Self { base: gemm_sm90_shared(), tile }
    }

    /// The x tile of slot `slot`.
    #[inline(always)]
    pub(crate) fn x(&self, slot: u32) -> u32 {
        self.base + slot * self.tile.stage_bytes()
    }

    /// The w tile of slot `slot`.
    #[inline(always)]
    pub(crate) fn w(&self, slot: u32) -> u32 {
        self.x(slot) + self.tile.x_stage_bytes()
    }

    /// The boxes of y.
    #[inline(always)]
    pub(crate) fn y(&self) -> u32 {
        self.base + self.tile.y_offset()
    }

    /// Set `set` of column factors: s_w of each column, then the bias of each.
    #[inline(always)]
    pub(crate) fn columns(&self, set: u32) -> u32 {
        self.base + self.tile.columns_offset() + set * self.tile.column_set_bytes()
    }

    /// The barrier that says that slot `slot` is full.
    #[inline(always)]
    pub(crate) fn full(&self, slot: u32) -> u32 {
        self.base + self.tile.barriers_offset() + BARRIER_BYTES * slot
    }

    /// The barrier that says that slot `slot` is empty.
    #[inline(always)]
    pub(crate) fn empty(&self, slot: u32) -> u32 {
        self.full(self.tile.stages + slot)
    }

    /// The barrier that says that set `set` of column factors is there.
    #[inline(always)]
    pub(crate) fn columns_full(&self, set: u32) -> u32 {
        self.full(2 * self.tile.stages + set)
    }

    /// The barrier that says that set `set` of column factors was read.
    #[inline(always)]
    pub(crate) fn columns_empty(&self, set: u32) -> u32 {
        self.full(2 * self.tile.stages + self.tile.column_sets() + set)
    }

    /// Makes the barriers.
    ///
    /// # Safety
    /// One thread of the block calls it, before a barrier of the cluster that all pass.
    #[inline(always)]
    pub(crate) unsafe fn init_barriers(&self) {
        let reader_warps = GROUP_WARPS * self.tile.readers();
        // SAFETY: the addresses are those of the barriers in the layout; nobody has made them.
        unsafe {
            for slot in 0..self.tile.stages {
                mbarrier_init_shared_b64(self.full(slot), 1);
                mbarrier_init_shared_b64(self.empty(slot), reader_warps * cluster_nctarank());
            }
            for set in 0..self.tile.column_sets() {
                mbarrier_init_shared_b64(self.columns_full(set), cuda_std::warp::WARP_SIZE);
                mbarrier_init_shared_b64(self.columns_empty(set), reader_warps);
            }
            fence_mbarrier_init_release_cluster();
        }
    }
}

/// A place in the ring, and the parity of the round that it is in.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) slot: u32,
    pub(crate) parity: u32,
}

impl Cursor {
    pub(crate) const START: Self = Self { slot: 0, parity: 0 };

    /// The next slot, in a ring of `stages`.
    #[inline(always)]
    pub(crate) fn advance(&mut self, stages: u32) {
        self.slot += 1;
        if self.slot == stages {
            self.slot = 0;
            self.parity ^= 1;
        }
    }

    /// `steps` slots on.
    #[inline(always)]
    pub(crate) fn skip(&mut self, steps: u32, stages: u32) {
        let to = self.slot + steps;
        self.slot = to % stages;
        self.parity ^= to / stages % 2;
    }
}
