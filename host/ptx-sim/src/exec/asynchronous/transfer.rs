//! Copies between their issue and their completion.

use super::{Sender, reduce};
use crate::exec::context::{Context, Place, Stopped};
use crate::exec::copies;
use crate::exec::order::{Strong, Tag};
use crate::exec::shadow::FlightId;
use crate::fault::FaultKind;
use crate::ir::op::Atomic;
use crate::ir::types::Type;
use crate::launch::Schedule;
use crate::tensor_map::Tile;

/// One time in this many a drawn schedule lets a copy land at a point where it may.
pub(super) const ODDS: u64 = 4;

/// Bytes of one block's shared memory: which bytes of the data lie where.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) rank: usize,
    /// First byte of the data, place, length.
    pub(super) pieces: Vec<(usize, usize, usize)>,
}

impl Span {
    pub(super) fn read(&self, cx: &Context<'_>, data: &mut [u8]) {
        for (start, at, len) in &self.pieces {
            data[*start..start + len].copy_from_slice(&cx.shared[self.rank].bytes[*at..at + len]);
        }
    }

    fn write(&self, cx: &mut Context<'_>, data: &[u8], change: Option<(Atomic, Type)>) {
        let shared = &mut cx.shared[self.rank];
        for (start, at, len) in &self.pieces {
            let target = &mut shared.bytes[*at..at + len];
            match change {
                None => target.copy_from_slice(&data[*start..start + len]),
                Some(change) => reduce::in_shared(change, target, &data[*start..start + len]),
            }
            shared.locations.forget(*at as u64, *len as u64);
        }
    }
}

/// Bytes of global memory; checked against the allocations when the copy was issued.
#[derive(Clone, Debug)]
pub(super) enum Global {
    Flat(u64),
    Tile(Box<Tile>),
}

impl Global {
    /// The runs of the data that lie in memory: where they begin in it, their address and their length.
    pub(super) fn runs(&self, bytes: usize) -> Vec<(usize, u64, usize)> {
        match self {
            Self::Flat(address) => vec![(0, *address, bytes)],
            Self::Tile(tile) => {
                let run = |row: crate::tensor_map::Row| {
                    let (low, high) = row.inside;
                    (high > low).then_some(((row.start + low) as usize, row.address, (high - low) as usize))
                };
                tile.rows().filter_map(run).collect()
            }
        }
    }

    fn read(&self, cx: &mut Context<'_>, sender: Sender, data: &mut [u8]) -> Result<(), Stopped> {
        if let Self::Tile(tile) = self {
            tile.fill_row(data);
        }
        for (start, address, len) in self.runs(data.len()) {
            copies::read(cx, sender, address, &mut data[start..start + len])?;
        }
        Ok(())
    }

    fn write(
        &self,
        cx: &mut Context<'_>,
        sender: Sender,
        data: &[u8],
        change: Option<(Atomic, Type)>,
    ) -> Result<(), Stopped> {
        for (start, address, len) in self.runs(data.len()) {
            super::bulk::write_global(cx, sender, address, &data[start..start + len], change)?;
        }
        Ok(())
    }
}

/// Where the data of a copy to shared memory comes from.
#[derive(Debug)]
pub(super) enum From {
    Global(Global),
    /// Another block's shared memory, locked by the operation of that name.
    Shared(Span, FlightId),
    Value(Vec<u8>),
}

/// What a transfer does.
#[derive(Debug)]
pub(super) enum What {
    /// `cp.async.mbarrier.arrive`: an arrival behind the lane's first `copies` copies.
    Arrival { bar: Place, copies: u64 },
    /// A copy to shared memory that completes at `bar`.
    Load { bar: Place, target: Span, from: From, bytes: usize, change: Option<(Atomic, Type)> },
    /// A copy from shared memory in a group of its thread.
    Store { group: u32, source: Span, target: Global, data: Data, bytes: usize, change: Option<(Atomic, Type)> },
}

/// How far a store has come.
#[derive(Debug)]
pub(super) enum Data {
    InShared,
    Read(Vec<u8>),
    Written,
}

/// An operation in flight.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Its name in the shadow while bytes of shared memory belong to it.
    pub(super) flight: Option<FlightId>,
    pub(super) sender: Sender,
    pub(super) what: What,
}

impl Transfer {
    pub(super) fn new(flight: Option<FlightId>, sender: Sender, what: What) -> Self {
        Self { flight, sender, what }
    }

    /// The mbarrier that it completes at.
    pub(super) fn completes_at(&self) -> Option<Place> {
        match self.what {
            What::Arrival { bar, .. } | What::Load { bar, .. } => Some(bar),
            What::Store { .. } => None,
        }
    }
}

/// Sends a copy: it lands when the schedule has it.
pub(super) fn send(cx: &mut Context<'_>, transfer: Transfer) -> Result<(), Stopped> {
    cx.asynchronous.transfers.push(transfer);
    let now = match cx.grid.launch.schedule {
        Schedule::Late => false,
        Schedule::Eager => true,
        Schedule::Random(_) => cx.asynchronous.draw(ODDS) == 0,
    };
    let last = cx.asynchronous.transfers.len() - 1;
    if now { advance(cx, last).map(|_| ()) } else { Ok(()) }
}

/// A point at which a drawn schedule may let copies land.
pub(crate) fn drift(cx: &mut Context<'_>) -> Result<(), Stopped> {
    if !matches!(cx.grid.launch.schedule, Schedule::Random(_)) {
        return Ok(());
    }
    let mut at = 0;
    while at < cx.asynchronous.transfers.len() {
        let gone = cx.asynchronous.draw(ODDS) == 0 && advance(cx, at)?;
        at += usize::from(!gone);
    }
    copies::drift(cx)
}

