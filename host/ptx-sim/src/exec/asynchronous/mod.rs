//! What works beside the threads: mbarriers, bulk copies and their groups, proxies, clusters.
//!
//! A bulk copy is a [`transfer::Transfer`] from its issue to its completion. Its bytes of shared memory belong to
//! it in the shadow meanwhile. A copy that completes on an mbarrier writes as an agent of its own, that of the
//! mbarrier: whoever has not acquired the phase is not ordered behind the bytes, whenever they landed. So what
//! the schedule chooses (late, eager, drawn) changes results of wrong kernels, not what is found in them.

mod bulk;
mod cluster;
mod exit;
mod groups;
mod mbarrier;
mod objects;
mod proxy;
mod reduce;
mod report;
mod tensor;
mod transfer;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::context::{Context, Place, Stopped, Who};
use super::copies::Copies;
use super::lanes::{Lanes64, lanes_of};
use super::order::Agent;
use super::warp::{Stop, Warp};
use crate::fault::FaultKind;
use crate::ir::asynchronous::Async;
use crate::ir::op::Addr;
use crate::ir::types::Space;
use crate::launch::Schedule;
pub(crate) use cluster::{holds, in_window, rank_address, reach};
pub(crate) use exit::{leave_block, leave_thread};
pub(crate) use objects::MBARRIER;
pub(crate) use proxy::fenced;
pub(crate) use report::{Spin, waits_for};
pub(crate) use transfer::drift;

/// Rounds in which every warp only tests mbarriers in vain, after which none of them will ever go on: far more
/// than a loop that counts its tries makes.
pub(crate) const IDLE_ROUNDS: u32 = 4096;

/// Who executed an instruction that acts later: a thread, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) agent: Agent,
    pub(crate) lane: usize,
    pub(crate) pc: usize,
}

impl Sender {
    pub(crate) fn of(warp: &Warp, lane: usize) -> Self {
        Self { agent: warp.agent, lane, pc: warp.pc }
    }

    /// A fault that is this thread's, whoever runs now.
    #[cold]
    pub(crate) fn fault(&self, cx: &Context<'_>, kind: FaultKind, explanation: String) -> Stopped {
        let party = cx.party(self.agent, 1 << self.lane, self.pc);
        let mut fault = cx.fault(kind, self.pc, Who::warp(party.warp), explanation);
        (fault.block, fault.thread) = (party.block, party.thread);
        fault
    }
}

/// The state of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Asynchronous {
    /// Live mbarrier objects by rank and place.
    objects: BTreeMap<(usize, usize), objects::Object>,
    /// The agents of mbarrier objects, which outlive them.
    barrier_agents: FxHashMap<(usize, usize), Agent>,
    /// Copies in the order of their issue.
    transfers: Vec<transfer::Transfer>,
    /// Bulk groups that each lane of each warp has committed.
    groups: FxHashMap<(Agent, usize), u32>,
    pub(crate) copies: Vec<Copies>,
    proxies: proxy::Proxies,
    cluster: cluster::ClusterBarrier,
    visits: cluster::Visits,
    maps: tensor::Maps,
    /// Moves with everything that can let a waiting warp go on.
    pub(crate) version: u64,
    /// State of the draws of [`Schedule::Random`].
    draws: u64,
}

impl Asynchronous {
    /// For a cluster of that many blocks and warps, the `number`th of the grid.
    pub(crate) fn reset(&mut self, blocks: usize, warps: usize, schedule: Schedule, number: u64) {
        self.objects.clear();
        self.barrier_agents.clear();
        self.transfers.clear();
        self.groups.clear();
        self.copies.resize_with(warps, Copies::default);
        self.copies.iter_mut().for_each(Copies::clear);
        self.proxies.clear();
        self.cluster.reset(warps);
        self.visits.reset(blocks);
        self.maps.clear();
        self.version = 0;
        let seed = if let Schedule::Random(seed) = schedule { seed } else { 0 };
        self.draws = seed ^ number.wrapping_mul(0xA24B_AED4_963E_E407);
    }

    /// A mask of lanes drawn from the schedule's seed, none most of the time.
    pub(crate) fn draw_lanes(&mut self) -> u32 {
        if self.draw(transfer::ODDS) == 0 { self.draw(1 << 32) as u32 } else { 0 }
    }

    /// A number drawn from the schedule's seed, less than `below`.
    fn draw(&mut self, below: u64) -> u64 {
        super::block::split_mix(&mut self.draws) % below
    }
}

/// Executes one operation for the lanes `active`; says why the warp stops here if it does.
#[inline(never)]
pub(crate) fn execute(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<Option<Stop>, Stopped> {
    match *op {
        Async::BarrierInit { .. }
        | Async::BarrierInval { .. }
        | Async::BarrierBytes { .. }
        | Async::BarrierArrive { .. }
        | Async::CopyArrive { .. }
        | Async::PendingCount { .. } => objects::change(warp, cx, active, op)?,
        Async::BarrierWait { .. } => return objects::wait(warp, cx, active, op),
        Async::Bulk { .. } => bulk::copy(warp, cx, active, op)?,
        Async::Store { .. } | Async::Reduce { .. } => bulk::send(warp, cx, active, op)?,
        Async::Tensor { .. } => tensor::copy(warp, cx, active, op)?,
        Async::TensorAcquire { .. } => tensor::acquire(warp, cx, active, op)?,
        Async::TensorReplace { .. } => tensor::replace(warp, cx, active, op)?,
        Async::TensorPublish { .. } => {
            if !tensor::publish(warp, cx, active, op)? {
                return Ok(None);
            }
        }
        Async::BulkCommit => groups::commit(warp, cx, active),
        Async::BulkWait { pending, read } => groups::wait(warp, cx, active, pending, read)?,
        Async::ProxyFence(fence) => proxy::fence(warp, cx, active, fence),
        Async::MapRank { .. } | Async::RankOf { .. } => cluster::map(warp, cx, active, op)?,
        Async::ClusterArrive { .. } | Async::ClusterWait { .. } => return cluster::barrier(warp, cx, active, op),
    }
    warp.pc += 1;
    Ok(None)
}

/// The shared addresses of all lanes, generic ones made shared; says which lane's is none.
fn shared_addresses(warp: &Warp, cx: &Context<'_>, active: u32, space: Space, addr: Addr) -> Result<Lanes64, Stopped> {
    let mut at = super::access::addresses(warp, addr);
    if space == Space::Generic {
        for lane in lanes_of(active) {
            let (found, start) = super::access::space_of(at[lane]);
            if found != Space::Shared {
                let who = Who::access(warp.index, lane, at[lane], 8);
                let explanation = "this generic address is not one of shared memory".to_owned();
                return Err(cx.fault(FaultKind::OutOfBounds, warp.pc, who, explanation));
            }
            at[lane] -= start;
        }
    }
    Ok(at)
}

/// Where `len` bytes at the shared address `at` of one lane lie, a multiple of `align`.
fn place(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    at: u64,
    (len, align): (usize, u64),
) -> Result<Place, Stopped> {
    if !at.is_multiple_of(align) {
        let who = Who::access(warp.index, lane, at, len);
        let explanation = format!("this address has to be a multiple of {align}");
        return Err(cx.fault(FaultKind::Misaligned, warp.pc, who, explanation));
    }
    let Some(place) = cx.shared_place(at, len) else {
        return Err(super::shared::outside(cx, warp, warp.pc, lane, at, len));
    };
    if place.rank != cx.rank {
        reach(warp, cx, warp.pc, lane, place)?;
    }
    Ok(place)
}
