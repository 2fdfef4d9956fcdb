//! Who did what when: the accesses that the tags of a shadow name.
//!
//! One execution of a memory instruction by a warp is one event; executions of the same instruction by the
//! same lanes at the same time share it. A byte that several unordered lanes read (or atomically wrote) is
//! tagged with a set of events; sets are shared as well, and get their number from the same sequence. So a
//! number below [`Events::floor`] says of a single access as of a set that it comes before everybody's next.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{Agent, Clock, Order};
use crate::exec::lanes::lanes_of;

/// The memory that the shadow of a byte has of an access: 0 for none, else the number of an event or a set
/// and, in the low six bits, the lane (32: all lanes of the event). The top bit is free for the shadow's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub(crate) struct Tag(pub(crate) u32);

/// Stands in a tag for all lanes of the event.
const WHOLE: u32 = 32;

impl Tag {
    pub(crate) const NONE: Self = Self(0);

    /// Marks what is not a number of an event.
    pub(crate) const SPECIAL: u32 = 1 << 31;

    /// One lane of an event.
    #[inline(always)]
    pub(crate) fn lane(event: u32, lane: usize) -> Self {
        Self(event << 6 | lane as u32)
    }

    /// All lanes of an event, or a set.
    #[inline(always)]
    pub(crate) fn whole(event: u32) -> Self {
        Self(event << 6 | WHOLE)
    }

    #[inline(always)]
    pub(crate) fn number(self) -> u32 {
        self.0 >> 6
    }
}

/// What makes an access strong (PTX ISA, "Morally Strong Operations"): strong ones do not race with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Strong {
    /// Bytes of one element; 0 for a weak access. Two accesses have to overlap completely.
    pub(crate) width: u8,
    /// Whether its scope reaches beyond the block.
    pub(crate) wide: bool,
}

/// An access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whose clock it is ordered by.
    pub(crate) agent: Agent,
    /// That agent's time.
    pub(crate) time: u32,
    /// Lanes of the agent that did it.
    pub(crate) lanes: u32,
    /// Place of the instruction in the program.
    pub(crate) pc: u32,
    /// The warp that executed the instruction, and its lanes: others than the agent's when a copy of theirs has landed.
    pub(crate) by: Agent,
    pub(crate) by_lanes: u32,
    pub(crate) strong: Strong,
}

impl Event {
    /// Whether whatever races with `past`, which comes before this access, races with this access too.
    fn stands_for(&self, past: Self) -> bool {
        self.strong.width == 0 || self.strong == past.strong
    }

    /// Whether both are strong in a way that they do not race.
    pub(crate) fn is_strong_with(&self, strong: Strong, same_block: bool) -> bool {
        let reaches = same_block || (strong.wide && self.strong.wide);
        strong.width != 0 && strong.width == self.strong.width && reaches
    }
}

/// What a number stands for.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Event(Event),
    /// An index into `sets`.
    Set(u32),
}

/// Lanes of one event in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) event: u32,
    pub(crate) lanes: u32,
}

/// Places of the cache from instructions to their last event.
const CACHE: usize = 256;
/// Numbers after which unused ones are given up.
const MOST_ENTRIES: usize = 1 << 18;
/// Numbers that fit into a tag.
const LAST_NUMBER: usize = (1 << 25) - 1;

/// The events of one shadow.
#[derive(Debug)]
pub(crate) struct Events {
    /// Entry 0 stands for nothing.
    entries: Vec<Entry>,
    sets: Vec<Vec<Member>>,
    unions: FxHashMap<(Tag, Tag), Tag>,
    cache: Vec<u32>,
    /// For each agent the times at which it made events, and the first number of each: those not settled yet.
    open: Vec<VecDeque<(u32, u32)>>,
    /// Tags below this come before everybody who may touch the shadow without asking.
    pub(crate) floor: Tag,
    limit: usize,
}

impl Default for Events {
    fn default() -> Self {
        let mut events = Self {
            entries: Vec::new(),
            sets: Vec::new(),
            unions: FxHashMap::default(),
            cache: vec![0; CACHE],
            open: Vec::new(),
            floor: Tag::NONE,
            limit: MOST_ENTRIES,
        };
        events.clear();
        events
    }
}

