//! What the words of a page mean: who touched which bytes of a sector.
//!
//! A run is a stretch of bytes that one event touched, either lane after lane with so many bytes each, or every
//! byte by all lanes of the event. A word is empty, a run, the place of a list of runs, or the place of a tag for
//! each byte; a tag is an event with a lane, or a set of such. Several unordered readers of a byte stay side by
//! side, up to four: enough to find a race with whoever writes it, as at most one of them is the writer itself.

use crate::exec::lanes::ALL;
use crate::exec::order::Agent;
use crate::memory::{Page, RUNS, SECTOR};

use super::events::{Events, Members, NUMBER_BITS};

/// Stands for all lanes of the event in place of one lane.
pub(super) const WHOLE: u32 = 32;

/// Which of a sector's two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Writers = 0,
    Readers = 1,
}

/// The cluster and the agent of an event.
pub(super) type Warp = (u32, Agent);

/// Whether `new` is better remembered than one of `kept`: a race is found with whoever touches the bytes later
/// if among those who are remembered is one of another cluster, or at least of another warp.
fn widens(kept: impl Iterator<Item = Warp> + Clone, new: Warp) -> bool {
    let Some(first) = kept.clone().next() else { return true };
    let one_cluster = kept.clone().all(|old| old.0 == first.0);
    let one_warp = kept.clone().all(|old| old == first);
    one_cluster && new.0 != first.0 || one_warp && new != first
}

/// A stretch of a sector's bytes, `start..end`, touched by one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) number: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The lane that touched the first byte, or [`WHOLE`].
    pub(super) lane: u32,
    /// Bytes of one lane: two to the power of this.
    pub(super) log2: u32,
}

const KIND: u64 = 3 << 62;
const RUN: u64 = 1 << 62;
const LIST: u64 = 2 << 62;
const BYTES: u64 = 3 << 62;
/// Marks a tag that is the number of a set.
const SET: u32 = 1 << 31;

impl Run {
    #[inline(always)]
    pub(super) fn pack(self) -> u64 {
        let place = self.start | (self.end - 1) << 5 | self.log2 << 10 | self.lane << 13;
        RUN | u64::from(self.number) | u64::from(place) << NUMBER_BITS
    }

    /// The run that a word is; `None` for every other word.
    #[inline(always)]
    pub(super) fn unpack(word: u64) -> Option<Self> {
        if word & KIND != RUN {
            return None;
        }
        let place = (word >> NUMBER_BITS) as u32;
        Some(Self {
            number: word as u32 & ((1 << NUMBER_BITS) - 1),
            start: place & 31,
            end: (place >> 5 & 31) + 1,
            log2: place >> 10 & 7,
            lane: place >> 13 & 63,
        })
    }

    /// The lane that touched `byte`, or [`WHOLE`].
    #[inline(always)]
    pub(super) fn lane_at(self, byte: u32) -> u32 {
        if self.lane == WHOLE { WHOLE } else { self.lane + (byte >> self.log2) - (self.start >> self.log2) }
    }

    /// The lanes that touched `byte`, of an event of `lanes`.
    #[inline(always)]
    pub(super) fn mask_at(self, byte: u32, lanes: u32) -> u32 {
        if self.lane == WHOLE { lanes } else { 1_u32.checked_shl(self.lane_at(byte)).unwrap_or(ALL) }
    }

    /// The part from `start` to `end`, if there is one.
    pub(super) fn part(self, start: u32, end: u32) -> Option<Self> {
        let (start, end) = (start.max(self.start), end.min(self.end));
        (start < end).then(|| Self { start, end, lane: self.lane_at(start), ..self })
    }

    /// Whether the same lanes touch the same bytes.
    #[inline(always)]
    pub(super) fn lies_as(self, other: Self) -> bool {
        let place = |run: Self| (run.start, run.end, run.lane, run.log2);
        place(self) == place(other)
    }

    fn tag_at(self, byte: u32) -> u32 {
        self.number << 6 | self.lane_at(byte)
    }

