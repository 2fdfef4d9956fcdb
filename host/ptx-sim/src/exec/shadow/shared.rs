//! The shadow of a block's shared memory: for each byte its last writer and its last readers.
//!
//! An access races with an earlier one of other lanes that does not come before it, when one of the two writes
//! and not both are strong. Bytes that a copy is on its way to belong to it; sources of copies are locked.
//! Most accesses touch bytes whose tags all lie below the floor, which is found by one pass over the tags
//! without a branch.

use super::flights::FlightId;
use crate::exec::lanes::{LANES, lanes_of};
use crate::exec::order::{Agent, Clock, Event, Events, Order, Strong, Tag};
use crate::launch::Checks;
use crate::limits::MOST_SHARED;

/// What was found on a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Read after another's write.
    ReadAfterWrite,
    /// Write after another's read.
    WriteAfterRead,
    /// Write after another's write.
    WriteAfterWrite,
    /// Access to bytes that an asynchronous operation is still writing.
    InFlight,
    /// Write to bytes that an asynchronous operation is still reading.
    Locked,
    /// Read of a byte that nobody has written.
    Uninitialised,
}

/// The other side of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    None,
    /// These lanes of the event.
    Event(Event, u32),
    /// This lane of the warp that sent the operation.
    Flight(FlightId, u32),
}

/// A conflict, its first byte, and the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) conflict: Conflict,
    pub(crate) at: usize,
    pub(crate) other: Other,
}

/// One execution of a memory instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor {
    agent: Agent,
    lanes: u32,
    number: u32,
    strong: Strong,
    /// Tags below this come before it.
    floor: Tag,
    /// Whether it is of the block whose memory this is.
    near: bool,
}

impl Actor {
    /// The tag of what one lane does.
    #[inline(always)]
    pub(crate) fn lane(&self, lane: usize) -> Tag {
        Tag::lane(self.number, lane)
    }

    /// The tag of what all its lanes do to the same bytes.
    #[inline(always)]
    pub(crate) fn all(&self) -> Tag {
        Tag::whole(self.number)
    }

    /// The lanes that a tag of this actor means.
    fn lanes_of(&self, tag: Tag) -> u32 {
        if tag == self.all() { self.lanes } else { 1 << (tag.0 & 31) }
    }
}

/// Bytes of one bit of [`Shadow::used`]. A block begins with no tags, and mostly touches little of its memory.
const STRETCH: usize = 1 << 12;

const _: () = assert!(MOST_SHARED as usize <= 64 * STRETCH);

/// The shadow of one block's shared memory.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    pub(super) events: Events,
    pub(super) writes: Vec<Tag>,
    reads: Vec<Tag>,
    /// A bit for each [`STRETCH`] of bytes whose tags may be other than [`Tag::NONE`].
    used: u64,
    /// How many operations in flight read each byte; empty until there is one.
    pub(super) locks: Vec<u8>,
    /// The locks in force.
    pub(super) locked: Vec<(FlightId, usize, usize)>,
    /// Agents of the block itself, the only ones whom the floor is for.
    near: std::ops::Range<u32>,
    /// Whether there are others.
    alone: bool,
    races: bool,
    init: bool,
    asynchrony: bool,
}

/// Whether all tags lie below `floor`, and none of them is [`Tag::NONE`] if that is `wanted`.
#[inline(always)]
fn quiet(tags: &[Tag], floor: Tag, wanted: bool) -> bool {
    // The top bit tells: of special tags their own, of others whether a subtraction wraps. Sums and ors become
    // vector instructions on every processor; comparisons without a sign do not.
    let (last, one) = (floor.0.wrapping_sub(1), u32::from(wanted));
    let bad = tags.iter().fold(0, |bad, tag| bad | tag.0 | last.wrapping_sub(tag.0) | tag.0.wrapping_sub(one));
    bad >> 31 == 0
}

/// Tags the bytes of all lanes, `width` of them for each.
#[inline(always)]
fn fill_each(tags: &mut [Tag], actor: &Actor, width: usize) {
    #[inline(always)]
    fn fixed<const WIDTH: usize>(tags: &mut [Tag], actor: &Actor) {
        for (lane, tags) in tags.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
            *tags = [actor.lane(lane); WIDTH];
        }
    }
    match width {
        4 => fixed::<4>(tags, actor),
        8 => fixed::<8>(tags, actor),
        16 => fixed::<16>(tags, actor),
        _ => tags.chunks_exact_mut(width).enumerate().for_each(|(lane, tags)| tags.fill(actor.lane(lane))),
    }
}

/// The runs of equal tags in `at..at + len`: where each begins and ends.
pub(super) fn next_run(tags: &[Tag], from: usize, end: usize) -> usize {
    let first = tags[from];
    tags[from..end].iter().position(|tag| *tag != first).map_or(end, |len| from + len)
}

