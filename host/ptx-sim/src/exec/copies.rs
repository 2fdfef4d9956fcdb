//! `cp.async`: the copies of one warp. They land as late as they may, when a thread's wait retires their group or
//! an mbarrier that follows them is waited for.

use super::asynchronous::Sender;
use super::context::{Context, Stopped};
use super::global::lookup;
use super::lanes::{LANES, Lanes64, lanes_of};
use super::order::{Agent, Tag};
use super::shadow::FlightId;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::launch::Schedule;

/// One `cp.async` of a warp, as it was issued.
#[derive(Debug)]
struct Copy {
    /// Which of the warp's copies it is.
    number: u64,
    /// Lanes whose part has not landed.
    pending: u32,
    /// Lanes whose bytes have been moved already, as an early schedule has it.
    moved: u32,
    bytes: u8,
    /// Rank of the block and places in its shared memory.
    rank: usize,
    targets: [u32; LANES],
    /// Global addresses; checked when the copy was issued.
    sources: Lanes64,
    /// Bytes that come from the source; the rest are zero.
    filled: [u8; LANES],
    /// Each lane's group: the number of groups it had committed.
    group: [u32; LANES],
    agent: Agent,
    pc: usize,
    flight: FlightId,
}

/// The copies of a warp that are in flight.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    queue: Vec<Copy>,
    committed: [u32; LANES],
    issued: u64,
}

/// What `cp.async` issues.
pub(crate) struct Issue {
    pub(crate) mask: u32,
    pub(crate) bytes: u8,
    pub(crate) targets: [u32; LANES],
    pub(crate) sources: Lanes64,
    pub(crate) filled: [u8; LANES],
    pub(crate) pc: usize,
    pub(crate) flight: FlightId,
}

impl Copies {
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.committed = [0; LANES];
        self.issued = 0;
    }

    /// How many copies the warp has sent.
    pub(crate) fn sent(&self) -> u64 {
        self.issued
    }

    /// Closes the group of each of `lanes`.
    pub(crate) fn commit(&mut self, lanes: u32) {
        for lane in lanes_of(lanes) {
            self.committed[lane] += 1;
        }
    }

    /// A copy of one of `lanes` that has not landed: the lane, where it was sent, and which of the copies it is.
    pub(crate) fn pending(&self, lanes: u32) -> Option<(usize, usize, u64)> {
        let copy = self.queue.iter().find(|copy| copy.pending & lanes != 0)?;
        Some(((copy.pending & lanes).trailing_zeros() as usize, copy.pc, copy.number))
    }
}

/// Puts a copy in flight.
pub(crate) fn issue(warp: &Warp, cx: &mut Context<'_>, issue: Issue) -> Result<(), Stopped> {
    let Issue { mask, bytes, targets, sources, filled, pc, flight } = issue;
    let rank = cx.rank;
    let copies = &mut cx.asynchronous.copies[warp.agent.at()];
    let (group, number) = (copies.committed, copies.issued);
    copies.issued += 1;
    let (agent, pending, moved) = (warp.agent, mask, 0);
    let mut copy = Copy { number, pending, moved, bytes, rank, targets, sources, filled, group, agent, pc, flight };
    let now = match cx.grid.launch.schedule {
        Schedule::Late => 0,
        Schedule::Eager => mask,
        Schedule::Random(_) => mask & cx.asynchronous.draw_lanes(),
    };
    transport(cx, &mut copy, now)?;
    cx.asynchronous.copies[warp.agent.at()].queue.push(copy);
    Ok(())
}

/// Moves the bytes of `lanes`, once.
fn transport(cx: &mut Context<'_>, copy: &mut Copy, lanes: u32) -> Result<(), Stopped> {
    let bytes = usize::from(copy.bytes);
    for lane in lanes_of(lanes & !copy.moved) {
        let mut data = [0_u8; 16];
        let filled = usize::from(copy.filled[lane]);
        if filled > 0 {
            let sender = Sender { agent: copy.agent, lane, pc: copy.pc };
            read(cx, sender, copy.sources[lane], &mut data[..filled])?;
        }
        let target = copy.targets[lane] as usize;
        let shared = &mut cx.shared[copy.rank];
        shared.bytes[target..target + bytes].copy_from_slice(&data[..bytes]);
        shared.locations.forget(target as u64, bytes as u64);
    }
    copy.moved |= lanes;
    Ok(())
}

