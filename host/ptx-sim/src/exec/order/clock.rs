//! What somebody knows of everybody: vector clocks over the lanes of all agents.

use super::Agent;

/// For each lane of each agent, the time up to which its accesses come before.
///
/// Warps mostly synchronise as a whole, so a clock has one number for each agent, and more only for single
/// lanes that are known beyond it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Time up to which every lane of an agent is known; 0, "nothing", for agents behind the end.
    whole: Vec<u32>,
    /// Lanes known beyond that: agent * 32 + lane, and the time; in ascending order.
    single: Vec<(u32, u32)>,
}

impl Clock {
    /// A clock that knows nothing of anybody.
    pub(crate) fn clear(&mut self) {
        self.whole.clear();
        self.single.clear();
    }

    /// The time up to which all lanes of `agent` are known.
    #[inline(always)]
    pub(crate) fn whole(&self, agent: Agent) -> u32 {
        self.whole.get(agent.at()).copied().unwrap_or(0)
    }

    /// Whether what `lane` of `agent` did at `time` comes before.
    pub(crate) fn knows(&self, agent: Agent, lane: u32, time: u32) -> bool {
        time <= self.whole(agent) || self.single_time(agent.0 * 32 + lane).is_some_and(|known| time <= known)
    }

    fn single_time(&self, key: u32) -> Option<u32> {
        let at = self.single.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(self.single[at].1)
    }

    /// Learns all that `agent` did up to `time`.
    pub(crate) fn learn_whole(&mut self, agent: Agent, time: u32) {
        if self.whole.len() <= agent.at() {
            self.whole.resize(agent.at() + 1, 0);
        }
        let known = &mut self.whole[agent.at()];
        *known = time.max(*known);
        let known = *known;
        self.single.retain(|(key, time)| key / 32 != agent.0 || *time > known);
    }

    /// Learns what `lanes` of `agent` did up to `time`.
    pub(crate) fn learn_lanes(&mut self, agent: Agent, lanes: u32, time: u32) {
        if time <= self.whole(agent) {
            return;
        }
        for lane in crate::exec::lanes::lanes_of(lanes) {
            let key = agent.0 * 32 + lane as u32;
            match self.single.binary_search_by_key(&key, |(key, _)| *key) {
                Ok(at) => self.single[at].1 = self.single[at].1.max(time),
                Err(at) => self.single.insert(at, (key, time)),
            }
        }
    }

    /// What is known of the first `agents`, each under another name.
    pub(crate) fn renamed(&self, agents: u32, mut name: impl FnMut(Agent) -> Agent) -> Self {
        let mut renamed = Self::default();
        for (agent, time) in self.whole.iter().enumerate().take(agents as usize).filter(|(_, time)| **time > 0) {
            renamed.learn_whole(name(Agent(agent as u32)), *time);
        }
        for (key, time) in self.single.iter().filter(|(key, _)| key / 32 < agents) {
            renamed.learn_lanes(name(Agent(key / 32)), 1 << (key % 32), *time);
        }
        renamed
    }

    /// Learns all that `other` knows.
    pub(crate) fn join(&mut self, other: &Self) {
        if self.whole.len() < other.whole.len() {
            self.whole.resize(other.whole.len(), 0);
        }
        for (known, time) in self.whole.iter_mut().zip(&other.whole) {
            *known = (*known).max(*time);
        }
        if self.single.is_empty() && other.single.is_empty() {
            return;
        }
        let mut merged = Vec::with_capacity(self.single.len() + other.single.len());
        let (mut ours, mut theirs) = (self.single.iter().peekable(), other.single.iter().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(one), Some(two)) if one.0 == two.0 => {
                    let both = (one.0, one.1.max(two.1));
                    ours.next();
                    theirs.next();
                    both
                }
                (Some(one), Some(two)) if one.0 > two.0 => {
                    let next = **two;
                    theirs.next();
                    next
                }
                (Some(one), _) => {
                    let next = **one;
                    ours.next();
                    next
                }
                (None, Some(two)) => {
                    let next = **two;
                    theirs.next();
                    next
                }
                (None, None) => break,
            };
            // What is known of the whole agent needs no word on its lanes.
            if next.1 > self.whole.get(next.0 as usize / 32).copied().unwrap_or(0) {
                merged.push(next);
            }
        }
        self.single = merged;
    }
}