impl Shadow {
    /// For `bytes` of the shared memory of the block whose warps are the agents `near`, of `agents` in all.
    pub(crate) fn reset(&mut self, bytes: usize, near: std::ops::Range<u32>, agents: u32, checks: Checks) {
        for tags in [&mut self.writes, &mut self.reads] {
            let stretches = tags.chunks_mut(STRETCH).enumerate();
            stretches.filter(|(at, _)| self.used >> at & 1 == 1).for_each(|(_, tags)| tags.fill(Tag::NONE));
            tags.resize(bytes, Tag::NONE);
        }
        self.used = 0;
        self.events.clear();
        self.locks.clear();
        self.locked.clear();
        self.alone = near.len() as u32 == agents;
        self.near = near;
        (self.races, self.init, self.asynchrony) = (checks.races, checks.init, checks.asynchrony);
    }

    /// The `len` bytes at `at` are about to get tags.
    #[inline(always)]
    pub(super) fn note(&mut self, at: usize, len: usize) {
        let (first, last) = (at / STRETCH, (at + len.max(1) - 1) / STRETCH);
        self.used |= u64::MAX << first & u64::MAX >> (63 - last);
    }

    /// All warps of the block know `clock` now.
    pub(crate) fn settle(&mut self, clock: &Clock) {
        self.events.settle(clock);
    }

    /// `lanes` of the warp `agent` execute the instruction at `pc`.
    #[inline(always)]
    pub(crate) fn actor(&mut self, order: &Order, agent: Agent, pc: usize, lanes: u32, strong: Strong) -> Actor {
        if self.events.is_full() {
            self.compact();
        }
        let (time, pc) = (order.time(agent), pc as u32);
        let number = self.events.number(Event { agent, time, lanes, pc, by: agent, by_lanes: lanes, strong });
        let near = self.near.contains(&agent.0);
        // What is strong keeps the weak accesses before it, which the floor would let go for other blocks too.
        let asks = !near || (strong.width != 0 && !self.alone);
        let floor = if asks { Tag(1 << 6) } else { self.events.floor };
        Actor { agent, lanes, number, strong, floor, near }
    }

    /// The tag of what `agent` does on behalf of `by_lanes` of the warp `by`, as when a copy of theirs lands.
    pub(crate) fn landing(
        &mut self,
        order: &Order,
        (agent, lanes): (Agent, u32),
        (by, by_lanes): (Agent, u32),
        pc: usize,
    ) -> u32 {
        let (time, pc, strong) = (order.time(agent), pc as u32, Strong::default());
        self.events.number(Event { agent, time, lanes, pc, by, by_lanes, strong })
    }

    #[cold]
    pub(super) fn compact(&mut self) {
        self.events.compact(&mut [&mut self.writes, &mut self.reads]);
    }

    /// The lanes behind `old` that do not come before what `tag` of `actor` does now.
    fn unordered(&self, order: &Order, actor: &Actor, tag: Tag, old: Tag) -> Option<(Event, u32)> {
        if old < actor.floor {
            return None;
        }
        let lanes = actor.lanes_of(tag);
        self.events.members(old).find(|(past, past_lanes)| {
            let same_block = actor.near && self.near.contains(&past.by.0);
            let free = past.is_strong_with(actor.strong, same_block)
                || order.known_to_all(past.agent, past.time, actor.agent)
                || lanes_of(lanes)
                    .all(|lane| order.ordered(past.agent, past.time, *past_lanes, actor.agent, lane as u32));
            !free
        })
    }

    /// Every lane of the warp reads `width` bytes, lane after lane from `at`.
    #[inline(always)]
    pub(crate) fn read_each(&mut self, order: &Order, actor: &Actor, at: usize, width: usize) -> Result<(), Found> {
        let range = at..at + LANES * width;
        self.note(at, LANES * width);
        let clean = quiet(&self.writes[range.clone()], actor.floor, self.init);
        if clean && quiet(&self.reads[range.clone()], actor.floor, false) {
            fill_each(&mut self.reads[range], actor, width);
            return Ok(());
        }
        (0..LANES).try_for_each(|lane| self.read(order, actor, actor.lane(lane), at + lane * width, width))
    }

    /// Reads `len` bytes at `at`; `tag` is one of `actor`.
    #[inline(always)]
    pub(crate) fn read(&mut self, order: &Order, actor: &Actor, tag: Tag, at: usize, len: usize) -> Result<(), Found> {
        self.note(at, len);
        if !quiet(&self.writes[at..at + len], actor.floor, self.init) {
            self.read_slowly(order, actor, tag, at, len)?;
        }
        if quiet(&self.reads[at..at + len], actor.floor, false) {
            self.reads[at..at + len].fill(tag);
        } else {
            self.add_reader(order, actor, tag, at, len);
        }
        Ok(())
    }