    /// One byte of a tag that is no set.
    fn of_tag(tag: u32, byte: u32) -> Self {
        Self { number: tag >> 6, start: byte, end: byte + 1, lane: tag & 63, log2: 0 }
    }
}

/// The runs of a word that is a list without room for another one.
#[inline(always)]
pub(super) fn full_list(page: &Page, sector: usize, side: Side) -> Option<[Run; RUNS]> {
    let word = page.sectors[sector][side as usize];
    if word & KIND != LIST {
        return None;
    }
    let mut runs = [Run { number: 0, start: 0, end: 1, lane: 0, log2: 0 }; RUNS];
    for (run, word) in runs.iter_mut().zip(page.lists.get(word as u32)) {
        *run = Run::unpack(*word)?;
    }
    Some(runs)
}

/// One word of a page, with what it leads to.
pub(super) struct Cell<'p> {
    pub(super) page: &'p mut Page,
    pub(super) sector: usize,
    pub(super) side: Side,
    pub(super) events: &'p Events,
}

impl Cell<'_> {
    fn word(&self) -> u64 {
        self.page.sectors[self.sector][self.side as usize]
    }

    fn set_word(&mut self, word: u64) {
        self.page.sectors[self.sector][self.side as usize] = word;
    }

    /// The runs of a word that has no tags, without a heap allocation.
    fn runs(&self) -> impl Iterator<Item = Run> + use<> {
        let words = match self.word() {
            word if word & KIND == LIST => *self.page.lists.get(word as u32),
            word => [word, 0, 0, 0],
        };
        words.into_iter().filter_map(Run::unpack)
    }

    /// Calls `found` for each past run, or piece of one, in `start..end`, until it says stop by `true`.
    pub(super) fn any_past(&self, start: u32, end: u32, mut found: impl FnMut(Run) -> bool) -> bool {
        let word = self.word();
        if word & KIND != BYTES {
            return self.runs().filter_map(|run| run.part(start, end)).any(found);
        }
        let tags = *self.page.bytes.get(word as u32);
        for byte in start..end {
            let stop = match tags[byte as usize] {
                0 => false,
                tag if tag & SET == 0 => found(Run::of_tag(tag, byte)),
                tag => {
                    let members = self.events.members(tag & !SET).into_iter().filter(|tag| *tag != 0);
                    members.into_iter().any(|tag| found(Run::of_tag(tag, byte)))
                }
            };
            if stop {
                return true;
            }
        }
        false
    }

    /// `run` takes the place of all that was there in its bytes.
    pub(super) fn replace(&mut self, run: Run) {
        let word = self.word();
        if run.start == 0 && run.end == SECTOR as u32 {
            self.drop_slab();
            return self.set_word(run.pack());
        }
        if word & KIND == BYTES {
            let tags = self.page.bytes.get_mut(word as u32);
            (run.start..run.end).for_each(|byte| tags[byte as usize] = run.tag_at(byte));
            return;
        }
        let mut kept = Few::default();
        for old in self.runs() {
            // What sticks out on either side stays.
            [old.part(0, run.start), old.part(run.end, SECTOR as u32)]
                .into_iter()
                .flatten()
                .for_each(|old| kept.add(old));
        }
        kept.add(run);
        self.store(&kept);
    }

    /// `run` joins what is there in its bytes, without what it stands for: what `gone` accepts. `warp` is that
    /// of an event.
    pub(super) fn join(&mut self, run: Run, gone: impl Fn(Run) -> bool, warp: impl Fn(u32) -> Warp) {
        let word = self.word();
        if word & KIND == BYTES {
            return self.join_tags(run, gone, warp);
        }
        let mut kept = Few::default();
        let mut covered = 0;
        for old in self.runs() {
            if old.number == run.number && old.part(run.start, run.end).is_some_and(|part| part.lies_as(run)) {
                return;
            }
            if old.part(run.start, run.end) != Some(old) || !gone(old) {
                covered += usize::from(
                    old.part(run.start, run.end).is_some_and(|part| part.end - part.start == run.end - run.start),
                );
                kept.add(old);
            }
        }
        if kept.len == RUNS && covered == RUNS {
            // Four others touched the same bytes, and stand for this one too.
            if widens(kept.runs[..RUNS].iter().map(|old| warp(old.number)), warp(run.number)) {
                kept.runs[RUNS - 1] = run;
                self.store(&kept);
            }
            return;
        }
        kept.add(run);
        self.store(&kept);
    }

    fn join_tags(&mut self, run: Run, gone: impl Fn(Run) -> bool, warp: impl Fn(u32) -> Warp) {
        let place = self.word() as u32;
        // Neighbours mostly have the same past and the same lane now.
        let mut last = None;
        for byte in run.start..run.end {
            let (old, new) = (self.page.bytes.get(place)[byte as usize], run.tag_at(byte));
            let tag = match last {
                Some((key, tag)) if key == (old, new) => tag,
                _ => self.union(old, new, byte, &gone, &warp),
            };
            last = Some(((old, new), tag));
            self.page.bytes.get_mut(place)[byte as usize] = tag;
        }
    }

    /// The tag for those of `old` that are not gone, and `new`.
    fn union(&self, old: u32, new: u32, byte: u32, gone: impl Fn(Run) -> bool, warp: impl Fn(u32) -> Warp) -> u32 {
        let before: Members = if old & SET == 0 { [old, 0, 0, 0] } else { self.events.members(old & !SET) };
        if before.contains(&new) {
            return old;
        }
        let stays = |tag: &u32| *tag != 0 && !gone(Run::of_tag(*tag, byte));
        let (mut members, mut len) = (Members::default(), 0);
        for tag in before.into_iter().filter(stays) {
            members[len] = tag;
            len += 1;
        }
        if len == members.len() {
            if !widens(members.iter().map(|tag| warp(tag >> 6)), warp(new >> 6)) {
                return old;
            }
            len -= 1;
        }
        members[len] = new;
        len += 1;
        if len == 1 {
            return new;
        }
        members[..len].sort_unstable();
        self.events.set(members).map_or(old, |set| SET | set)
    }

    fn drop_slab(&mut self) {
        let word = self.word();
        match word & KIND {
            LIST => self.page.lists.give_back(word as u32),
            BYTES => self.page.bytes.give_back(word as u32),
            _ => {}
        }
    }

    /// Stores runs in the smallest form that holds them.
    fn store(&mut self, runs: &Few) {
        let word = self.word();
        let all = &runs.runs[..runs.len];
        if let [run] = all {
            self.drop_slab();
            return self.set_word(run.pack());
        }
        if runs.len <= RUNS {
            let mut list = [0; RUNS];
            list.iter_mut().zip(all).for_each(|(word, run)| *word = run.pack());
            if word & KIND == LIST {
                *self.page.lists.get_mut(word as u32) = list;
            } else {
                let at = self.page.lists.take(list);
                self.set_word(LIST | u64::from(at));
            }
            return;
        }
        let mut tags = [0; SECTOR];
        for byte in 0..SECTOR as u32 {
            for run in all.iter().filter(|run| run.part(byte, byte + 1).is_some()) {
                let tag = run.tag_at(byte);
                tags[byte as usize] = self.union(tags[byte as usize], tag, byte, |_| false, |_| (0, Agent(0)));
            }
        }
        self.drop_slab();
        let at = self.page.bytes.take(tags);
        self.set_word(BYTES | u64::from(at));
    }
}

/// A few runs: those of a list, each cut in two at most, and one more.
struct Few {
    runs: [Run; 2 * RUNS + 1],
    len: usize,
}

impl Default for Few {
    fn default() -> Self {
        let none = Run { number: 0, start: 0, end: 1, lane: 0, log2: 0 };
        Self { runs: [none; 2 * RUNS + 1], len: 0 }
    }
}

impl Few {
    fn add(&mut self, run: Run) {
        self.runs[self.len] = run;
        self.len += 1;
    }
}
