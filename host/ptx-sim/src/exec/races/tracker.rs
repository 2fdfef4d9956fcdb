//! What a worker knows while it runs one cluster: the numbers of its events, and what came from other clusters.

use std::sync::{OnceLock, PoisonError};

use rustc_hash::FxHashMap;

use super::Races;
use super::events::{Event, Events};
use super::sync::Reader;
use crate::exec::lanes::lanes_of;
use crate::exec::order::{Agent, Clock, Order};

/// An event that comes before everything that a warp does.
pub(super) type Known = (Agent, u32);

/// Places of the cache from accesses to their numbers.
const CACHE: usize = 256;

/// What a lane has seen of what others released.
///
/// It is known to the cluster's clocks as something that an agent of its own did: one agent for each warp that
/// acquires, with that warp's lanes, at ascending times. So it goes on to other threads as any event does.
#[derive(Debug)]
pub(super) struct Import {
    /// The warp, the agent that stands for what it imports, the lane, and the agent's time.
    pub(super) agent: Agent,
    pub(super) source: Agent,
    pub(super) lane: usize,
    pub(super) time: u32,
    /// Where it comes from, in the launch's log, and how it was read.
    pub(super) export: u32,
    pub(super) reader: Reader,
    /// Whether the read acquired by itself; else a fence has to follow.
    pub(super) at_once: bool,
    /// What it tells of each cluster, once somebody asks.
    pub(super) known: OnceLock<FxHashMap<u32, Clock>>,
}

/// The state of one worker.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// The cluster that runs, as the launch numbers them.
    pub(super) cluster: u32,
    numbers: Vec<(Event, u32)>,
    pub(super) known: Known,
    /// The agent that stands for what a warp has imported.
    pub(super) sources: Vec<(Agent, Agent)>,
    pub(super) imports: Vec<Import>,
    /// The newest export of each lane of the cluster.
    pub(super) released: FxHashMap<(Agent, usize), u32>,
}

impl Tracker {
    pub(crate) fn new() -> Self {
        let none = Event { cluster: u32::MAX, agent: Agent(0), time: 0, pc: 0, lanes: 0 };
        Self {
            cluster: u32::MAX,
            numbers: vec![(none, 0); CACHE],
            known: (Agent(u32::MAX), 0),
            sources: Vec::new(),
            imports: Vec::new(),
            released: FxHashMap::default(),
        }
    }

    /// A new cluster begins, whose first block has these coordinates.
    pub(crate) fn enter(&mut self, races: &Races, first: [u32; 3]) {
        let mut clusters = races.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        self.cluster = clusters.len() as u32;
        clusters.push(first);
        self.known = (Agent(u32::MAX), 0);
        self.sources.clear();
        self.imports.clear();
        self.released.clear();
    }

    /// The number of an event; `None` when there are more than can be told apart.
    #[inline(always)]
    pub(super) fn number(&mut self, events: &Events, event: Event) -> Option<u32> {
        let slot =
            (event.pc.wrapping_mul(0x9E37_79B1) >> 24 ^ event.agent.0.wrapping_mul(37) ^ event.lanes) as usize % CACHE;
        let (last, number) = &mut self.numbers[slot];
        if *last == event {
            return Some(*number);
        }
        *number = events.add(event)?;
        *last = event;
        Some(*number)
    }

    /// Whether what `lanes` did in `past` comes before what `lane` of `agent` does now, by what was released to it.
    #[cold]
    pub(super) fn knows(
        &self,
        races: &Races,
        order: &Order,
        past: Event,
        lanes: u32,
        (agent, lane): (Agent, u32),
    ) -> bool {
        self.imports.iter().any(|import| {
            order.ordered(import.source, import.time, 1 << import.lane, agent, lane) && {
                let known = import.known.get_or_init(|| races.log().flatten(import.export, import.reader));
                known
                    .get(&past.cluster)
                    .is_some_and(|clock| lanes_of(lanes).all(|lane| clock.knows(past.agent, lane as u32, past.time)))
            }
        })
    }
}
