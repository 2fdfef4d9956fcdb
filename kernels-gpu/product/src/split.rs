//! Tiles whose sum over K several blocks share: how the blocks meet.
//!
//! Each adds its part to the tile's sums in the workspace and goes on. The last to arrive finds the whole, makes y of
//! it and leaves zeros. Nobody waits for another block, so any number of them may run at a time; and as int32 sums are
//! exact, y has the same bits in whatever order they come.
//!
//! | who | does | ordered by |
//! |---|---|---|
//! | every thread | adds its sums: `red.relaxed.gpu` | |
//! | the block | meets: `bar.sync` | its sums come before what its leader does then |
//! | its leader | fence, counts the block's part, fence | release and acquire through the counter: the sums of all blocks that were counted before come first |
//! | the block | meets and learns whether the tile is whole: `bar.red.or` | what the leader knows, all know |
//! | the last block | takes the sums and leaves zeros, the counter too | the end of the launch |
//!
//! (PTX ISA, section 8.8, "Release and Acquire Patterns", and section 8.9.5, causality order: it goes through barriers.)

use contract::args::Workspace;
use contract::split::{counter_offset, sums_offset};
use cuda_std::atomic::{
    atom_relaxed_gpu_global_add_u32, fence_acq_rel_gpu, red_relaxed_gpu_global_add_s32, st_relaxed_gpu_global_b32,
};
use cuda_std::memory::{ld_global_b32, ld_global_v4_b32, st_global_b32, st_global_v4_b32};
use cuda_std::sync::{bar_red_or, bar_sync};

/// The threads of a block that do a tile together.
#[derive(Clone, Copy)]
pub struct Team {
    /// Their barrier: 0 where it is the whole block.
    pub barrier: u32,
    /// How many they are: whole warps.
    pub threads: u32,
    /// This thread's number among them.
    pub thread: u32,
}

/// Where the blocks of a tile meet.
#[derive(Clone, Copy)]
pub struct Meeting {
    counter: u64,
    sums: u64,
}

impl Meeting {
    /// Place `place` of `places` in the workspace, for tiles of `sums` sums.
    #[inline(always)]
    pub fn at(workspace: &Workspace, place: u32, places: u32, sums: u32) -> Self {
        Self {
            counter: workspace.ptr + counter_offset(place as u64),
            sums: workspace.ptr + sums_offset(places as u64, place as u64, sums as u64),
        }
    }

    /// Adds `part` to sum `index`. Lanes side by side should add to sums side by side: a sector a time.
    ///
    /// # Safety
    /// The place is in a workspace that was zero before the launch and belongs to this tile; it has that sum.
    #[inline(always)]
    pub unsafe fn add(&self, index: u32, part: i32) {
        // SAFETY: the caller's; whoever reads it comes behind all adds, as the module says.
        unsafe { red_relaxed_gpu_global_add_s32(self.sums + 4 * index as u64, part) }
    }

    /// Counts the block's part, `steps` of `of` steps along K, which the team has added. True for the whole team if
    /// every other part was counted before: it takes the sums. False: it leaves them alone.
    ///
    /// # Safety
    /// As [`Meeting::add`]. The whole team calls it together, with the same numbers; the parts of all blocks are `of`.
    #[inline(always)]
    pub unsafe fn arrive(&self, team: Team, steps: u32, of: u32) -> bool {
        let mut whole = false;
        // SAFETY: the team is here; the counter is the tile's.
        unsafe {
            bar_sync(team.barrier, team.threads);
            if team.thread == 0 {
                fence_acq_rel_gpu();
                whole = atom_relaxed_gpu_global_add_u32(self.counter, steps) + steps == of;
                fence_acq_rel_gpu();
                if whole {
                    // As strong as the atomics: the fences order what came before the others' counts, not the counts.
                    st_relaxed_gpu_global_b32(self.counter, 0);
                }
            }
            bar_red_or(team.barrier, team.threads, whole)
        }
    }

    /// Takes sum `index` and leaves zero.
    ///
    /// # Safety
    /// [`Meeting::arrive`] returned true, and no other thread takes this sum.
    #[inline(always)]
    pub unsafe fn take(&self, index: u32) -> i32 {
        let addr = self.sums + 4 * index as u64;
        // SAFETY: the caller's; all adds come before.
        unsafe {
            let sum = ld_global_b32(addr) as i32;
            st_global_b32(addr, 0);
            sum
        }
    }

    /// Takes four sums side by side from `index` on, a multiple of four, and leaves zeros.
    ///
    /// # Safety
    /// As [`Meeting::take`].
    #[inline(always)]
    pub unsafe fn take_four(&self, index: u32) -> [i32; 4] {
        let addr = self.sums + 4 * index as u64;
        // SAFETY: the caller's; sums begin at a multiple of 16 bytes.
        unsafe {
            let sums = ld_global_v4_b32(addr).map(|sum| sum as i32);
            st_global_v4_b32(addr, [0; 4]);
            sums
        }
    }
}
