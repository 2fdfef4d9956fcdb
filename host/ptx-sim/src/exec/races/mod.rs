//! Races in global memory: two threads touch a byte, one of them writes, and nothing orders the two.
//!
//! Every access leaves an event in the shadow of its bytes (`memory::shadow`) and is held against what is there
//! already. Threads of a cluster are ordered by its clocks (`exec::order`), others only through what one releases
//! and the other acquires (`sync`). A page is locked while an access is held against it and noted, so that of two
//! workers' accesses one sees the other, whichever comes first.
//!
//! Strong accesses of one size whose scopes reach each other do not race (PTX ISA, "Morally Strong Operations").

mod cells;
mod check;
mod events;
mod report;
mod sync;
mod tracker;

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::context::{Context, Stopped};
use super::warp::Warp;
use crate::ir::Program;
use crate::ir::op::{MemoryOrder, Op, Scope};
use crate::memory::{Allocation, PAGE, SECTOR};
use cells::{Run, WHOLE};
use check::{Actor, Clash};
use events::{Event, Events};
use sync::Log;
pub(crate) use sync::{Kind, strong};
pub(crate) use tracker::Tracker;

/// What all workers of a launch know of its accesses.
#[derive(Debug)]
pub(crate) struct Races {
    /// The launch, as pages know it.
    stamp: u64,
    events: Events,
    /// Coordinates of the first block of each cluster that has begun.
    clusters: Mutex<Vec<[u32; 3]>>,
    log: Mutex<Log>,
    /// Whether the kernel has an instruction that can order blocks.
    pub(crate) synchronises: bool,
    /// Addresses between which something was released.
    released: [AtomicU64; 2],
}

impl Races {
    pub(crate) fn new(stamp: u64, program: &Program) -> Self {
        let orders = |order: &MemoryOrder| order.acquire || order.release;
        let synchronises = program.code.iter().any(|inst| match &inst.op {
            Op::Fence { scope } => *scope != Scope::Cta,
            Op::Load { access, .. } | Op::Store { access, .. } => orders(&access.order),
            Op::Atomic { order, .. } => orders(order),
            Op::AtomicPair(pair) => orders(&pair.order),
            _ => false,
        });
        let released = [AtomicU64::new(u64::MAX), AtomicU64::new(0)];
        Self {
            stamp,
            events: Events::default(),
            clusters: Mutex::default(),
            log: Mutex::default(),
            synchronises,
            released,
        }
    }

    /// Whether there were more accesses than can be told apart, so that later ones were not looked at.
    pub(crate) fn is_full(&self) -> bool {
        self.events.is_full()
    }
}

/// What makes an access strong: bytes of one element, 0 for a weak one, and how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strength {
    width: u8,
    scope: Scope,
}

impl Strength {
    pub(crate) const WEAK: Self = Self { width: 0, scope: Scope::Cta };

    /// Of an access to elements of `bytes` bytes.
    pub(crate) fn new(order: MemoryOrder, bytes: u8) -> Self {
        if order.strong { Self { width: bytes, scope: order.scope } } else { Self::WEAK }
    }

    /// Of the instruction at a place of the code.
    pub(crate) fn of(op: &Op) -> Self {
        match op {
            Op::Load { access, .. } | Op::Store { access, .. } => Self::new(access.order, access.bytes),
            Op::Atomic { order, ty, .. } => Self::new(*order, ty.bytes() as u8),
            Op::AtomicPair(pair) => Self::new(pair.order, 16),
            _ => Self::WEAK,
        }
    }
}

/// Bytes of one allocation that lanes touch: all of `lanes` every byte, or lane after lane from `first` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'g> {
    pub(crate) found: &'g Allocation,
    pub(crate) offset: u64,
    pub(crate) len: usize,
    /// Bytes of one lane.
    pub(crate) width: usize,
    /// The lane of the first bytes; `None` when all of `lanes` touch all of them.
    pub(crate) first: Option<usize>,
    /// Lanes that execute the instruction, or that touch the bytes where `first` is `None`.
    pub(crate) lanes: u32,
}

/// What lanes do to bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed<'d> {
    Read,
    /// These bytes are stored.
    Write(&'d [u8]),
    /// An atomic operation.
    Update,
}

/// Notes an access and holds it against earlier ones. Writes have to be noted before they change memory.
#[inline(always)]
pub(crate) fn touch(
    warp: &Warp,
    cx: &mut Context<'_>,
    pc: usize,
    span: Span<'_>,
    deed: Deed<'_>,
    strength: Strength,
) -> Result<(), Stopped> {
    let grid = cx.grid;
    let Some(races) = &grid.races else { return Ok(()) };
    let time = cx.order.time(warp.agent);
    let event = Event { cluster: cx.tracker.cluster, agent: warp.agent, time, pc: pc as u32, lanes: span.lanes };
    let Some(number) = cx.tracker.number(&races.events, event) else { return Ok(()) };
    let warps = grid.threads.div_ceil(32);
    let program = grid.program;
    let actor = Actor { races, program, order: &cx.order, tracker: &cx.tracker, event, strength, warps };
    let (mut found, mut known) = (None, cx.tracker.known);
    let (mut offset, end) = (span.offset, span.offset + span.len as u64);
    while offset < end {
        let mut page = span.found.page(offset, races.stamp);
        let stop = end.min((offset / PAGE as u64 + 1) * PAGE as u64);
        while offset < stop {
            let past = stop.min((offset / SECTOR as u64 + 1) * SECTOR as u64);
            let done = (offset - span.offset) as usize;
            let lane = span.first.map_or(WHOLE, |first| (first + done / span.width) as u32);
            let start = offset as u32 % SECTOR as u32;
            let run =
                Run { number, start, end: start + (past - offset) as u32, lane, log2: span.width.trailing_zeros() };
            let sector = offset as usize % PAGE / SECTOR;
            if !actor.quick(&mut page, sector, run, deed, &mut known) {
                let clash = actor.slow(&mut page, sector, run, deed, |byte| {
                    let at = offset - u64::from(start) + u64::from(byte);
                    (at, stores_the_same(&span, deed, at))
                });
                // What does harm matters more than what does not.
                if clash.is_some() && found.is_none_or(|clash: Clash| clash.harmless) {
                    found = clash;
                }
            }
            offset = past;
        }
        if found.is_some_and(|clash| !clash.harmless) {
            break;
        }
    }
    cx.tracker.known = known;
    match found {
        None => Ok(()),
        Some(clash) => report::found(warp, cx, &span, event, clash),
    }
}

/// Whether a store leaves the byte at `at` of its allocation as it is.
#[cold]
fn stores_the_same(span: &Span<'_>, deed: Deed<'_>, at: u64) -> bool {
    let Deed::Write(data) = deed else { return false };
    let mut byte = [0];
    span.found.read(at, &mut byte);
    data[(at - span.offset) as usize] == byte[0]
}

#[cfg(test)]
mod tests;
