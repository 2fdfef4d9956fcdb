//! How the warpgroups of clusters that share a tile meet: each adds its sums to the tile's in the workspace, and the last
//! makes y of them (`product::split`).
//!
//! A warpgroup meets those that have its rows of the tile in other clusters, and waits for nobody, not even in its block.

use contract::args::GemmArgs;
use contract::hopper_tile::{GROUP_THREADS, HopperTile, Schedule};
use contract::packed;
use cuda_std::cluster::cluster_ctarank;
use cuda_std::thread::thread_idx_x;
use product::split::{Meeting, Team};

use crate::accumulators::Sums;
use crate::tiles::{Part, in_pair};
use crate::uniform::uniform;

/// Named barrier of warpgroup `group` (barriers up to 2 are the block's and those of the turns).
#[inline(always)]
fn barrier(group: u32) -> u32 {
    3 + group
}

/// Adds the sums of warpgroup `group` to those of the others that share the tile. True: it was the last, and `sums` are the
/// whole. `sharers` is how many clusters share tiles.
///
/// # Safety
/// `part` is a share of a tile, and its sums were waited for. All warps of the warpgroup call it, each as a whole.
#[inline(always)]
pub(crate) unsafe fn meet<S: Sums, const FRAGS_M: usize>(
    args: &GemmArgs,
    tile: HopperTile,
    group: u32,
    part: Part,
    sharers: u32,
    sums: &mut [S; FRAGS_M],
) -> bool {
    let of_cluster = tile.places(in_pair());
    let in_block = if matches!(tile.schedule, Schedule::PingPong) { 0 } else { group };
    let place = part.place * of_cluster + cluster_ctarank() * tile.readers() + in_block;
    let meeting = Meeting::at(&args.workspace, place, sharers * of_cluster, tile.group_sums());
    let team = Team { barrier: barrier(group), threads: GROUP_THREADS, thread: thread_idx_x() % GROUP_THREADS };
    // The threads' first sums side by side, then their second: whole lines whatever a lane's place in y.
    let index = |m: usize, i: usize| (m * S::REGISTERS + i) as u32 * GROUP_THREADS + team.thread;
    // SAFETY: the place is this warpgroup's and its like's; the indices are the thread's own.
    unsafe {
        for m in 0..FRAGS_M {
            for i in 0..S::REGISTERS {
                meeting.add(index(m, i), sums[m].get(i));
            }
        }
        let is_whole = meeting.arrive(team, part.k_blocks, packed::k_blocks(args.q_w.cols) as u32);
        if uniform(is_whole as u32) == 0 {
            return false;
        }
        for m in 0..FRAGS_M {
            for i in 0..S::REGISTERS {
                sums[m].set(i, meeting.take(index(m, i)));
            }
        }
    }
    true
}
