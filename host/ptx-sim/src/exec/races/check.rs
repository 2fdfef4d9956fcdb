//! One access against the words of a sector.

use super::cells::{self, Cell, Run, Side, WHOLE};
use super::events::Event;
use super::tracker::{Known, Tracker};
use super::{Deed, Races, Strength};
use crate::exec::lanes::lanes_of;
use crate::exec::order::Order;
use crate::ir::Program;
use crate::ir::op::Scope;
use crate::memory::{Page, SECTOR};

/// Two accesses that nothing orders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clash {
    /// The earlier one, and the lanes of it that touched the byte.
    pub(super) past: Event,
    pub(super) past_lanes: u32,
    /// Whether the earlier one wrote.
    pub(super) wrote: bool,
    /// A lane of the later one.
    pub(super) lane: usize,
    /// The byte in its allocation.
    pub(super) at: u64,
    /// Both store the same value.
    pub(super) harmless: bool,
    pub(super) deed: &'static str,
}

/// Who touches bytes now.
pub(super) struct Actor<'a> {
    pub(super) races: &'a Races,
    pub(super) program: &'a Program,
    pub(super) order: &'a Order,
    pub(super) tracker: &'a Tracker,
    pub(super) event: Event,
    pub(super) strength: Strength,
    /// Warps of a block.
    pub(super) warps: u32,
}

