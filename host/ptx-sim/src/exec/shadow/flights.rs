//! Asynchronous operations between their issue and their completion.

use crate::exec::lanes::{LANES, Lanes64, lanes_of};
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

/// What of global memory an operation in flight is still to read.
#[derive(Clone, Debug)]
struct Sources {
    /// Lanes whose bytes it has not read yet.
    reading: u32,
    /// The bounds of all of them.
    around: std::ops::Range<u64>,
    starts: Lanes64,
    lens: [u32; LANES],
}

/// One place for an operation.
#[derive(Debug)]
struct Slot {
    flight: Option<Flight>,
    sources: Sources,
}

/// The operations in flight of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// How many of them read global memory.
    reading: usize,
}

impl Flights {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
        self.reading = 0;
    }

    pub(crate) fn begin(&mut self, flight: Flight) -> FlightId {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize].flight = Some(flight);
            return FlightId(slot);
        }
        let sources = Sources { reading: 0, around: 0..0, starts: [0; LANES], lens: [0; LANES] };
        self.slots.push(Slot { flight: Some(flight), sources });
        FlightId(self.slots.len() as u32 - 1)
    }

    /// The operation will read `lens` bytes of global memory at `starts`, for each lane of `mask`: nobody may
    /// write them before.
    pub(crate) fn read_later(&mut self, id: FlightId, mask: u32, starts: &Lanes64, lens: &[u32; LANES]) {
        let mut around = std::ops::Range { start: u64::MAX, end: 0 };
        let mut reading = 0;
        for lane in lanes_of(mask).filter(|lane| lens[*lane] != 0) {
            reading |= 1 << lane;
            around.start = around.start.min(starts[lane]);
            around.end = around.end.max(starts[lane] + u64::from(lens[lane]));
        }
        self.reading += usize::from(reading != 0);
        self.slots[id.0 as usize].sources = Sources { reading, around, starts: *starts, lens: *lens };
    }

    /// The operation has read what `lanes` sent it for.
    pub(crate) fn has_read(&mut self, id: FlightId, lanes: u32) {
        let sources = &mut self.slots[id.0 as usize].sources;
        if sources.reading != 0 {
            sources.reading &= !lanes;
            self.reading -= usize::from(sources.reading == 0);
        }
    }

    /// Whether any operation in flight is still to read global memory.
    #[inline(always)]
    pub(crate) fn read_global(&self) -> bool {
        self.reading != 0
    }

    /// An operation that is still to read some of these bytes of global memory, and the lane that sent it.
    pub(crate) fn reader_of(&self, bytes: std::ops::Range<u64>) -> Option<(FlightId, u32)> {
        let over = |start: u64, end: u64| bytes.start < end && start < bytes.end;
        (0..).zip(&self.slots).find_map(|(number, Slot { sources, .. })| {
            if sources.reading == 0 || !over(sources.around.start, sources.around.end) {
                return None;
            }
            let hit = |lane: &usize| {
                let start = sources.starts[*lane];
                over(start, start + u64::from(sources.lens[*lane]))
            };
            lanes_of(sources.reading).find(hit).map(|lane| (FlightId(number), lane as u32))
        })
    }

    /// The operation is complete: its name may be given to another one.
    pub(crate) fn end(&mut self, id: FlightId) {
        self.has_read(id, u32::MAX);
        self.slots[id.0 as usize].flight = None;
        self.free.push(id.0);
    }

    pub(crate) fn get(&self, id: FlightId) -> Option<Flight> {
        self.slots.get(id.0 as usize)?.flight
    }
}
