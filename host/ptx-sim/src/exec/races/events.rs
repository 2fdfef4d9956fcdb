//! The accesses of a launch that the words of a shadow name, of all blocks together.
//!
//! An access is one execution of an instruction by lanes of a warp; executions by the same lanes without a
//! synchronisation in between share it. Workers add accesses and read each other's at the same time: entries
//! never move, and whoever has found a number in a page has locked that page after its entry was written.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::exec::order::Agent;

/// Bits of a number.
pub(super) const NUMBER_BITS: u32 = 25;
/// Numbers of the first segment of the table; each further one is twice as long as the one before.
const FIRST_SEGMENT: u32 = 1 << 8;
const SEGMENTS: usize = (NUMBER_BITS - 8) as usize;

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Event {
    /// Which of the launch's clusters, in the order in which they began.
    pub(crate) cluster: u32,
    /// Its warp, and that warp's time.
    pub(crate) agent: Agent,
    pub(crate) time: u32,
    /// Place of the instruction in the program.
    pub(crate) pc: u32,
    /// Lanes that it stands for.
    pub(crate) lanes: u32,
}

/// Bits of an agent beside the place of the instruction.
const AGENT_BITS: u32 = 10;
/// Accesses by agents or at places beyond these are not followed.
const MOST_AGENTS: u32 = 1 << AGENT_BITS;
const MOST_PLACES: u32 = 1 << (32 - AGENT_BITS);

/// An event in four words, each of which is written once.
type Entry = [AtomicU32; 4];

/// A tag for a byte that several unordered lanes touched: numbers of events with a lane, ascending; the rest 0.
pub(super) type Members = [u32; 4];

/// Sets of lanes, each known by one number.
#[derive(Debug, Default)]
struct Sets {
    members: Vec<Members>,
    numbers: FxHashMap<Members, u32>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Events {
    segments: [OnceLock<Box<[Entry]>>; SEGMENTS],
    next: AtomicU32,
    sets: Mutex<Sets>,
}

impl Default for Events {
    fn default() -> Self {
        // 0 is nobody's number.
        Self { segments: Default::default(), next: AtomicU32::new(1), sets: Mutex::default() }
    }
}

/// The segment of a number, and its place there.
fn place(number: u32) -> (usize, usize) {
    let segment = (number / FIRST_SEGMENT + 1).ilog2();
    (segment as usize, (number - FIRST_SEGMENT * ((1 << segment) - 1)) as usize)
}

/// Beyond this, a byte that another lane touches keeps the set that it has.
const MOST_SETS: usize = 1 << 18;

impl Events {
    /// Adds an access; `None` when there are more than can be told apart.
    pub(super) fn add(&self, event: Event) -> Option<u32> {
        if event.agent.0 >= MOST_AGENTS || event.pc >= MOST_PLACES {
            return None;
        }
        let number = self.next.load(Ordering::Relaxed);
        // Checked first, so that the counter cannot wrap however long a launch runs.
        if place(number).0 + 1 >= SEGMENTS {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (segment, at) = place(number);
        let entries = self.segments.get(segment)?.get_or_init(|| {
            // As zeros, long segments come as pages that the system backs where they are used.
            let zeros = Box::<[Entry]>::new_zeroed_slice((FIRST_SEGMENT << segment) as usize);
            // SAFETY: zeros are atomics of 0.
            unsafe { zeros.assume_init() }
        });
        let words = [event.cluster, event.time, event.pc << AGENT_BITS | event.agent.0, event.lanes];
        for (slot, word) in entries[at].iter().zip(words) {
            slot.store(word, Ordering::Relaxed);
        }
        Some(number)
    }

    /// The access of a number that a page holds.
    pub(super) fn get(&self, number: u32) -> Option<Event> {
        let (segment, at) = place(number);
        let entries = self.segments.get(segment)?.get()?;
        let [cluster, time, place, lanes] = [0, 1, 2, 3].map(|word: usize| entries[at][word].load(Ordering::Relaxed));
        let (agent, pc) = (Agent(place % MOST_AGENTS), place >> AGENT_BITS);
        Some(Event { cluster, agent, time, pc, lanes })
    }

    /// The number of a set of lanes; `None` when there are too many sets.
    pub(super) fn set(&self, members: Members) -> Option<u32> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.numbers.get(&members) {
            return Some(*known);
        }
        let number = sets.members.len();
        if number >= MOST_SETS {
            return None;
        }
        sets.members.push(members);
        sets.numbers.insert(members, number as u32);
        Some(number as u32)
    }

    /// The lanes of a set.
    pub(super) fn members(&self, set: u32) -> Members {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.members.get(set as usize).copied().unwrap_or_default()
    }

    /// Whether there were more accesses than can be told apart.
    pub(super) fn is_full(&self) -> bool {
        place(self.next.load(Ordering::Relaxed)).0 + 1 >= SEGMENTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_find_their_events_across_segments() {
        let events = Events::default();
        let event = |index: u32| Event {
            cluster: index * 7,
            agent: Agent(index % 1024),
            time: index + 3,
            pc: index % (1 << 22),
            lanes: !index,
        };
        let numbers: Vec<u32> = (0..5000).map(|index| events.add(event(index)).unwrap()).collect();
        for (index, number) in numbers.iter().enumerate() {
            assert_eq!((*number, events.get(*number)), (index as u32 + 1, Some(event(index as u32))));
        }
        assert_eq!(events.get(1 << 20), None);
        assert_eq!(events.add(Event { agent: Agent(1024), ..event(0) }), None);
        assert!(!events.is_full());
        assert_eq!((place(255), place(256), place(767), place(768)), ((0, 255), (1, 0), (1, 511), (2, 0)));
    }

    #[test]
    fn equal_sets_have_one_number() {
        let events = Events::default();
        let (one, two) = (events.set([1, 2, 0, 0]), events.set([1, 3, 0, 0]));
        assert_ne!(one, two);
        assert_eq!(events.set([1, 2, 0, 0]), one);
        assert_eq!(events.members(two.unwrap()), [1, 3, 0, 0]);
    }
}
