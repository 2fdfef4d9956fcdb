//! `cp.async.bulk` and `st.async`: checked when they are issued, carried out as `transfer` has it.

use super::transfer::{self, Data, From, Global, Span, Transfer, What};
use super::{Sender, groups, place, proxy};
use crate::exec::access::addresses;
use crate::exec::context::{Context, Place, Stopped, Who};
use crate::exec::global::{lookup, misaligned, out_of_bounds};
use crate::exec::hazards::found_by;
use crate::exec::lanes::lanes_of;
use crate::exec::order::{Strong, Tag};
use crate::exec::races::{self, Deed, Span as RaceSpan, Strength};
use crate::exec::shadow::{Flight, FlightId};
use crate::exec::shared;
use crate::exec::traffic;
use crate::exec::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::asynchronous::{Async, Way};
use crate::ir::op::{Atomic, MemoryOrder, Reg};
use crate::ir::types::Type;

/// Bulk copies move multiples of this, between multiples of it.
const UNIT: usize = 16;

/// Writes global memory for a copy or a reduction.
pub(super) fn write_global(
    cx: &mut Context<'_>,
    sender: Sender,
    address: u64,
    data: &[u8],
    change: Option<(Atomic, Type)>,
) -> Result<(), Stopped> {
    let Some((found, offset)) = lookup(cx, sender.pc, address, data.len()) else {
        let explanation = format!("the copy writes memory that was freed: {}", cx.grid.memory.describe(address));
        return Err(sender.fault(cx, FaultKind::OutOfBounds, explanation));
    };
    match change {
        None => found.write(offset, data),
        Some(change) => {
            if cx.grid.launch.checks.init
                && let Some(bad) = found.unwritten(offset, data.len())
            {
                let explanation = format!(
                    "the reduction changes byte {bad} of the allocation at {:#x}, which nobody has written",
                    found.base
                );
                return Err(sender.fault(cx, FaultKind::Uninitialised, explanation));
            }
            super::reduce::in_global(change, found, offset, data);
        }
    }
    Ok(())
}

/// The ranks that a copy goes to: those of a mask, or that of its address.
pub(super) fn targets(
    warp: &Warp,
    cx: &Context<'_>,
    lane: usize,
    blocks: Reg,
    at: Place,
) -> Result<Vec<usize>, Stopped> {
    if blocks.is_none() {
        return Ok(vec![at.rank]);
    }
    let mask = warp.files.r32(blocks)[lane] & 0xFFFF;
    let there = cx.shared.len();
    if mask == 0 || mask >> there != 0 {
        let explanation = format!("a multicast to the blocks {mask:#06x} (a mask) of a cluster of {there} blocks");
        return Err(cx.fault(FaultKind::Undefined, warp.pc, Who::lane(warp.index, lane), explanation));
    }
    Ok(lanes_of(mask).collect())
}

/// An operation in flight of one lane.
pub(super) fn begin(warp: &Warp, cx: &mut Context<'_>, lane: usize, what: &'static str) -> FlightId {
    cx.flights.begin(Flight { agent: warp.agent, lanes: 1 << lane, pc: warp.pc as u32, what })
}

/// The bytes of `span` belong to `flight`, which will write them, from now on.
pub(super) fn begin_write(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    span: &Span,
    flight: FlightId,
) -> Result<(), Stopped> {
    let by = Sender::of(warp, lane);
    for (_, at, len) in span.pieces.iter().copied() {
        let place = Place { rank: span.rank, at };
        proxy::overwrites(warp, cx, by, place, len);
        let actor = shared::actor(warp, cx, warp.pc, span.rank, 1 << lane, Strong::default());
        let (tag, mark): (Tag, Tag) = (actor.lane(lane), flight.tag(lane));
        let begun = cx.shared[span.rank].shadow.begin_write(&cx.order, &actor, (tag, mark), (at, len));
        begun.map_err(|found| found_by(cx, warp, warp.pc, lane, span.rank, found, len))?;
    }
    Ok(())
}

/// `flight` reads the bytes of `span` by the asynchronous proxy from now on.
pub(super) fn begin_read(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    span: &Span,
    flight: FlightId,
) -> Result<(), Stopped> {
    let by = Sender::of(warp, lane);
    for (_, at, len) in span.pieces.iter().copied() {
        let actor = shared::actor(warp, cx, warp.pc, span.rank, 1 << lane, Strong::default());
        let begun = cx.shared[span.rank].shadow.begin_read(&cx.order, &actor, actor.lane(lane), (at, len), flight);
        begun.map_err(|found| found_by(cx, warp, warp.pc, lane, span.rank, found, len))?;
        proxy::fenced(cx, by, Place { rank: span.rank, at }, len)?;
    }
    Ok(())
}

