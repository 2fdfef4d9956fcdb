//! Asynchronous operations between their issue and their completion.

use crate::exec::order::{Agent, Tag};

/// Names an operation in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlightId(u32);

impl FlightId {
    /// The tag of bytes that `lane` of the operation's warp is about to write.
    #[inline(always)]
    pub(crate) fn tag(self, lane: usize) -> Tag {
        Tag(Tag::SPECIAL | self.0 << 5 | lane as u32)
    }

    /// The operation and lane of such a tag.
    #[inline(always)]
    pub(crate) fn of(tag: Tag) -> Option<(Self, u32)> {
        let special = tag.0 & Tag::SPECIAL != 0;
        special.then_some((Self((tag.0 & !Tag::SPECIAL) >> 5), tag.0 & 31))
    }
}

/// An operation in flight: who sent it, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    /// The warp that executed the instruction.
    pub(crate) agent: Agent,
    pub(crate) lanes: u32,
    pub(crate) pc: u32,
    /// The instruction in a few words, as in "a cp.async".
    pub(crate) what: &'static str,
}

/// The operations in flight of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
}

impl Flights {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }

    pub(crate) fn begin(&mut self, flight: Flight) -> FlightId {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(flight);
            return FlightId(slot);
        }
        self.slots.push(Some(flight));
        FlightId(self.slots.len() as u32 - 1)
    }

    /// The operation is complete: its name may be given to another one.
    pub(crate) fn end(&mut self, id: FlightId) {
        self.slots[id.0 as usize] = None;
        self.free.push(id.0);
    }

    pub(crate) fn get(&self, id: FlightId) -> Option<Flight> {
        self.slots.get(id.0 as usize).copied().flatten()
    }
}
