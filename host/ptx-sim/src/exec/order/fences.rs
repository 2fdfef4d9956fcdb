//! Release and acquire through a place in memory (PTX ISA, "Release and Acquire Patterns").
//!
//! A strong write carries what its lane released: by its own `.release`, or by a fence before it. A strong read
//! that sees it acquires that: by its own `.acquire`, or at the next fence.

use std::collections::BTreeMap;

use super::{Agent, Clock, Order};

/// What the fences of an agent have released and have yet to acquire.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// What lanes knew at their last fence, and the time then.
    released: Vec<(u32, Clock, u32)>,
    /// What lanes have seen by strong reads since their last fence.
    seen: Vec<(u32, Clock)>,
}

impl Fences {
    pub(super) fn clear(&mut self) {
        self.released.clear();
        self.seen.clear();
    }
}

impl Order {
    /// All that one lane has done and knows, without moving its time on: [`Order::advance`] has to follow
    /// when the instruction is done.
    pub(crate) fn snapshot(&self, agent: Agent, lane: usize) -> Clock {
        let state = &self.agents[agent.at()];
        let mut clock = state.known_to(1 << lane);
        state.stamp(agent, 1 << lane, &mut clock);
        clock
    }

    /// Moves the time of `agent` on: what it does from now on is not in earlier snapshots.
    pub(crate) fn advance(&mut self, agent: Agent) {
        self.agents[agent.at()].time += 1;
    }

    /// `lanes` of `agent` execute a fence; a `wide` one orders threads of other blocks too.
    pub(crate) fn fence(&mut self, agent: Agent, lanes: u32, wide: bool) {
        (0..=usize::from(wide)).for_each(|which| self.fence_among(agent, lanes, which));
        self.agents[agent.at()].time += 1;
    }

    fn fence_among(&mut self, agent: Agent, lanes: u32, which: usize) {
        let mut seen = std::mem::take(&mut self.agents[agent.at()].fences[which].seen);
        for (group, clock) in &mut seen {
            if *group & lanes != 0 {
                self.acquire(agent, *group & lanes, clock);
                *group &= !lanes;
            }
        }
        seen.retain(|(group, _)| *group != 0);
        let state = &mut self.agents[agent.at()];
        state.fences[which].seen = seen;
        let mut released = std::mem::take(&mut state.fences[which].released);
        released.iter_mut().for_each(|(group, ..)| *group &= !lanes);
        released.retain(|(group, ..)| *group != 0);
        let apart = state.own.iter().fold(0, |all, (group, _)| all | group) & lanes;
        if lanes & !apart != 0 {
            released.push((lanes & !apart, state.common.clone(), state.time));
        }
        for lane in crate::exec::lanes::lanes_of(apart) {
            released.push((1 << lane, state.known_to(1 << lane), state.time));
        }
        state.fences[which].released = released;
    }

    /// The `agents` meet at a barrier: from now on a strong write by one of them tells what the fences of any had
    /// released, and what one has seen, the fences of all acquire. So a block may fence, meet and let one thread
    /// raise the flag, as `fence.sc` allows (PTX ISA, "Fence-SC Order"); that of `fence.acq_rel` is no weaker on
    /// any GPU.
    pub(crate) fn share_fences(&mut self, agents: impl Iterator<Item = Agent> + Clone) {
        let fences = |order: &Self, agent: Agent| {
            let fences = &order.agents[agent.at()].fences[1];
            fences.released.is_empty() && fences.seen.is_empty()
        };
        if agents.clone().all(|agent| fences(self, agent)) {
            return;
        }
        for which in 0..2 {
            let (mut released, mut seen) = (Clock::default(), Clock::default());
            for agent in agents.clone() {
                let state = &self.agents[agent.at()];
                for (group, clock, time) in &state.fences[which].released {
                    released.join(clock);
                    released.learn_lanes(agent, *group, *time);
                }
                state.fences[which].seen.iter().for_each(|(_, clock)| seen.join(clock));
            }
            for agent in agents.clone() {
                let fences = &mut self.agents[agent.at()].fences[which];
                fences.released = vec![(u32::MAX, released.clone(), 0)];
                fences.seen = vec![(u32::MAX, seen.clone())];
            }
        }
    }