/// The mbarrier at `bar` is about to be used by the asynchronous proxy.
pub(super) fn check_barrier(warp: &Warp, cx: &mut Context<'_>, lane: usize, bar: Place) -> Result<(), Stopped> {
    let by = Sender::of(warp, lane);
    let who = Who::access(warp.index, lane, bar.at as u64 + u64::from(crate::ir::lower::SHARED_BASE), 8);
    let Some(object) = cx.asynchronous.objects.get(&(bar.rank, bar.at)) else {
        let explanation = "there is no live mbarrier where the copy has to tell that it is complete".to_owned();
        return Err(cx.fault(FaultKind::Mbarrier, warp.pc, who, explanation));
    };
    let (init, fenced) = (object.init, object.fenced.is_some());
    if cx.grid.launch.checks.sync && !super::objects::initialised_before(cx, object, by) {
        let explanation = "the mbarrier was initialised by a thread that is not ordered before this one".to_owned();
        let mut fault = cx.fault(FaultKind::Mbarrier, warp.pc, who, explanation);
        fault.other = Some(cx.party(init.agent, 1 << init.lane, init.pc));
        return Err(fault);
    }
    if cx.grid.launch.checks.asynchrony && !fenced {
        // Compilers leave this fence out within a block, and hardware forgives it.
        cx.note((FaultKind::Proxy, warp.pc, init.pc), crate::fault::Severity::Warning, |cx| {
            let explanation = "a copy uses an mbarrier by the asynchronous proxy whose initialisation no \
                               fence.mbarrier_init or fence.proxy.async has made visible there";
            let mut fault = cx.fault(FaultKind::Proxy, warp.pc, who, explanation.to_owned());
            fault.other = Some(cx.party(init.agent, 1 << init.lane, init.pc));
            fault
        });
    }
    Ok(())
}

/// What a copy will do to global memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use<'d> {
    /// Nothing that orders or races: a prefetch.
    Look,
    Read,
    /// Stores these bytes.
    Write(&'d [u8]),
    /// Changes elements of so many bytes, each by one atomic operation.
    Reduce(u8),
}

/// Refuses what no allocation holds, and notes the access for the search for races. Both when the copy is issued:
/// it is ordered behind what its thread did before, and whoever goes on has to wait for it.
pub(super) fn touch_global(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    (address, len): (u64, usize),
    what: Use<'_>,
) -> Result<(), Stopped> {
    let Some((found, offset)) = lookup(cx, warp.pc, address, len) else {
        return Err(out_of_bounds(cx, warp, warp.pc, lane, address, len));
    };
    let (deed, strength) = match what {
        Use::Look => return Ok(()),
        Use::Read => (Deed::Read, Strength::WEAK),
        Use::Write(data) => (Deed::Write(data), Strength::WEAK),
        Use::Reduce(bytes) => (Deed::Update, Strength::new(MemoryOrder::ATOMIC, bytes)),
    };
    let span = RaceSpan { found, offset, len, width: UNIT, first: None, lanes: 1 << lane };
    races::touch(warp, cx, warp.pc, span, deed, strength)
}

/// Notes what a store out of shared memory will do to global memory.
pub(super) fn touch_target(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    source: &Span,
    (target, bytes): (&Global, usize),
    change: Option<(Atomic, Type)>,
) -> Result<(), Stopped> {
    let mut data = vec![0; bytes];
    source.read(cx, &mut data);
    for (start, address, len) in target.runs(bytes) {
        let what = match change {
            None => Use::Write(&data[start..start + len]),
            Some((_, ty)) => Use::Reduce(ty.bytes() as u8),
        };
        touch_global(warp, cx, lane, (address, len), what)?;
    }
    Ok(())
}

