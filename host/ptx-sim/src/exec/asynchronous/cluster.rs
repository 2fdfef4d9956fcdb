//! Clusters: addresses of other blocks' shared memory, visits to it, and the barrier of all their threads.

use std::collections::BTreeMap;

use super::Sender;
use crate::exec::context::{Context, Place, SHARED_WINDOW, Stopped, Who};
use crate::exec::gates::{Gate, aligned_gate, lane_list};
use crate::exec::lanes::{LANES, each, lanes_of};
use crate::exec::order::{Agent, Clock};
use crate::exec::warp::{Stop, Warp};
use crate::fault::FaultKind;
use crate::ir::asynchronous::Async;
use crate::ir::lower::SHARED_BASE;
use crate::ir::op::Op;
use crate::ir::types::Space;

/// Bits of a shared address below the block's number: no block has 16 MiB.
const RANK_SHIFT: u32 = 24;

/// The shared address of the byte `at` of the window of the block of that rank: what `mapa` makes, and in a cluster of
/// several blocks `mov` of a variable's address too (ptxas 13.0.88: `SR_CgaCtaId` from bit 24 on; here rank 0 is named as
/// well). An address without a rank, as in `[variable]`, means the own block.
pub(crate) fn rank_address(rank: usize, at: u64) -> u64 {
    (rank as u64 + 1) << RANK_SHIFT | (at & ((1 << RANK_SHIFT) - 1))
}

/// Whether the shared address `at` lies in the window of `space` for a thread of the block of rank `own`.
pub(crate) fn in_window(space: Space, own: usize, at: u64) -> bool {
    let named = at >> RANK_SHIFT;
    space == Space::Cluster || (space == Space::Shared && (named == 0 || named == own as u64 + 1))
}

impl Context<'_> {
    /// Where `len` bytes lie whose address names a block.
    #[cold]
    pub(crate) fn named_place(&self, at: u64, len: usize) -> Option<Place> {
        let rank = (at >> RANK_SHIFT).checked_sub(1)? as usize;
        let start = (at & ((1 << RANK_SHIFT) - 1)).checked_sub(u64::from(SHARED_BASE))? as usize;
        let room = self.grid.shared_bytes.checked_sub(len)?;
        (rank < self.shared.len() && start <= room).then_some(Place { rank, at: start })
    }

    /// Agents that are warps, not something else that acts.
    pub(crate) fn threads_agents(&self) -> u32 {
        self.grid.threads.div_ceil(32) * self.shared.len() as u32
    }
}

/// `mapa` and `getctarank`.
pub(super) fn map(warp: &mut Warp, cx: &Context<'_>, active: u32, op: &Async) -> Result<(), Stopped> {
    let (space, wide, d, a, rank) = match *op {
        Async::MapRank { space, wide, d, a, b } => (space, wide, d, a, Some(b)),
        Async::RankOf { space, wide, d, a } => (space, wide, d, a, None),
        _ => return Ok(()),
    };
    let start = if space == Space::Generic { SHARED_WINDOW } else { 0 };
    let mut out = [0_u64; LANES];
    for lane in lanes_of(active) {
        let address = if wide { warp.files.r64(a)[lane] } else { u64::from(warp.files.r32(a)[lane]) };
        let at = address.wrapping_sub(start);
        if at >> 32 != 0 {
            let explanation = "this is no address of shared memory".to_owned();
            let who = Who::access(warp.index, lane, address, 1);
            return Err(cx.fault(FaultKind::OutOfBounds, warp.pc, who, explanation));
        }
        out[lane] = match rank {
            Some(rank) => {
                let (rank, there) = (warp.files.r32(rank)[lane] as usize, cx.shared.len());
                if rank >= there {
                    let explanation = format!("rank {rank} of a cluster of {there} blocks");
                    let who = Who::lane(warp.index, lane);
                    return Err(cx.fault(FaultKind::Undefined, warp.pc, who, explanation));
                }
                start + rank_address(rank, at)
            }
            None => (at >> RANK_SHIFT).checked_sub(1).unwrap_or(cx.rank as u64),
        };
    }
    match wide && rank.is_some() {
        true => warp.files.put64(d, active, &out),
        false => warp.files.put32(d, active, &each(&out, |value| value as u32)),
    }
    Ok(())
}