    /// What the last fences of `lanes` have released in their cluster, for an arrival that releases nothing by itself.
    pub(crate) fn last_fence(&self, agent: Agent, lanes: u32) -> Clock {
        let mut clock = Clock::default();
        for lane in crate::exec::lanes::lanes_of(lanes) {
            self.fenced(agent, lane, false).iter().for_each(|fenced| clock.join(fenced));
        }
        clock
    }

    /// What the last fence of a lane released, if there was one; the last `wide` one, if other blocks ask.
    pub(crate) fn fenced(&self, agent: Agent, lane: usize, wide: bool) -> Option<Clock> {
        let fences = &self.agents[agent.at()].fences[usize::from(wide)];
        let (_, clock, time) = fences.released.iter().find(|(group, ..)| group >> lane & 1 == 1)?;
        let mut clock = clock.clone();
        clock.learn_lanes(agent, 1 << lane, *time);
        Some(clock)
    }

    /// `lanes` have seen by a strong read what `clock` knows: they acquire it at their next fence, the next
    /// `wide` one if it came from other blocks.
    pub(crate) fn see(&mut self, agent: Agent, lanes: u32, clock: &Clock, wide: bool) {
        let seen = &mut self.agents[agent.at()].fences[usize::from(wide)].seen;
        match seen.iter_mut().find(|(group, _)| *group == lanes) {
            Some((_, known)) => known.join(clock),
            None => seen.push((lanes, clock.clone())),
        }
    }
}

/// What was released through places of one memory.
#[derive(Debug, Default)]
pub(crate) struct Locations {
    /// By address: the bytes of the access, and what whoever sees its value may acquire.
    clocks: BTreeMap<u64, (u64, Clock)>,
}

impl Locations {
    pub(crate) fn clear(&mut self) {
        self.clocks.clear();
    }

    /// `lanes` read `len` bytes at `at` by one strong access.
    pub(crate) fn read(&self, order: &mut Order, (agent, lanes): (Agent, u32), (at, len): (u64, u64), acquire: bool) {
        match self.clocks.get(&at) {
            Some((size, clock)) if *size == len && acquire => order.acquire(agent, lanes, clock),
            Some((size, clock)) if *size == len => order.see(agent, lanes, clock, false),
            _ => {}
        }
    }

    /// A lane writes `len` bytes at `at` by a strong access. What was released by earlier writes stays in force
    /// where this is an `update`, an atomic read-modify-write. The caller moves the lane's time on.
    pub(crate) fn write(
        &mut self,
        order: &Order,
        (agent, lane): (Agent, usize),
        (at, len): (u64, u64),
        (release, update): (bool, bool),
    ) {
        let released = if release { Some(order.snapshot(agent, lane)) } else { order.fenced(agent, lane, false) };
        let before = self.clocks.get(&at).filter(|(size, _)| update && *size == len).map(|(_, clock)| clock.clone());
        self.forget(at, len);
        let clock = match (released, before) {
            (Some(mut released), Some(before)) => {
                released.join(&before);
                released
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        self.clocks.insert(at, (len, clock));
    }

    /// `len` bytes at `at` get a value that releases nothing.
    #[inline(always)]
    pub(crate) fn forget(&mut self, at: u64, len: u64) {
        if !self.clocks.is_empty() {
            self.forget_some(at, len);
        }
    }

    #[cold]
    fn forget_some(&mut self, at: u64, len: u64) {
        let over = self.clocks.range(at.saturating_sub(31)..at + len).filter(|(start, (size, _))| *start + size > at);
        let over: Vec<u64> = over.map(|(start, _)| *start).collect();
        for start in over {
            self.clocks.remove(&start);
        }
    }
}
