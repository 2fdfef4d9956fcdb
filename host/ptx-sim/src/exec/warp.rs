//! A warp: its registers, and where its lanes stand.
//!
//! Lanes at one place form a set. The running set is always the one that stands lowest, so that sets meet at
//! the earliest place (see `ir::flow`). A set that needs lanes it does not have waits until they come.

use super::asynchronous::Spin;
use super::lanes::{ALL, Files};
use super::matrix::Pending;
use super::order::Agent;
use crate::ir::op::{BarrierKind, Reg};
use crate::ir::{Constants, Program};
use crate::memory::POISON;

/// Why a warp stopped running for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has arrived at a barrier.
    Barrier,
    /// All its lanes have exited.
    Done,
    /// It ran for long; others get their turn.
    Budget,
    /// It has tested an mbarrier in vain.
    Spin,
    /// It waits at the cluster's barrier.
    Cluster,
    /// It waits for registers.
    Registers,
}

/// Lanes that stand somewhere else than the running ones.
#[derive(Clone, Copy, Debug)]
struct Parked {
    pc: u32,
    mask: u32,
    /// The live lanes when it began to wait for other lanes; `None` if it can run.
    waits: Option<u32>,
}

/// A barrier that a warp waits at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) kind: BarrierKind,
    pub(crate) id: u32,
    pub(crate) count: Option<u32>,
    pub(crate) pc: u32,
    /// Result register and the lanes that get it.
    pub(crate) result: (Reg, u32),
    /// The lanes whose predicate holds, for reductions.
    pub(crate) votes: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Warp {
    pub(crate) files: Files,
    pub(crate) index: u32,
    /// Who it is in the order of its cluster.
    pub(crate) agent: Agent,
    pub(crate) pc: usize,
    /// The running set.
    pub(crate) mask: u32,
    /// Lanes that have not exited.
    pub(crate) live: u32,
    /// Lanes that the warp began with: fewer than 32 in the last warp of an odd block.
    pub(crate) launched: u32,
    pub(crate) carry: u32,
    /// Products of its warpgroup that it has not waited for.
    pub(crate) tensor: Pending,
    pub(crate) local: Vec<u8>,
    /// A bit for each byte of local memory: was it written? Each lane's begin with a word.
    pub(crate) local_written: Vec<u64>,
    /// PTX operations executed so far.
    pub(crate) steps: u64,
    /// Volatile, ordered and atomic reads in this turn.
    pub(crate) strong_reads: u32,
    pub(crate) waiting: Option<Waiting>,
    /// What it last tested in vain, until a test succeeds.
    pub(crate) spin: Option<Spin>,
    /// The generation of the cluster's barrier that it waits for.
    pub(crate) at_cluster: Option<u64>,
    /// Another set runs from the next join on: what this one waits for may be in its hands.
    pub(crate) rotate: bool,
    parked: Vec<Parked>,
}

/// What becomes of a set that needs other lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// They are here: look at the mask again and go on.
    Here,
    /// Another set runs now.
    Switched,
    /// They will never come.
    Never,
}

impl Warp {
    /// The warp `index` of a block of `threads` threads, at the start of the program.
    pub(crate) fn reset(
        &mut self,
        (agent, index): (Agent, u32),
        threads: u32,
        program: &Program,
        constants: &Constants,
    ) {
        let lanes = (threads - index * 32).min(32);
        self.files.reset(program.files, constants);
        self.index = index;
        self.agent = agent;
        self.pc = 0;
        self.mask = ALL >> (32 - lanes);
        self.live = self.mask;
        self.launched = self.mask;
        self.carry = 0;
        self.tensor.reset(program);
        self.spin = None;
        self.at_cluster = None;
        self.rotate = false;
        self.local.clear();
        self.local.resize(program.local_bytes as usize * 32, POISON);
        self.local_written.clear();
        self.local_written.resize((program.local_bytes as usize).div_ceil(64) * 32, 0);
        self.steps = 0;
        self.waiting = None;
        self.strong_reads = 0;
        self.parked.clear();
    }

    pub(crate) fn is_done(&self) -> bool {
        self.live == 0
    }

    /// Whether all live lanes run together.
    #[inline(always)]
    pub(crate) fn is_whole(&self) -> bool {
        self.parked.is_empty()
    }