/// Who has touched the shared memory of which other block, and which blocks are gone.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// By rank and warp: its lanes, the time of the last visit, and where in the code that was.
    last: BTreeMap<(usize, Agent), (u32, u32, usize)>,
    gone: Vec<bool>,
}

impl Visits {
    pub(super) fn reset(&mut self, blocks: usize) {
        self.last.clear();
        self.gone.clear();
        self.gone.resize(blocks, false);
    }
}

/// A lane touches the shared memory of another block: that has to run, and by `.shared::cluster` only.
#[cold]
#[inline(never)]
pub(crate) fn reach(warp: &Warp, cx: &mut Context<'_>, pc: usize, lane: usize, place: Place) -> Result<(), Stopped> {
    let who = Who::access(warp.index, lane, rank_address(place.rank, place.at as u64 + u64::from(SHARED_BASE)), 1);
    let own_only = match cx.grid.program.code[pc].op {
        Op::Load { access, .. } | Op::Store { access, .. } => access.space == Space::Shared,
        Op::Atomic { space, .. } => space == Space::Shared,
        Op::Async(Async::BarrierArrive { space, .. } | Async::BarrierBytes { space, .. }) => space == Space::Shared,
        Op::Async(_) => false,
        _ => true,
    };
    if own_only {
        let explanation = "this address lies in another block of the cluster; .shared means the own block, write \
                           .shared::cluster";
        return Err(cx.fault(FaultKind::OutOfBounds, pc, who, explanation.to_owned()));
    }
    let [x, y, z] = cx.shared[place.rank].block;
    if cx.asynchronous.visits.gone[place.rank] {
        let explanation = format!("block ({x}, {y}, {z}), whose shared memory this is, has exited");
        return Err(cx.fault(FaultKind::PendingAtExit, pc, who, explanation));
    }
    let warps = cx.grid.threads.div_ceil(32);
    let first = place.rank as u32 * warps;
    // Whoever has waited at the cluster's barrier knows that all have come, even by relaxed arrivals.
    let met = cx.asynchronous.cluster.passed[warp.agent.at()];
    let started = met
        || (first..first + warps)
            .any(|other| (0..32).any(|past| cx.order.ordered(Agent(other), 1, 1 << past, warp.agent, lane as u32)));
    if !started && cx.grid.launch.checks.races {
        let explanation = format!(
            "nothing that this thread has waited for shows that block ({x}, {y}, {z}), whose shared memory this is, \
             has started; a barrier.cluster is missing"
        );
        return Err(cx.fault(FaultKind::SharedRace, pc, who, explanation));
    }
    let time = cx.order.time(warp.agent);
    let visit = cx.asynchronous.visits.last.entry((place.rank, warp.agent)).or_insert((0, time, pc));
    *visit = (visit.0 | 1 << lane, time, pc);
    Ok(())
}

/// The block of that rank has exited: whoever has visited its shared memory must have told it that they are done.
pub(super) fn leave(cx: &mut Context<'_>, rank: usize) -> Result<(), Stopped> {
    cx.asynchronous.visits.gone[rank] = true;
    if !cx.grid.launch.checks.asynchrony {
        return Ok(());
    }
    let warps = cx.grid.threads.div_ceil(32);
    let own = rank as u32 * warps..(rank as u32 + 1) * warps;
    let late = cx.asynchronous.visits.last.iter().find(|((target, agent), (lanes, time, _))| {
        let known = |warp: u32| (0..32).any(|lane| cx.order.ordered(*agent, *time, *lanes, Agent(warp), lane));
        *target == rank && !own.clone().any(known)
    });
    let Some(((_, agent), (lanes, _, pc))) = late else { return Ok(()) };
    let sender = Sender { agent: *agent, lane: lanes.trailing_zeros() as usize, pc: *pc };
    let [x, y, z] = cx.shared[rank].block;
    let explanation = format!(
        "block ({x}, {y}, {z}), whose shared memory this touches, exits without having waited for it; it has to stay \
         until its peers are done, as by barrier.cluster"
    );
    Err(sender.fault(cx, FaultKind::PendingAtExit, explanation))
}