/// Reads global memory on behalf of a copy.
#[inline(always)]
pub(crate) fn read(cx: &mut Context<'_>, sender: Sender, address: u64, out: &mut [u8]) -> Result<(), Stopped> {
    let Some((found, offset)) = lookup(cx, sender.pc, address, out.len()) else {
        let explanation = format!("the copy reads memory that is not there: {}", cx.grid.memory.describe(address));
        return Err(sender.fault(cx, FaultKind::OutOfBounds, explanation));
    };
    if cx.grid.launch.checks.init
        && let Some(bad) = found.unwritten(offset, out.len())
    {
        let explanation = format!(
            "the copy reads byte {bad} of the allocation of {} bytes at {:#x}, which was never written, by the host or \
             by a kernel",
            found.size, found.base
        );
        let mut fault = sender.fault(cx, FaultKind::Uninitialised, explanation);
        (fault.address, fault.size) = (Some(address), Some(out.len() as u32));
        return Err(fault);
    }
    found.read(offset, out);
    Ok(())
}

/// Lands the copies of `lanes` of all but the `pending` newest groups; `all` takes what no group holds too.
pub(crate) fn wait(warp: &mut Warp, cx: &mut Context<'_>, lanes: u32, pending: u32, all: bool) -> Result<(), Stopped> {
    let committed = cx.asynchronous.copies[warp.agent.at()].committed;
    retire(cx, warp.agent, None, |copy, lane| {
        let open = copy.group[lane] == committed[lane];
        let newer = committed[lane] - copy.group[lane];
        lanes >> lane & 1 == 1 && (all || (!open && newer > pending))
    })?;
    if all {
        cx.asynchronous.copies[warp.agent.at()].commit(lanes);
    }
    Ok(())
}

/// Lands the sender's copies before its `copies`th: they are ordered by `by`, the agent of an mbarrier.
pub(crate) fn land_first(cx: &mut Context<'_>, sender: Sender, copies: u64, by: Agent) -> Result<(), Stopped> {
    retire(cx, sender.agent, Some(by), |copy, lane| lane == sender.lane && copy.number < copies)
}

/// Lands the parts of a warp's copies that `lands` chooses.
fn retire(
    cx: &mut Context<'_>,
    agent: Agent,
    by: Option<Agent>,
    lands: impl Fn(&Copy, usize) -> bool,
) -> Result<(), Stopped> {
    let mut queue = std::mem::take(&mut cx.asynchronous.copies[agent.at()].queue);
    for copy in &mut queue {
        let landing = lanes_of(copy.pending).filter(|lane| lands(copy, *lane)).fold(0, |mask, lane| mask | 1 << lane);
        if landing != 0 {
            copy.pending &= !landing;
            land(cx, copy, landing, by)?;
        }
    }
    queue.retain(|copy| copy.pending != 0);
    cx.asynchronous.copies[agent.at()].queue = queue;
    Ok(())
}

fn land(cx: &mut Context<'_>, copy: &mut Copy, lanes: u32, by: Option<Agent>) -> Result<(), Stopped> {
    transport(cx, copy, lanes)?;
    let bytes = usize::from(copy.bytes);
    // Now it is as if the thread had written, and others see it behind a barrier (PTX ISA, "cp.async.wait_group");
    // or an mbarrier has told of it.
    let own = (copy.agent, lanes);
    let shadow = &mut cx.shared[copy.rank].shadow;
    let event = shadow.landing(&cx.order, by.map_or(own, |by| (by, 1)), own, copy.pc);
    for lane in lanes_of(lanes) {
        let tag = Tag::lane(event, if by.is_some() { 0 } else { lane });
        shadow.land(copy.targets[lane] as usize, bytes, tag);
    }
    cx.flights.has_read(copy.flight, lanes);
    if copy.pending == 0 {
        cx.flights.end(copy.flight);
    }
    Ok(())
}

/// A point at which a drawn schedule may move bytes of copies in flight.
pub(crate) fn drift(cx: &mut Context<'_>) -> Result<(), Stopped> {
    for agent in 0..cx.asynchronous.copies.len() {
        if cx.asynchronous.copies[agent].queue.is_empty() {
            continue;
        }
        let mut queue = std::mem::take(&mut cx.asynchronous.copies[agent].queue);
        for copy in &mut queue {
            let lanes = copy.pending & cx.asynchronous.draw_lanes();
            transport(cx, copy, lanes)?;
        }
        cx.asynchronous.copies[agent].queue = queue;
    }
    Ok(())
}
