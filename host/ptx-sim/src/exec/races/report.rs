//! How a race in global memory is worded.

use std::sync::PoisonError;

use super::check::Clash;
use super::events::Event;
use super::{Races, Span};
use crate::exec::context::{Context, Stopped, Who};
use crate::exec::warp::Warp;
use crate::fault::{Fault, FaultKind, Party, Severity};

/// Coordinates of the block of an event's warp.
fn block_of(cx: &Context<'_>, races: &Races, event: Event) -> [u32; 3] {
    let clusters = races.clusters.lock().unwrap_or_else(PoisonError::into_inner);
    let first = clusters.get(event.cluster as usize).copied().unwrap_or_default();
    let rank = event.agent.0 / cx.grid.threads.div_ceil(32);
    let [x, y, _] = cx.grid.launch.cluster;
    [first[0] + rank % x, first[1] + rank / x % y, first[2] + rank / (x * y)]
}

/// The number of a block in its grid.
fn number_of(cx: &Context<'_>, [x, y, z]: [u32; 3]) -> u64 {
    let [width, height, _] = cx.grid.launch.grid.map(u64::from);
    u64::from(x) + width * (u64::from(y) + height * u64::from(z))
}

/// Tells of a race. Between two blocks it is the higher one's fault, whichever was first: so that it does not
/// depend on how the workers ran. Where that is not this block, this one goes on.
#[cold]
#[inline(never)]
pub(super) fn found(
    warp: &Warp,
    cx: &mut Context<'_>,
    span: &Span<'_>,
    event: Event,
    clash: Clash,
) -> Result<(), Stopped> {
    let Some(races) = &cx.grid.races else { return Ok(()) };
    let (pc, other_pc) = (event.pc as usize, clash.past.pc as usize);
    if clash.harmless {
        cx.note((FaultKind::GlobalRace, pc, other_pc), Severity::Info, |cx| {
            let mut fault = worded(cx, races, warp, span, event, clash);
            fault.explanation =
                "two threads store the same value to one place of global memory without an order: no harm".to_owned();
            fault
        });
        return Ok(());
    }
    let (here, there) = (cx.block, block_of(cx, races, clash.past));
    let mut fault = worded(cx, races, warp, span, event, clash);
    let number = number_of(cx, there);
    if number <= number_of(cx, here) {
        return Err(fault);
    }
    swap(&mut fault);
    cx.findings.push((number, fault));
    Ok(())
}

fn worded(cx: &Context<'_>, races: &Races, warp: &Warp, span: &Span<'_>, event: Event, clash: Clash) -> Box<Fault> {
    let warps = cx.grid.threads.div_ceil(32);
    let remedy = if clash.past.cluster != event.cluster || clash.past.agent.0 / warps != event.agent.0 / warps {
        "a thread of another block, and nothing orders the two: blocks need atomics with fences, or another launch"
    } else if clash.past.agent != event.agent {
        "another warp of the block, and nothing orders the two; a bar.sync is missing"
    } else if clash.past.pc == event.pc && clash.past.time == event.time {
        "two threads of one instruction; give them different places, or let one of them do it"
    } else {
        "another thread of the same warp, and nothing orders the two; a bar.warp.sync is missing"
    };
    let verb = if clash.wrote { "written" } else { "read" };
    let explanation = format!(
        "byte {} of the allocation of {} bytes at {:#x} is {} here and {verb} by {remedy}",
        clash.at,
        span.found.size,
        span.found.base,
        if clash.deed == "reads" { "read" } else { "written" },
    );
    let width = span.width as u64;
    let address = span.found.base + clash.at / width * width;
    let who = Who::access(warp.index, clash.lane, address, span.width);
    let mut fault = cx.fault(FaultKind::GlobalRace, event.pc as usize, who, explanation);
    fault.other = Some(Box::new(party(cx, races, clash)));
    fault
}

/// The earlier side: its lowest thread.
fn party(cx: &Context<'_>, races: &Races, clash: Clash) -> Party {
    let warp = clash.past.agent.0 % cx.grid.threads.div_ceil(32);
    let lane = (clash.past_lanes != 0).then(|| clash.past_lanes.trailing_zeros());
    let who = Who { warp, lane, access: None };
    let fault = cx.fault(FaultKind::GlobalRace, clash.past.pc as usize, who, String::new());
    Party {
        block: block_of(cx, races, clash.past),
        thread: fault.thread,
        warp,
        ptx_line: fault.ptx_line,
        instruction: fault.instruction,
        source: fault.source,
    }
}

/// Makes the other side of a fault the first.
fn swap(fault: &mut Fault) {
    let Some(other) = fault.other.take() else { return };
    let Party { block, thread, warp, ptx_line, instruction, source } = *other;
    fault.other = Some(Box::new(Party {
        block: std::mem::replace(&mut fault.block, block),
        thread: std::mem::replace(&mut fault.thread, thread),
        warp: std::mem::replace(&mut fault.warp, warp),
        ptx_line: std::mem::replace(&mut fault.ptx_line, ptx_line),
        instruction: std::mem::replace(&mut fault.instruction, instruction),
        source: std::mem::replace(&mut fault.source, source),
    }));
}