/// The barrier of all threads of the cluster.
#[derive(Debug, Default)]
pub(super) struct ClusterBarrier {
    /// How often it has completed.
    pub(super) generation: u64,
    /// By warp: the generation that it has arrived in.
    arrived: Vec<Option<u64>>,
    /// By warp: whether it has waited for all others once.
    passed: Vec<bool>,
    gone: Vec<bool>,
    /// What has been released in this generation, and what was in the last one.
    current: Clock,
    completed: Clock,
}

impl ClusterBarrier {
    pub(super) fn reset(&mut self, warps: usize) {
        self.generation = 0;
        self.arrived.clear();
        self.arrived.resize(warps, None);
        self.passed.clear();
        self.passed.resize(warps, false);
        self.gone.clear();
        self.gone.resize(warps, false);
        self.current.clear();
        self.completed.clear();
    }

    /// Warps that have arrived, and those that have to.
    pub(super) fn state(&self) -> (usize, usize) {
        let live = |agent: &usize| !self.gone[*agent];
        let here = |agent: &usize| self.arrived[*agent] == Some(self.generation);
        let warps = 0..self.arrived.len();
        (warps.clone().filter(|agent| live(agent) && here(agent)).count(), warps.filter(live).count())
    }

    pub(super) fn leave(&mut self, agent: Agent) {
        self.gone[agent.at()] = true;
    }
}

/// Lets the barrier complete if all have arrived; whether warps that wait may go on now.
pub(crate) fn meet(cx: &mut Context<'_>) {
    let state = &mut cx.asynchronous;
    let (here, live) = state.cluster.state();
    if here == live && here > 0 {
        state.cluster.generation += 1;
        state.cluster.completed = std::mem::take(&mut state.cluster.current);
        state.version += 1;
    }
}

/// `barrier.cluster.arrive` and `.wait`, of the warp as a whole.
pub(super) fn barrier(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<Option<Stop>, Stopped> {
    if aligned_gate(warp, cx, active)? == Gate::Shut {
        return Ok(None);
    }
    let (aligned, arrives) = match *op {
        Async::ClusterArrive { aligned, relaxed } => (aligned, Some(relaxed)),
        Async::ClusterWait { aligned } => (aligned, None),
        _ => return Ok(None),
    };
    if aligned && warp.live != warp.launched {
        let explanation = format!(
            "all threads of a warp have to execute this; lanes {} have exited",
            lane_list(warp.launched & !warp.live)
        );
        return Err(cx.fault(FaultKind::Divergence, warp.pc, Who::warp(warp.index), explanation));
    }
    let bad = |cx: &Context<'_>, what: &str| {
        Err(cx.fault(FaultKind::BadBarrier, warp.pc, Who::warp(warp.index), what.to_owned()))
    };
    let state = &mut cx.asynchronous;
    let generation = state.cluster.generation;
    let before = state.cluster.arrived[warp.agent.at()];
    if let Some(relaxed) = arrives {
        if before == Some(generation) {
            return bad(cx, "the warp arrives at the cluster's barrier twice before it completes");
        }
        state.cluster.arrived[warp.agent.at()] = Some(generation);
        let clock = match relaxed {
            // Fences before it are what a relaxed arrival carries.
            true => {
                let mut clock = cx.order.last_fence(warp.agent, active);
                state.proxies.inits.get(&warp.agent).into_iter().for_each(|inits| clock.join(inits));
                clock
            }
            false => cx.order.release(warp.agent, active),
        };
        state.cluster.current.join(&clock);
        state.version += 1;
        warp.pc += 1;
        meet(cx);
        return Ok(None);
    }
    match before {
        None => bad(cx, "the warp waits at the cluster's barrier without having arrived there"),
        Some(arrived) if arrived == generation => {
            warp.at_cluster = Some(generation);
            Ok(Some(Stop::Cluster))
        }
        Some(_) => {
            cx.order.acquire(warp.agent, active, &state.cluster.completed);
            state.cluster.passed[warp.agent.at()] = true;
            warp.at_cluster = None;
            warp.pc += 1;
            Ok(None)
        }
    }
}

/// Whether the warp still has to wait at the cluster's barrier.
pub(crate) fn holds(cx: &Context<'_>, warp: &Warp) -> bool {
    warp.at_cluster == Some(cx.asynchronous.cluster.generation)
}