impl Actor<'_> {
    /// Whether what that event did comes before everything that this warp does now.
    #[inline(always)]
    fn settled(&self, number: u32, known: &mut Known) -> bool {
        let key = (self.event.agent, number);
        if *known == key {
            return true;
        }
        let before = self.races.events.get(number).is_some_and(|past| {
            past.cluster == self.event.cluster && self.order.known_to_all(past.agent, past.time, self.event.agent)
        });
        if before {
            *known = key;
        }
        before
    }

    /// Notes the access where the sector's words are simple and all that they tell comes before; else `false`,
    /// and nothing is changed.
    #[inline(always)]
    pub(super) fn quick(&self, page: &mut Page, sector: usize, run: Run, deed: Deed<'_>, known: &mut Known) -> bool {
        let [writers, readers] = &mut page.sectors[sector];
        // The same lanes on the same bytes are in program order.
        let own = |past: Run| {
            past.number == run.number
                || self
                    .races
                    .events
                    .get(past.number)
                    .is_some_and(|event| (event.cluster, event.agent) == (self.event.cluster, self.event.agent))
        };
        let mut before = |word: u64| match Run::unpack(word) {
            Some(past) => past.lies_as(run) && run.lane != WHOLE && own(past) || self.settled(past.number, known),
            None => word == 0,
        };
        match deed {
            Deed::Read => {
                if *writers == 0 && self.strength == Strength::WEAK && self.is_remembered(page, sector, run) {
                    return true;
                }
                let [writers, readers] = &mut page.sectors[sector];
                let fits = *readers == 0
                    || Run::unpack(*readers).is_some_and(|past| past.start >= run.start && past.end <= run.end);
                let done = fits && before(*writers) && self.strength == Strength::WEAK && before(*readers);
                if done {
                    *readers = run.pack();
                }
                done
            }
            Deed::Write(_) if self.strength == Strength::WEAK => {
                let whole = run.start == 0 && run.end == SECTOR as u32;
                let done = (whole || *writers == 0) && before(*writers) && before(*readers);
                if done {
                    *writers = run.pack();
                }
                done
            }
            Deed::Write(_) | Deed::Update => false,
        }
    }

    /// Whether nothing of another cluster comes before what this one does: it has acquired nothing of theirs so far.
    #[inline(always)]
    fn is_apart(&self) -> bool {
        self.tracker.imports.is_empty()
    }

    /// Whether the sector's readers would stay as they are with one more: four of the same bytes, of several
    /// other clusters, which nothing has ordered yet. Operands that every block reads are mostly so.
    #[inline(always)]
    fn is_remembered(&self, page: &Page, sector: usize, run: Run) -> bool {
        let Some(runs) = cells::full_list(page, sector, Side::Readers) else { return false };
        if !self.is_apart() {
            return false;
        }
        let (mut others, mut first, mut several) = (true, None, false);
        for past in runs {
            let Some(event) = self.races.events.get(past.number) else { return false };
            let covers = past.start <= run.start && run.end <= past.end;
            others &= covers && event.cluster != self.event.cluster;
            several |= *first.get_or_insert(event.cluster) != event.cluster;
        }
        others && several
    }

    /// Holds the access against all that the sector's words tell, and notes it. `about` finds the place of a byte
    /// in the allocation, and whether a store leaves it as it is.
    #[inline(never)]
    pub(super) fn slow(
        &self,
        page: &mut Page,
        sector: usize,
        run: Run,
        deed: Deed<'_>,
        about: impl Fn(u32) -> (u64, bool),
    ) -> Option<Clash> {
        let events = &self.races.events;
        let mut found: Option<Clash> = None;
        let reads = matches!(deed, Deed::Read);
        for side in [Side::Writers, Side::Readers] {
            if side == Side::Readers && reads {
                continue;
            }
            let cell = Cell { page, sector, side, events };
            cell.any_past(run.start, run.end, |past| {
                let Some((event, past_lanes, lane, byte)) = self.unordered(past, run) else { return false };
                let (at, same) = about(byte);
                let wrote = side == Side::Writers;
                let harmless = same && wrote;
                if found.is_none_or(|clash| clash.harmless) {
                    let deed = if reads { "reads" } else { "writes" };
                    found = Some(Clash { past: event, past_lanes, wrote, lane, at, harmless, deed });
                }
                !harmless
            });
        }
        let side = if reads { Side::Readers } else { Side::Writers };
        let mut cell = Cell { page, sector, side, events };
        if !reads && self.strength == Strength::WEAK {
            cell.replace(run);
        } else {
            let warp =
                |number| events.get(number).map_or((u32::MAX, self.event.agent), |event| (event.cluster, event.agent));
            cell.join(run, |past| self.stands_for(run, past), warp);
        }
        found
    }

    /// The first byte of both runs that two lanes touch without an order: the earlier access, its lanes there,
    /// the lane of this one, and the byte.
    fn unordered(&self, past: Run, run: Run) -> Option<(Event, u32, usize, u32)> {
        let event = self.races.events.get(past.number)?;
        let same_cluster = event.cluster == self.event.cluster;
        if same_cluster && self.order.known_to_all(event.agent, event.time, self.event.agent) {
            return None;
        }
        if self.both_strong(event) {
            return None;
        }
        let mut last = None;
        for byte in past.start.max(run.start)..past.end.min(run.end) {
            let pair = (past.mask_at(byte, event.lanes), run.mask_at(byte, self.event.lanes));
            if last == Some(pair) {
                continue;
            }
            last = Some(pair);
            if let Some(lane) = lanes_of(pair.1).find(|lane| !self.comes_before(event, pair.0, *lane)) {
                return Some((event, pair.0, lane, byte));
            }
        }
        None
    }

    /// Whether what `lanes` did in `past` comes before what `lane` does now.
    fn comes_before(&self, past: Event, lanes: u32, lane: usize) -> bool {
        let (agent, lane) = (self.event.agent, lane as u32);
        let near = past.cluster == self.event.cluster;
        near && self.order.ordered(past.agent, past.time, lanes, agent, lane)
            || self.tracker.knows(self.races, self.order, past, lanes, (agent, lane))
    }

    /// Whether both are strong, of one size, and each in the other's scope.
    fn both_strong(&self, past: Event) -> bool {
        let (one, two) = (self.strength, Strength::of(&self.program.code[past.pc as usize].op));
        let reach = one.scope.min(two.scope);
        let reaches = match past.cluster == self.event.cluster {
            true if past.agent.0 / self.warps == self.event.agent.0 / self.warps => true,
            true => reach >= Scope::Cluster,
            false => reach >= Scope::Gpu,
        };
        one.width != 0 && one.width == two.width && reaches
    }

    /// Whether whoever races with `past` also races with this access, so that it need not be remembered.
    fn stands_for(&self, run: Run, past: Run) -> bool {
        let Some(event) = self.races.events.get(past.number) else { return true };
        if event.cluster != self.event.cluster && self.is_apart() {
            return false;
        }
        if self.strength.width != 0 && self.strength != Strength::of(&self.program.code[event.pc as usize].op) {
            return false;
        }
        (past.start..past.end).all(|byte| {
            let before = past.mask_at(byte, event.lanes);
            let now = run.mask_at(byte, self.event.lanes);
            let own = event.cluster == self.event.cluster && event.agent == self.event.agent && before & !now == 0;
            // What comes before one lane comes before whatever comes after all of them.
            own || lanes_of(now).any(|lane| self.comes_before(event, before, lane))
        })
    }
}
