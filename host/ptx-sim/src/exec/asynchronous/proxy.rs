//! The asynchronous proxy (PTX ISA 8.6, 9.7.13.4): what threads write by ordinary stores reaches it only behind
//! `fence.proxy.async`, executed by the writer and ordered before the operation that reads.
//!
//! The order of threads carries that: each warp that fences has a shadow agent, whose time stands for the
//! warp's accesses as the other proxy sees them. A fence tells it to the fencing lanes' clock, and releases
//! and acquires take it along. A write at time t is visible to an operation when the operation's thread
//! knows the shadow agent up to t.

use rustc_hash::FxHashMap;

use super::Sender;
use crate::exec::context::{Context, Place, Stopped, Who};
use crate::exec::order::{Agent, Clock};
use crate::exec::warp::Warp;
use crate::fault::{FaultKind, Severity};
use crate::ir::asynchronous::ProxyFence;
use crate::ir::lower::SHARED_BASE;
use crate::ir::op::Op;

/// The shadow agents of the warps that have executed fences.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    of_async: FxHashMap<Agent, Agent>,
    /// Those whose time stands for what a fencing warp knew of others: enough for bytes that `cp.async` brought.
    of_readers: FxHashMap<Agent, Agent>,
    /// Those whose time stands for mbarrier inits behind `fence.mbarrier_init` only.
    of_inits: FxHashMap<Agent, Agent>,
    /// What a relaxed arrival at the cluster's barrier carries all the same: inits behind their fence.
    pub(super) inits: FxHashMap<Agent, Clock>,
}

impl Proxies {
    pub(super) fn clear(&mut self) {
        self.of_async.clear();
        self.of_readers.clear();
        self.of_inits.clear();
        self.inits.clear();
    }

    /// Whether an mbarrier's init, at `time`, was released by its own fence to `by`.
    pub(super) fn init_released(&self, cx: &Context<'_>, init: Sender, time: u32, by: Sender) -> bool {
        let known = |shadow: &Agent| cx.order.ordered(*shadow, time, 1 << init.lane, by.agent, by.lane as u32);
        self.of_inits.get(&init.agent).is_some_and(known)
    }
}

/// `fence.proxy.async`, `fence.mbarrier_init` and the release side of the tensor map proxy.
pub(super) fn fence(warp: &Warp, cx: &mut Context<'_>, active: u32, fence: ProxyFence) {
    let time = cx.order.time(warp.agent);
    let (shadow, inits) = match fence {
        ProxyFence::Async { shared: true, .. } => (true, false),
        ProxyFence::BarrierInit => (false, true),
        ProxyFence::TensorRelease => return super::tensor::release(warp, cx, active),
        ProxyFence::Async { .. } | ProxyFence::Other => return,
    };
    let mut clock = Clock::default();
    let threads = cx.threads_agents();
    let order = &mut cx.order;
    let proxies = &mut cx.asynchronous.proxies;
    let table = if inits { &mut proxies.of_inits } else { &mut proxies.of_async };
    let agent = *table.entry(warp.agent).or_insert_with(|| order.new_agent());
    if active == warp.launched {
        clock.learn_whole(agent, time);
    } else {
        clock.learn_lanes(agent, active, time);
    }
    if inits {
        proxies.inits.entry(warp.agent).or_default().join(&clock);
    }
    if !inits {
        // Triton lets the readers fence, behind the barrier that follows the wait for cp.async; the document wants
        // the fence on the way (PTX ISA 8.9.5), and there it is. Ordinary stores are held to their writer's fence.
        let readers = &mut proxies.of_readers;
        let known = order.known(warp.agent, active);
        clock.join(&known.renamed(threads, |agent| *readers.entry(agent).or_insert_with(|| order.new_agent())));
    }
    order.acquire(warp.agent, active, &clock);
    // What follows is not behind this fence.
    order.advance(warp.agent);
    for object in cx.asynchronous.objects.values_mut() {
        let own = object.init.agent == warp.agent && active >> object.init.lane & 1 == 1;
        if own && object.fenced.is_none() && (shadow || inits) {
            object.fenced = Some(time);
        }
    }
}

/// The first write in `len` bytes at `at` that the asynchronous proxy would not see yet on behalf of `by`.
fn unseen(cx: &Context<'_>, by: Sender, at: Place, len: usize) -> Option<(usize, Agent, u32, usize)> {
    let threads = cx.threads_agents();
    let shadow = &cx.shared[at.rank].shadow;
    shadow.writers(at.at, len).find_map(|(byte, event, lanes)| {
        // What other copies have written by the same proxy needs no fence.
        if event.agent.0 >= threads {
            return None;
        }
        let known = |shadow: &Agent| {
            let lane = by.lane as u32;
            cx.order.ordered(*shadow, event.time, lanes, by.agent, lane)
        };
        let proxies = &cx.asynchronous.proxies;
        let copied = matches!(cx.grid.program.code[event.pc as usize].op, Op::CopyAsync { .. });
        let fenced = proxies.of_async.get(&event.agent).is_some_and(known)
            || (copied && proxies.of_readers.get(&event.agent).is_some_and(known));
        (!fenced).then_some((byte, event.by, lanes, event.pc as usize))
    })
}

/// Checks that the asynchronous proxy sees what was stored in `len` bytes at `at`, for an operation that `by`
/// executes now: a store out of shared memory, or a matrix product with operands there.
pub(crate) fn fenced(cx: &Context<'_>, by: Sender, at: Place, len: usize) -> Result<(), Stopped> {
    if !cx.grid.launch.checks.asynchrony {
        return Ok(());
    }
    let Some((byte, agent, lanes, pc)) = unseen(cx, by, at, len) else { return Ok(()) };
    let explanation = "this reads by the asynchronous proxy what was written by an ordinary store; the writer has to \
                       execute fence.proxy.async behind its store, and a barrier after that";
    let mut fault = by.fault(cx, FaultKind::Proxy, explanation.to_owned());
    fault.address = Some(byte as u64 + u64::from(SHARED_BASE));
    fault.size = Some(1);
    fault.other = Some(cx.party(agent, lanes, pc));
    Err(fault)
}

/// Notes that a copy is about to write over what an ordinary store wrote without a fence between the two: the
/// document asks for one, the hardware of today keeps the order.
pub(super) fn overwrites(warp: &Warp, cx: &mut Context<'_>, by: Sender, at: Place, len: usize) {
    if !cx.grid.launch.checks.asynchrony {
        return;
    }
    let Some((byte, agent, lanes, pc)) = unseen(cx, by, at, len) else { return };
    cx.note((FaultKind::Proxy, warp.pc, pc), Severity::Warning, |cx| {
        let explanation = "a copy writes by the asynchronous proxy over what an ordinary store wrote; the document asks \
                           for fence.proxy.async by the writer between the two";
        let who = Who::access(warp.index, by.lane, byte as u64 + u64::from(SHARED_BASE), 1);
        let mut fault = cx.fault(FaultKind::Proxy, warp.pc, who, explanation.to_owned());
        fault.other = Some(cx.party(agent, lanes, pc));
        fault
    });
}