/// Does what a copy may do before anybody waits for it; whether nothing of it is left.
fn advance(cx: &mut Context<'_>, at: usize) -> Result<bool, Stopped> {
    match &cx.asynchronous.transfers[at].what {
        What::Store { .. } => {
            // Its source stays locked until the thread has waited: moving the data early is all that may be done.
            read_source(cx, at);
            write_target(cx, at)?;
            Ok(false)
        }
        _ => land(cx, at).map(|()| true),
    }
}

/// Lets the copies land that the current phase of the mbarrier at `at` still needs, if that completes it.
pub(super) fn complete_phase(cx: &mut Context<'_>, at: Place) -> Result<bool, Stopped> {
    let state = &mut cx.asynchronous;
    let Some(bar) = state.objects.get(&(at.rank, at.at)).map(|object| object.bar) else { return Ok(false) };
    let (mut arrivals, mut coming) = (0, 0);
    for transfer in state.transfers.iter().filter(|transfer| transfer.completes_at() == Some(at)) {
        match &transfer.what {
            What::Load { bytes, .. } => coming += *bytes as i64,
            _ => arrivals += 1,
        }
    }
    if bar.pending > arrivals || bar.tx > coming || bar.tx < 0 {
        return Ok(false);
    }
    let random = matches!(cx.grid.launch.schedule, Schedule::Random(_));
    loop {
        let state = &mut cx.asynchronous;
        if state.objects.get(&(at.rank, at.at)).is_none_or(|object| object.bar.phase != bar.phase) {
            return Ok(true);
        }
        let here = |(_, transfer): &(usize, &Transfer)| transfer.completes_at() == Some(at);
        let coming: Vec<usize> = state.transfers.iter().enumerate().filter(here).map(|(index, _)| index).collect();
        if coming.is_empty() {
            return Ok(false);
        }
        let next = if random { state.draw(coming.len() as u64) as usize } else { 0 };
        land(cx, coming[next])?;
    }
}

/// Lands what completes at an mbarrier: moves its data and lets the mbarrier know.
fn land(cx: &mut Context<'_>, index: usize) -> Result<(), Stopped> {
    let Transfer { flight, sender, what } = cx.asynchronous.transfers.remove(index);
    cx.asynchronous.version += 1;
    let bar = match what {
        What::Arrival { bar, .. } | What::Load { bar, .. } => bar,
        What::Store { .. } => return Ok(()),
    };
    let Some(object) = cx.asynchronous.objects.get(&(bar.rank, bar.at)) else {
        let explanation = "the copy completes, and there is no live mbarrier where it has to tell so".to_owned();
        return Err(sender.fault(cx, FaultKind::Mbarrier, explanation));
    };
    let agent = object.agent;
    let done = match what {
        What::Load { target, from, bytes, change, .. } => {
            let mut data = vec![0; bytes];
            match &from {
                From::Global(global) => global.read(cx, sender, &mut data)?,
                From::Shared(source, _) => source.read(cx, &mut data),
                From::Value(value) => data.copy_from_slice(value),
            }
            target.write(cx, &data, change);
            let shadow = &mut cx.shared[target.rank].shadow;
            let by = (sender.agent, 1 << sender.lane);
            let event = shadow.landing(&cx.order, (agent, 1), by, sender.pc);
            for (_, at, len) in &target.pieces {
                shadow.land(*at, *len, Tag::lane(event, 0));
            }
            if let From::Shared(source, lock) = from {
                let shadow = &mut cx.shared[source.rank].shadow;
                let actor = shadow.actor(&cx.order, agent, sender.pc, 1, Strong::default());
                shadow.end_read(&cx.order, &actor, actor.lane(0), lock);
                cx.flights.end(lock);
            }
            cx.asynchronous.objects.get_mut(&(bar.rank, bar.at)).map(|object| {
                object.unseen.push(sender);
                object.bar.complete(bytes as u32)
            })
        }
        What::Arrival { copies, .. } => {
            copies::land_first(cx, sender, copies, agent)?;
            cx.asynchronous.objects.get_mut(&(bar.rank, bar.at)).map(|object| object.bar.arrive(1, false))
        }
        What::Store { .. } => None,
    };
    let clock = cx.order.release(agent, 1);
    if let Some(flight) = flight {
        cx.flights.end(flight);
    }
    let Some(object) = cx.asynchronous.objects.get_mut(&(bar.rank, bar.at)) else { return Ok(()) };
    object.current.join(&clock);
    match done {
        Some(Ok(done)) => {
            if done {
                object.turned();
            }
            Ok(())
        }
        Some(Err(what)) => Err(sender.fault(cx, FaultKind::Mbarrier, what)),
        None => Ok(()),
    }
}

/// A store takes its data out of shared memory, if it has not yet.
pub(super) fn read_source(cx: &mut Context<'_>, at: usize) {
    let mut transfers = std::mem::take(&mut cx.asynchronous.transfers);
    if let What::Store { source, data: data @ Data::InShared, bytes, .. } = &mut transfers[at].what {
        let mut taken = vec![0; *bytes];
        source.read(cx, &mut taken);
        *data = Data::Read(taken);
    }
    cx.asynchronous.transfers = transfers;
}

/// A store that has its data writes them to global memory; once.
pub(super) fn write_target(cx: &mut Context<'_>, at: usize) -> Result<(), Stopped> {
    let mut transfers = std::mem::take(&mut cx.asynchronous.transfers);
    let Transfer { sender, what, .. } = &mut transfers[at];
    let mut written = Ok(());
    if let What::Store { target, data, change, .. } = what
        && let Data::Read(bytes) = std::mem::replace(data, Data::Written)
    {
        written = target.write(cx, *sender, &bytes, *change);
    }
    cx.asynchronous.transfers = transfers;
    written
}
