//! Special registers.

use super::asynchronous::rank_address;
use super::context::Context;
use super::lanes::LANES;
use super::warp::Warp;
use crate::ir::lower::SHARED_BASE;
use crate::ir::op::{Reg, Special};

/// Multiprocessors of the simulated GPU, as its driver reports them; a block's index says which it runs on.
const MULTIPROCESSORS: u32 = 108;

pub(super) fn special(warp: &mut Warp, cx: &Context<'_>, active: u32, what: Special, d: Reg) {
    let launch = cx.grid.launch;
    let ([x, y, _], cluster) = (launch.block, cx.grid.cluster);
    let linear = |lane: usize| warp.index * 32 + lane as u32;
    let tid = |axis: u8, lane: usize| match axis {
        0 => linear(lane) % x,
        1 => linear(lane) / x % y,
        _ => linear(lane) / (x * y),
    };
    // Time moves with the instructions executed: the same on every run.
    let time = warp.steps;
    if what.wide() {
        let value = match what {
            Special::GridId => 1,
            Special::GlobalTimer => time,
            _ => time,
        };
        return warp.files.put64(d, active, &[value; LANES]);
    }
    let mut out = [0; LANES];
    for (lane, slot) in out.iter_mut().enumerate() {
        let bit = 1_u32 << lane;
        *slot = match what {
            Special::Tid(axis) => tid(axis, lane),
            Special::NTid(axis) => launch.block[usize::from(axis)],
            Special::CtaId(axis) => cx.block[usize::from(axis)],
            Special::NCtaId(axis) => launch.grid[usize::from(axis)],
            Special::LaneId => lane as u32,
            Special::WarpId => warp.index,
            Special::NWarpId => cx.grid.threads.div_ceil(32),
            Special::SmId => cx.block[0] % MULTIPROCESSORS,
            Special::NSmId => MULTIPROCESSORS,
            Special::LaneMaskEq => bit,
            Special::LaneMaskLt => bit - 1,
            Special::LaneMaskLe => bit | (bit - 1),
            Special::LaneMaskGt => !(bit | (bit - 1)),
            Special::LaneMaskGe => !(bit - 1),
            Special::Clock => time as u32,
            Special::DynamicSharedSize => launch.dynamic_shared,
            Special::ClusterCtaId(axis) => cx.block[usize::from(axis)] % cluster[usize::from(axis)],
            Special::ClusterNCtaId(axis) => cluster[usize::from(axis)],
            Special::ClusterCtaRank => cx.rank as u32,
            Special::ClusterNCtaRank => cx.shared.len() as u32,
            Special::SharedWindow if cx.shared.len() == 1 => 0,
            Special::SharedWindow => rank_address(cx.rank, 0) as u32,
            Special::ClusterId(axis) => cx.block[usize::from(axis)] / cluster[usize::from(axis)],
            Special::NClusterId(axis) => launch.grid[usize::from(axis)] / cluster[usize::from(axis)],
            Special::IsExplicitCluster => u32::from(cluster != [1; 3]),
            Special::TotalSharedSize => cx.grid.shared_bytes as u32,
            Special::AllSharedSize => cx.grid.shared_bytes as u32 + SHARED_BASE,
            Special::ClockHigh => (time >> 32) as u32,
            Special::GridId | Special::Clock64 | Special::GlobalTimer => 0,
        };
    }
    warp.files.put32(d, active, &out);
}
