//! What comes before what among the threads of a cluster.
//!
//! Agents are what acts: first the warps of all blocks of the cluster, then those that act by themselves, as
//! an mbarrier that writes on behalf of copies. Each agent has a time, which moves on whenever some of its
//! lanes let others know what they did (a release); an access is stamped with its agent, that time and its
//! lane. The lanes of a warp share one clock of what they all know; what only some of them have acquired is
//! kept beside it. So bar.sync costs one number for each warp, and `bar.warp.sync` with a mask, or an arrival
//! by one elected lane, is still exact.
//!
//! An access comes before another one of the same lane, or when its stamp is in the clock of the other's lane
//! (PTX ISA, "Causality Order").

mod clock;
mod events;
mod fences;

pub(crate) use clock::Clock;
pub(crate) use events::{Event, Events, Strong, Tag};
pub(crate) use fences::Locations;

use fences::Fences;

/// A warp of the cluster (its block's rank * warps of a block + its index), or something that acts by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Agent(pub(crate) u32);

impl Agent {
    #[inline(always)]
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// One agent: its time, and what its lanes know.
#[derive(Debug, Default)]
struct State {
    time: u32,
    /// Lanes that it began with, and those that have not exited.
    launched: u32,
    live: u32,
    /// What all live lanes know.
    common: Clock,
    /// What only these lanes know besides.
    own: Vec<(u32, Clock)>,
    /// Of all fences, and of those that reach beyond the block.
    fences: [Fences; 2],
}

/// Groups of lanes with knowledge of their own, beyond which it is sorted by lane.
const MOST_GROUPS: usize = 32;

impl State {
    fn reset(&mut self, lanes: u32) {
        self.time = 1;
        self.launched = lanes;
        self.live = lanes;
        self.common.clear();
        self.own.clear();
        self.fences.iter_mut().for_each(Fences::clear);
    }

    /// What the lanes of `lanes` know together.
    fn known_to(&self, lanes: u32) -> Clock {
        let mut clock = self.common.clone();
        for (group, known) in &self.own {
            if group & lanes != 0 {
                clock.join(known);
            }
        }
        clock
    }

    fn learn(&mut self, lanes: u32, clock: &Clock) {
        if lanes & self.live == self.live {
            self.common.join(clock);
        } else if let Some((_, known)) = self.own.iter_mut().find(|(group, _)| *group == lanes) {
            known.join(clock);
        } else {
            self.own.push((lanes, clock.clone()));
            if self.own.len() > MOST_GROUPS {
                let all = std::mem::take(&mut self.own);
                for lane in super::lanes::lanes_of(self.live) {
                    let mut known = Clock::default();
                    all.iter().filter(|(group, _)| group >> lane & 1 == 1).for_each(|(_, more)| known.join(more));
                    self.own.push((1 << lane, known));
                }
            }
        }
    }

    /// Puts what `lanes` have done so far into `clock`.
    fn stamp(&self, agent: Agent, lanes: u32, clock: &mut Clock) {
        if lanes & self.launched == self.launched {
            clock.learn_whole(agent, self.time);
        } else {
            clock.learn_lanes(agent, lanes, self.time);
        }
    }
}

/// The order of what the agents of one cluster do.
#[derive(Debug, Default)]
pub(crate) struct Order {
    agents: Vec<State>,
    /// How many of them are in use: states of earlier blocks are kept for their memory.
    used: usize,
}

impl Order {
    /// Forgets everything; the agents are now warps that begin with `lanes`, in order.
    pub(crate) fn reset(&mut self, lanes: impl Iterator<Item = u32>) {
        self.used = 0;
        for lanes in lanes {
            self.add(lanes);
        }
    }

    fn add(&mut self, lanes: u32) -> Agent {
        if self.used == self.agents.len() {
            self.agents.push(State::default());
        }
        self.agents[self.used].reset(lanes);
        self.used += 1;
        Agent(self.used as u32 - 1)
    }

    /// Something else that acts: it has one lane, 0, and knows nothing yet.
    pub(crate) fn new_agent(&mut self) -> Agent {
        self.add(1)
    }

    /// The time of an agent: what it does is stamped with it.
    #[inline(always)]
    pub(crate) fn time(&self, agent: Agent) -> u32 {
        self.agents[agent.at()].time
    }

    /// `lanes` of `agent` have exited: nobody asks any more what they know.
    pub(crate) fn exit(&mut self, agent: Agent, lanes: u32) {
        self.agents[agent.at()].live &= !lanes;
    }

    /// All that `lanes` of `agent` have done and know, for others to acquire; their time moves on.
    pub(crate) fn release(&mut self, agent: Agent, lanes: u32) -> Clock {
        let state = &mut self.agents[agent.at()];
        let mut clock = state.known_to(lanes);
        state.stamp(agent, lanes, &mut clock);
        state.time += 1;
        clock
    }

    /// What `lanes` of `agent` know of everybody.
    pub(crate) fn known(&self, agent: Agent, lanes: u32) -> Clock {
        self.agents[agent.at()].known_to(lanes)
    }

    /// What `clock` knows comes before all that `lanes` of `agent` do from now on.
    pub(crate) fn acquire(&mut self, agent: Agent, lanes: u32, clock: &Clock) {
        self.agents[agent.at()].learn(lanes, clock);
    }

    /// `lanes` of `agent` meet and know of each other now, as at `bar.warp.sync`; some of them may have exited.
    pub(crate) fn meet(&mut self, agent: Agent, lanes: u32) {
        let state = &mut self.agents[agent.at()];
        if lanes & state.live != state.live {
            let clock = self.release(agent, lanes);
            return self.acquire(agent, lanes, &clock);
        }
        for (group, known) in std::mem::take(&mut state.own) {
            if group & state.live != 0 {
                state.common.join(&known);
            }
        }
        let mut common = std::mem::take(&mut state.common);
        state.stamp(agent, lanes & state.launched, &mut common);
        state.common = common;
        state.time += 1;
    }

    /// Whether what all lanes of `past` did at `time` comes before whatever any lane of `by` does now.
    #[inline(always)]
    pub(crate) fn known_to_all(&self, past: Agent, time: u32, by: Agent) -> bool {
        time <= self.agents[by.at()].common.whole(past)
    }

    /// Whether what `lanes` of `past` did at `time` comes before what `lane` of `by` does now.
    pub(crate) fn ordered(&self, past: Agent, time: u32, lanes: u32, by: Agent, lane: u32) -> bool {
        if self.known_to_all(past, time, by) {
            return true;
        }
        let state = &self.agents[by.at()];
        super::lanes::lanes_of(lanes).all(|before| {
            let before = before as u32;
            let own = past == by && before == lane;
            own || state.common.knows(past, before, time)
                || state.own.iter().any(|(group, known)| group >> lane & 1 == 1 && known.knows(past, before, time))
        })
    }
}