/// `cp.async.bulk`, `cp.reduce.async.bulk` and the prefetch.
pub(super) fn copy(warp: &Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<(), Stopped> {
    let Async::Bulk { way, reduce: change, target, source, bytes, bar, blocks } = *op else { return Ok(()) };
    for lane in lanes_of(active) {
        let wide = |reg: Reg| if reg.is_none() { 0 } else { warp.files.r64(reg)[lane] };
        let (to, from, bytes) = (wide(target), wide(source), warp.files.r32(bytes)[lane] as usize);
        if !bytes.is_multiple_of(UNIT) {
            let explanation = format!("a bulk copy of {bytes} bytes; the size has to be a multiple of {UNIT}");
            return Err(cx.fault(FaultKind::Undefined, warp.pc, Who::lane(warp.index, lane), explanation));
        }
        let global = if way == Way::ToGlobal { to } else { from };
        if way != Way::Between {
            if !global.is_multiple_of(UNIT as u64) {
                return Err(misaligned(cx, warp, warp.pc, lane, global, UNIT));
            }
            // Stores are noted once their source is known to be there.
            let what = if matches!(way, Way::Prefetch | Way::ToGlobal) { Use::Look } else { Use::Read };
            touch_global(warp, cx, lane, (global, bytes), what)?;
            traffic::bulk_global(cx, warp.pc, bytes);
        }
        match way {
            Way::Prefetch => {}
            Way::ToGlobal => {
                let at = place(warp, cx, lane, from, (bytes, UNIT as u64))?;
                let source = Span { rank: at.rank, pieces: vec![(0, at.at, bytes)] };
                store(warp, cx, lane, source, (Global::Flat(to), bytes), change)?;
            }
            _ => {
                let at = place(warp, cx, lane, to, (bytes, UNIT as u64))?;
                let bar = place(warp, cx, lane, wide(bar), (8, 8))?;
                own_block(warp, cx, lane, way, at)?;
                for rank in targets(warp, cx, lane, blocks, at)? {
                    let span = Span { rank, pieces: vec![(0, at.at, bytes)] };
                    let bar = if blocks.is_none() { bar } else { Place { rank, at: bar.at } };
                    let data = match way {
                        Way::Between => {
                            let at = place(warp, cx, lane, from, (bytes, UNIT as u64))?;
                            let source = Span { rank: at.rank, pieces: vec![(0, at.at, bytes)] };
                            let lock = begin(warp, cx, lane, "a bulk copy");
                            begin_read(warp, cx, lane, &source, lock)?;
                            From::Shared(source, lock)
                        }
                        _ => From::Global(Global::Flat(from)),
                    };
                    load(warp, cx, lane, (span, bar), (data, bytes), change)?;
                }
            }
        }
    }
    Ok(())
}

/// `.shared::cta` means the own block, and a copy between blocks has to leave it.
pub(super) fn own_block(warp: &Warp, cx: &Context<'_>, lane: usize, way: Way, at: Place) -> Result<(), Stopped> {
    let own = at.rank == cx.rank;
    let explanation = match way {
        Way::ToBlock if !own => "the target lies in another block; .shared::cta means the own one",
        Way::Between if own => "a copy from .shared::cta to .shared::cluster has to go to another block",
        _ => return Ok(()),
    };
    Err(cx.fault(FaultKind::Undefined, warp.pc, Who::lane(warp.index, lane), explanation.to_owned()))
}

/// Sends a copy to shared memory that completes at `bar`.
pub(super) fn load(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    (target, bar): (Span, Place),
    (from, bytes): (From, usize),
    change: Option<(Atomic, Type)>,
) -> Result<(), Stopped> {
    check_barrier(warp, cx, lane, bar)?;
    traffic::bulk_shared(cx, warp.pc, target.rank, bytes);
    let flight = begin(warp, cx, lane, "a bulk copy");
    begin_write(warp, cx, lane, &target, flight)?;
    let sender = Sender::of(warp, lane);
    transfer::send(cx, Transfer::new(Some(flight), sender, What::Load { bar, target, from, bytes, change }))
}

/// Sends a copy from shared memory, in the thread's open bulk group.
pub(super) fn store(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    source: Span,
    (target, bytes): (Global, usize),
    change: Option<(Atomic, Type)>,
) -> Result<(), Stopped> {
    traffic::bulk_shared(cx, warp.pc, source.rank, bytes);
    let flight = begin(warp, cx, lane, "a bulk store");
    begin_read(warp, cx, lane, &source, flight)?;
    touch_target(warp, cx, lane, &source, (&target, bytes), change)?;
    let sender = Sender::of(warp, lane);
    let group = groups::committed(cx, warp.agent, lane);
    let what = What::Store { group, source, target, data: Data::InShared, bytes, change };
    transfer::send(cx, Transfer::new(Some(flight), sender, what))
}

/// `st.async` and `red.async`.
pub(super) fn send(warp: &Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<(), Stopped> {
    let (addr, bar, ty, change) = match *op {
        Async::Store { addr, bar, ty, .. } => (addr, bar, ty, None),
        Async::Reduce { op, addr, bar, ty, .. } => (addr, bar, ty, Some((op, ty))),
        _ => return Ok(()),
    };
    let regs: Vec<Reg> = match *op {
        Async::Store { regs, .. } => {
            cx.grid.program.pool[regs.start as usize..(regs.start + regs.len) as usize].to_vec()
        }
        Async::Reduce { b, .. } => vec![b],
        _ => Vec::new(),
    };
    let at = addresses(warp, addr);
    let size = ty.bytes() as usize;
    for lane in lanes_of(active) {
        let mut value = Vec::with_capacity(regs.len() * size);
        for reg in &regs {
            match size {
                8 => value.extend_from_slice(&warp.files.r64(*reg)[lane].to_le_bytes()),
                _ => value.extend_from_slice(&warp.files.r32(*reg)[lane].to_le_bytes()),
            }
        }
        let bytes = value.len();
        let to = place(warp, cx, lane, at[lane], (bytes, bytes as u64))?;
        let bar = place(warp, cx, lane, warp.files.r64(bar)[lane], (8, 8))?;
        if bar.rank != to.rank {
            let explanation = "the target and its mbarrier have to lie in one block".to_owned();
            return Err(cx.fault(FaultKind::Undefined, warp.pc, Who::lane(warp.index, lane), explanation));
        }
        let target = Span { rank: to.rank, pieces: vec![(0, to.at, bytes)] };
        load(warp, cx, lane, (target, bar), (From::Value(value), bytes), change)?;
    }
    Ok(())
}
