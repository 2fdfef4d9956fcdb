//! How a conflict on a byte of shared memory is worded.

use super::asynchronous::MBARRIER;
use super::context::{Context, Stopped, Who};
use super::order::Agent;
use super::shadow::{Conflict, FlightId, Found, Other};
use super::warp::Warp;
use crate::fault::{FaultKind, Severity};
use crate::ir::lower::SHARED_BASE;

/// Who the other side is: its warp, its lanes and its place in the code.
struct Side {
    agent: Agent,
    lanes: u32,
    pc: usize,
}

fn side(cx: &Context<'_>, other: Other) -> Option<Side> {
    match other {
        Other::None => None,
        Other::Event(event, lanes) => {
            // A copy that has landed is told as what sent it.
            let lanes = if event.agent == event.by { lanes } else { event.by_lanes };
            Some(Side { agent: event.by, lanes, pc: event.pc as usize })
        }
        Other::Flight(id, lane) => {
            let flight = cx.flights.get(id)?;
            let lanes = if flight.lanes >> lane & 1 == 1 { 1 << lane } else { flight.lanes };
            Some(Side { agent: flight.agent, lanes, pc: flight.pc as usize })
        }
    }
}

/// What orders the two: the nearer they are, the less it takes.
fn remedy(cx: &Context<'_>, warp: &Warp, pc: usize, side: &Side) -> String {
    let warps = cx.grid.threads.div_ceil(32);
    if side.agent == warp.agent && side.pc == pc {
        "two threads of one instruction; give them different places, or let one of them do it".to_owned()
    } else if side.agent == warp.agent {
        "another thread of the same warp, and nothing orders the two; a bar.warp.sync is missing".to_owned()
    } else if side.agent.0 / warps == warp.agent.0 / warps {
        format!("warp {}, and nothing orders the two; a bar.sync is missing", side.agent.0 % warps)
    } else {
        "another block of the cluster, and nothing orders the two; a barrier.cluster is missing".to_owned()
    }
}

/// The fault for what `lane` found when it accessed `len` bytes of the shared memory of rank `rank`.
#[cold]
#[inline(never)]
pub(crate) fn found_by(
    cx: &Context<'_>,
    warp: &Warp,
    pc: usize,
    lane: usize,
    rank: usize,
    found: Found,
    len: usize,
) -> Stopped {
    let side = side(cx, found.other);
    let who = Who::access(warp.index, lane, found.at as u64 + u64::from(SHARED_BASE), len);
    let remedy = side.as_ref().map_or_else(String::new, |side| remedy(cx, warp, pc, side));
    let flight = match found.other {
        Other::Flight(id, _) => cx.flights.get(id).map_or("a copy", |flight| flight.what),
        _ => "a copy",
    };
    let whose = if rank == cx.rank { "this block's" } else { "another block's" };
    let landed = match found.other {
        Other::Event(event, _) => event.agent.0 >= cx.threads_agents(),
        _ => false,
    };
    let (kind, explanation) = match found.conflict {
        Conflict::InFlight if flight == MBARRIER => {
            let what =
                "these bytes hold a live mbarrier, which only mbarrier instructions may touch until mbarrier.inval";
            (FaultKind::Mbarrier, what.to_owned())
        }
        Conflict::ReadAfterWrite | Conflict::WriteAfterWrite | Conflict::WriteAfterRead if landed => {
            let what = "this thread has not waited for the copy that wrote or read these bytes of shared memory: the wait \
                        on its mbarrier, or a barrier behind that wait, is missing";
            (FaultKind::CopyInFlight, what.to_owned())
        }
        Conflict::InFlight => {
            let what = format!("{flight} to these bytes of shared memory is in flight, and nobody has waited for it");
            (FaultKind::CopyInFlight, what)
        }
        Conflict::Locked => {
            let what = format!("{flight} in flight still reads these bytes of shared memory: wait for it before this");
            (FaultKind::CopyInFlight, what)
        }
        Conflict::Uninitialised => {
            let at = found.at;
            let what = format!(
                "byte {at} of {whose} shared memory has not been written yet; if another thread writes it, a barrier \
                 between the two is missing"
            );
            (FaultKind::Uninitialised, what)
        }
        Conflict::ReadAfterWrite => {
            (FaultKind::SharedRace, format!("this reads shared memory that was written by {remedy}"))
        }
        Conflict::WriteAfterRead => {
            (FaultKind::SharedRace, format!("this writes shared memory that was read by {remedy}"))
        }
        Conflict::WriteAfterWrite => {
            (FaultKind::SharedRace, format!("this writes shared memory that was written by {remedy}"))
        }
    };
    let mut fault = cx.fault(kind, pc, who, explanation);
    fault.other = side.map(|side| cx.party(side.agent, side.lanes, side.pc));
    fault
}

/// Notes that `lane` has stored the value that another thread, not ordered with it, had stored there.
#[cold]
#[inline(never)]
pub(crate) fn remark(cx: &mut Context<'_>, warp: &Warp, pc: usize, lane: usize, rank: usize, found: Found, len: usize) {
    let other = side(cx, found.other).map_or(pc, |side| side.pc);
    cx.note((FaultKind::SharedRace, pc, other), Severity::Info, |cx| {
        let mut fault = found_by(cx, warp, pc, lane, rank, found, len);
        fault.explanation =
            "two threads store the same value to one place of shared memory without an order: no harm".to_owned();
        fault
    });
}

/// A lane is about to write `len` bytes of global memory at `at`: no copy of its cluster may still be to read them.
#[inline(always)]
pub(crate) fn unread(
    cx: &Context<'_>,
    warp: &Warp,
    pc: usize,
    lane: usize,
    at: u64,
    len: usize,
) -> Result<(), Stopped> {
    if !cx.flights.read_global() || !cx.grid.launch.checks.asynchrony {
        return Ok(());
    }
    match cx.flights.reader_of(at..at + len as u64) {
        Some((id, reader)) => Err(overwritten(cx, warp, pc, Who::access(warp.index, lane, at, len), (id, reader))),
        None => Ok(()),
    }
}

#[cold]
fn overwritten(cx: &Context<'_>, warp: &Warp, pc: usize, who: Who, (id, reader): (FlightId, u32)) -> Stopped {
    let what = cx.flights.get(id).map_or("a copy", |flight| flight.what);
    let whose = if cx.flights.get(id).is_some_and(|flight| flight.agent == warp.agent) { "this" } else { "another" };
    let explanation =
        format!("{what} that {whose} warp has sent and not waited for may still read these bytes of global memory");
    let mut fault = cx.fault(FaultKind::CopyInFlight, pc, who, explanation);
    fault.other = side(cx, Other::Flight(id, reader)).map(|side| cx.party(side.agent, side.lanes, side.pc));
    fault
}