    /// At a place where lanes can meet: joins sets that stand here, and goes on with the lowest one.
    pub(crate) fn join(&mut self, rotate: bool) {
        self.merge_here();
        let lowest = |warp: &Self| {
            let able = warp.parked.iter().enumerate().filter(|(_, set)| set.waits.is_none());
            able.min_by_key(|(_, set)| set.pc).map(|(at, set)| (at, set.pc as usize))
        };
        if let Some((at, pc)) = lowest(self)
            && (pc < self.pc || rotate)
        {
            let next = self.parked.swap_remove(at);
            self.parked.push(Parked { pc: self.pc as u32, mask: self.mask, waits: None });
            (self.pc, self.mask) = (next.pc as usize, next.mask);
            self.merge_here();
        }
    }

    /// Takes the sets that stand where the running one does.
    fn merge_here(&mut self) {
        let (pc, mut mask) = (self.pc as u32, self.mask);
        self.parked.retain(|set| {
            let here = set.pc == pc;
            if here {
                mask |= set.mask;
            }
            !here
        });
        self.mask = mask;
    }

    /// Lanes `taken` go to `target`, the rest of the running set to `next`; the lower place runs first.
    pub(crate) fn part(&mut self, taken: u32, target: usize, next: usize) {
        let rest = self.mask & !taken;
        let (run, wait) = if target < next { ((target, taken), (next, rest)) } else { ((next, rest), (target, taken)) };
        (self.pc, self.mask) = run;
        self.parked.push(Parked { pc: wait.0 as u32, mask: wait.1, waits: None });
    }

    /// Sends `lanes` of the running set to `target` without running them now.
    pub(crate) fn send(&mut self, lanes: u32, target: usize) {
        self.mask &= !lanes;
        self.parked.push(Parked { pc: target as u32, mask: lanes, waits: None });
    }

    /// `lanes` exit. Returns whether any lane is left to run.
    pub(crate) fn exit(&mut self, lanes: u32) -> bool {
        self.live &= !lanes;
        self.mask &= !lanes;
        self.mask != 0 || self.next_set()
    }

    /// The running set has no lanes left: takes the lowest other one; `false` if there is none.
    pub(crate) fn next_set(&mut self) -> bool {
        let able = self.parked.iter().enumerate().filter(|(_, set)| set.waits.is_none_or(|live| live != self.live));
        let Some((at, _)) = able.min_by_key(|(_, set)| set.pc) else { return false };
        let next = self.parked.swap_remove(at);
        (self.pc, self.mask) = (next.pc as usize, next.mask);
        self.merge_here();
        true
    }

    /// Whether sets are left that wait for lanes which cannot come any more.
    pub(crate) fn is_stuck(&self) -> bool {
        self.live != 0 && self.mask == 0
    }

    /// The place and lanes of a set that waits.
    pub(crate) fn first_waiting(&self) -> Option<(usize, u32)> {
        self.parked.iter().find(|set| set.waits.is_some()).map(|set| (set.pc as usize, set.mask))
    }

    /// The running set needs lanes that are not in it.
    pub(crate) fn meet(&mut self) -> Meeting {
        let before = self.mask;
        self.merge_here();
        if self.mask != before {
            return Meeting::Here;
        }
        let (pc, mask) = (self.pc as u32, std::mem::take(&mut self.mask));
        self.parked.push(Parked { pc, mask, waits: Some(self.live) });
        if self.next_set() {
            return Meeting::Switched;
        }
        self.parked.pop();
        self.mask = mask;
        Meeting::Never
    }

    /// The sets that wait for other lanes: where, and which lanes.
    pub(crate) fn waiting_sets(&self) -> impl Iterator<Item = (usize, u32)> {
        let sets = self.parked.iter().filter(|set| set.waits.is_some());
        sets.map(|set| (set.pc as usize, set.mask))
    }

    /// Lets those lanes go on behind the place where they wait; what is left of their sets waits on.
    pub(crate) fn release(&mut self, lanes: u32) {
        let mut free = Vec::new();
        for set in self.parked.iter_mut().filter(|set| set.waits.is_some() && set.mask & lanes != 0) {
            free.push(Parked { pc: set.pc + 1, mask: set.mask & lanes, waits: None });
            set.mask &= !lanes;
        }
        self.parked.retain(|set| set.mask != 0);
        self.parked.extend(free);
    }
}