    #[inline(never)]
    fn read_slowly(&self, order: &Order, actor: &Actor, tag: Tag, at: usize, len: usize) -> Result<(), Found> {
        let (mut from, end) = (at, at + len);
        while from < end {
            let old = self.writes[from];
            if old == Tag::NONE {
                if self.init {
                    return Err(Found { conflict: Conflict::Uninitialised, at: from, other: Other::None });
                }
            } else if let Some((flight, lane)) = FlightId::of(old) {
                if self.asynchrony {
                    return Err(Found { conflict: Conflict::InFlight, at: from, other: Other::Flight(flight, lane) });
                }
            } else if self.races
                && let Some((past, lanes)) = self.unordered(order, actor, tag, old)
            {
                let other = Other::Event(past, lanes);
                return Err(Found { conflict: Conflict::ReadAfterWrite, at: from, other });
            }
            from = next_run(&self.writes, from, end);
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn add_reader(&mut self, order: &Order, actor: &Actor, tag: Tag, at: usize, len: usize) {
        let (mut from, end) = (at, at + len);
        while from < end {
            let old = self.reads[from];
            let next = next_run(&self.reads, from, end);
            if old != tag {
                let new = if old < actor.floor { tag } else { self.events.union(order, old, tag) };
                self.reads[from..next].fill(new);
            }
            from = next;
        }
    }

    /// Writes `len` bytes at `at`; `tag` is one of `actor`, and `same` says whether the byte of that index gets
    /// the value that it has. A conflict with writes of the same value is no error but a remark.
    #[inline(always)]
    pub(crate) fn write(
        &mut self,
        order: &Order,
        actor: &Actor,
        tag: Tag,
        (at, len): (usize, usize),
        same: impl Fn(usize) -> bool,
    ) -> Result<Option<Found>, Found> {
        let range = at..at + len;
        self.note(at, len);
        let clean = quiet(&self.writes[range.clone()], actor.floor, false)
            && quiet(&self.reads[range.clone()], actor.floor, false)
            && self.locked.is_empty();
        if clean {
            self.writes[range].fill(tag);
            return Ok(None);
        }
        self.write_slowly(order, actor, tag, (at, len), &same)
    }

    /// Every lane of the warp writes `width` bytes, lane after lane from `at`; `false`, and nothing done, if the
    /// lanes have to be looked at one by one.
    #[inline(always)]
    pub(crate) fn write_each(&mut self, actor: &Actor, at: usize, width: usize) -> bool {
        let range = at..at + LANES * width;
        self.note(at, LANES * width);
        let clean = quiet(&self.writes[range.clone()], actor.floor, false)
            && quiet(&self.reads[range.clone()], actor.floor, false)
            && self.locked.is_empty();
        if clean {
            fill_each(&mut self.writes[range], actor, width);
        }
        clean
    }

    /// Reads and writes `len` bytes at `at` in one.
    pub(crate) fn update(
        &mut self,
        order: &Order,
        actor: &Actor,
        tag: Tag,
        (at, len): (usize, usize),
    ) -> Result<(), Found> {
        if self.init
            && let Some(byte) = (at..at + len).find(|byte| self.writes[*byte] == Tag::NONE)
        {
            return Err(Found { conflict: Conflict::Uninitialised, at: byte, other: Other::None });
        }
        self.write(order, actor, tag, (at, len), |_| false).map(|_| ())
    }

    #[inline(never)]
    fn write_slowly(
        &mut self,
        order: &Order,
        actor: &Actor,
        tag: Tag,
        (at, len): (usize, usize),
        same: &dyn Fn(usize) -> bool,
    ) -> Result<Option<Found>, Found> {
        let end = at + len;
        if self.asynchrony {
            self.at_rest(at, end)?;
        }
        let mut from = at;
        while from < end && self.races {
            let next = next_run(&self.reads, from, end);
            if let Some((past, lanes)) = self.unordered(order, actor, tag, self.reads[from]) {
                return Err(Found { conflict: Conflict::WriteAfterRead, at: from, other: Other::Event(past, lanes) });
            }
            from = next;
        }
        let mut remark = None;
        from = at;
        while from < end {
            let old = self.writes[from];
            let next = next_run(&self.writes, from, end);
            let flies = FlightId::of(old).is_some();
            if self.races
                && !flies
                && let Some((past, lanes)) = self.unordered(order, actor, tag, old)
            {
                let conflict = Conflict::WriteAfterWrite;
                let found = |at| Found { conflict, at, other: Other::Event(past, lanes) };
                if let Some(at) = (from..next).find(|byte| !same(byte - at)) {
                    return Err(found(at));
                }
                remark = remark.or(Some(found(from)));
            }
            let new =
                if old < actor.floor || FlightId::of(old).is_some() { tag } else { self.events.union(order, old, tag) };
            self.writes[from..next].fill(new);
            from = next;
        }
        Ok(remark)
    }
}