impl Events {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.entries.push(Entry::Set(u32::MAX));
        self.sets.clear();
        self.unions.clear();
        self.cache.fill(0);
        self.open.iter_mut().for_each(VecDeque::clear);
        self.floor = Tag(1 << 6);
    }

    /// The number of an event: that of an equal one shortly before, or a new one.
    #[inline(always)]
    pub(crate) fn number(&mut self, event: Event) -> u32 {
        let slot = (event.pc.wrapping_mul(0x9E37_79B1) >> 24 ^ event.agent.0.wrapping_mul(37)) as usize % CACHE;
        let known = self.cache[slot];
        if let Entry::Event(last) = self.entries[known as usize]
            && last == event
        {
            return known;
        }
        self.add(slot, event)
    }

    #[cold]
    fn add(&mut self, slot: usize, event: Event) -> u32 {
        let number = self.entries.len() as u32;
        assert!(self.entries.len() < LAST_NUMBER, "more accesses without an order than a tag can name");
        self.entries.push(Entry::Event(event));
        self.cache[slot] = number;
        if self.open.len() <= event.agent.at() {
            self.open.resize_with(event.agent.at() + 1, VecDeque::new);
        }
        let open = &mut self.open[event.agent.at()];
        if open.back().is_none_or(|(time, _)| *time != event.time) {
            open.push_back((event.time, number));
        }
        number
    }

    /// The events that a tag stands for.
    pub(crate) fn members(&self, tag: Tag) -> impl Iterator<Item = (Event, u32)> {
        let (one, many): (Option<Member>, &[Member]) = match self.entries[tag.number() as usize] {
            Entry::Set(set) => (None, self.sets.get(set as usize).map_or(&[], Vec::as_slice)),
            Entry::Event(event) => (Some(Member { event: tag.number(), lanes: lanes_in(tag, event) }), &[]),
        };
        one.into_iter().chain(many.iter().copied()).filter_map(|member| match self.entries[member.event as usize] {
            Entry::Event(event) => Some((event, member.lanes)),
            Entry::Set(_) => None,
        })
    }

    fn list(&self, tag: Tag) -> Vec<Member> {
        match self.entries[tag.number() as usize] {
            Entry::Set(set) => self.sets.get(set as usize).cloned().unwrap_or_default(),
            Entry::Event(event) => vec![Member { event: tag.number(), lanes: lanes_in(tag, event) }],
        }
    }

    /// A tag for all that `old` and `new` stand for, without what comes before `new` anyway.
    pub(crate) fn union(&mut self, order: &Order, old: Tag, new: Tag) -> Tag {
        if let Some(known) = self.unions.get(&(old, new)) {
            return *known;
        }
        let Entry::Event(event) = self.entries[new.number() as usize] else { return old };
        let lanes = lanes_in(new, event);
        let mut members = self.list(old);
        // Whoever comes after `new` comes after what was ordered before each of its lanes, or is the same lane's.
        members.retain(|member| {
            let Entry::Event(past) = self.entries[member.event as usize] else { return false };
            if member.event == new.number() || !event.stands_for(past) {
                return true;
            }
            let own = past.agent == event.agent && member.lanes & !lanes == 0;
            let before = |lane| order.ordered(past.agent, past.time, member.lanes, event.agent, lane as u32);
            !own && !lanes_of(lanes).all(before)
        });
        match members.iter_mut().find(|member| member.event == new.number()) {
            Some(member) => member.lanes |= lanes,
            None => members.push(Member { event: new.number(), lanes }),
        }
        members.sort_unstable_by_key(|member| member.event);
        let union = match members[..] {
            [Member { event, lanes }] if lanes.is_power_of_two() => Tag::lane(event, lanes.trailing_zeros() as usize),
            _ if members == self.list(old) => old,
            _ => {
                assert!(self.entries.len() < LAST_NUMBER, "more accesses without an order than a tag can name");
                self.entries.push(Entry::Set(self.sets.len() as u32));
                self.sets.push(members);
                Tag::whole(self.entries.len() as u32 - 1)
            }
        };
        self.unions.insert((old, new), union);
        union
    }

    /// All who may touch the shadow without asking know `clock` now: moves the floor.
    pub(crate) fn settle(&mut self, clock: &Clock) {
        let mut floor = self.entries.len() as u32;
        for (agent, open) in self.open.iter_mut().enumerate() {
            let known = clock.whole(Agent(agent as u32));
            while open.front().is_some_and(|(time, _)| *time <= known) {
                open.pop_front();
            }
            floor = open.front().map_or(floor, |(_, number)| floor.min(*number));
        }
        self.floor = self.floor.max(Tag::lane(floor, 0));
    }

    /// Whether numbers should be given up.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit
    }

    /// Numbers anew what `tags` still name, in the same order, and forgets the rest.
    pub(crate) fn compact(&mut self, tags: &mut [&mut [Tag]]) {
        let mut used = vec![false; self.entries.len()];
        let special = |tag: &Tag| tag.0 & Tag::SPECIAL != 0;
        for tag in tags.iter().flat_map(|tags| tags.iter()).filter(|tag| !special(tag)) {
            used[tag.number() as usize] = true;
        }
        used[0] = true;
        for at in 0..used.len() {
            if let (true, Entry::Set(set)) = (used[at], self.entries[at])
                && let Some(members) = self.sets.get(set as usize)
            {
                members.iter().for_each(|member| used[member.event as usize] = true);
            }
        }
        let mut numbers = vec![0_u32; used.len() + 1];
        let (mut entries, mut sets) = (Vec::new(), Vec::new());
        for at in 0..used.len() {
            numbers[at] = entries.len() as u32;
            if !used[at] {
                continue;
            }
            match self.entries[at] {
                Entry::Set(set) if at != 0 => {
                    let mut members = std::mem::take(&mut self.sets[set as usize]);
                    // Members come before their set: they have their new numbers.
                    members.iter_mut().for_each(|member| member.event = numbers[member.event as usize]);
                    entries.push(Entry::Set(sets.len() as u32));
                    sets.push(members);
                }
                entry => entries.push(entry),
            }
        }
        numbers[used.len()] = entries.len() as u32;
        for tag in tags.iter_mut().flat_map(|tags| tags.iter_mut()).filter(|tag| !special(tag)) {
            *tag = Tag(numbers[tag.number() as usize] << 6 | tag.0 & 63);
        }
        // A number that is gone stands for the next one that is left: nothing lies between.
        self.floor = Tag::lane(numbers[self.floor.number() as usize], 0);
        for (_, number) in self.open.iter_mut().flatten() {
            *number = numbers[*number as usize];
        }
        self.unions.clear();
        self.cache.fill(0);
        self.limit = MOST_ENTRIES.max(2 * entries.len());
        (self.entries, self.sets) = (entries, sets);
    }
}

/// The lanes of `event` that a tag with its number means.
fn lanes_in(tag: Tag, event: Event) -> u32 {
    match tag.0 & 63 {
        WHOLE => event.lanes,
        lane => 1 << lane,
    }
}
