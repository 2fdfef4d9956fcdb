//! The oracle: every thread knows a number of every other thread, every byte its whole history.

use super::{BYTES, LANES, NEAR, SLOTS, WARPS};
use crate::exec::lanes::lanes_of;
use crate::exec::order::Strong;
use crate::exec::shadow::Conflict;

/// What an access comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Clean,
    Remark,
    Bad(Conflict),
}

pub(super) const THREADS: usize = (WARPS * LANES) as usize;
pub(super) type Known = [u32; THREADS];

pub(super) fn thread(warp: u32, lane: u32) -> usize {
    (warp * LANES + lane) as usize
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) threads: u32,
    /// The number of each thread's operation.
    pub(super) time: u32,
    pub(super) write: bool,
    pub(super) strong: Strong,
}

/// The oracle.
#[derive(Default)]
pub(super) struct Plain {
    pub(super) known: [Known; THREADS],
    /// Operations of all threads so far: each has its own number.
    pub(super) now: u32,
    pub(super) history: [Vec<Past>; BYTES],
    pub(super) value: [Option<u8>; BYTES],
    pub(super) flying: [bool; BYTES],
    pub(super) slots: [Known; SLOTS],
    pub(super) released: [Option<Known>; THREADS],
    pub(super) seen: [Known; THREADS],
    pub(super) places: [Option<Known>; BYTES],
}

pub(super) fn join(known: &mut Known, other: &Known) {
    known.iter_mut().zip(other).for_each(|(one, other)| *one = (*one).max(*other));
}

impl Plain {
    pub(super) fn tick(&mut self) -> u32 {
        self.now += 1;
        self.now
    }

    /// What the thread knows, its own deeds included.
    pub(super) fn all_of(&mut self, thread: usize) -> Known {
        let mut known = self.known[thread];
        known[thread] = self.tick();
        known
    }

    /// The threads of `threads` do one access to a byte; `value` is what they write.
    pub(super) fn access(
        &mut self,
        threads: u32,
        byte: usize,
        value: Option<u8>,
        reads: bool,
        strong: Strong,
    ) -> Verdict {
        if reads && self.value[byte].is_none() && !self.flying[byte] {
            return Verdict::Bad(Conflict::Uninitialised);
        }
        let unordered = |past: &&Past| {
            let both_strong = strong.width != 0 && strong.width == past.strong.width;
            let far = (past.threads | threads) >> (NEAR * LANES) != 0;
            // Among threads of one block every scope will do.
            let free = both_strong && (!far || (strong.wide && past.strong.wide));
            !free
                && lanes_of(past.threads).any(|before| {
                    lanes_of(threads).any(|thread| before != thread && past.time > self.known[thread][before])
                })
        };
        let history = &self.history[byte];
        let hits = |write: bool| history.iter().filter(|past| past.write == write).any(|past| unordered(&past));
        let verdict = if self.flying[byte] {
            Verdict::Bad(Conflict::InFlight)
        } else {
            match value {
                None if hits(true) => Verdict::Bad(Conflict::ReadAfterWrite),
                None => Verdict::Clean,
                Some(_) if hits(false) => Verdict::Bad(Conflict::WriteAfterRead),
                Some(value) if hits(true) && (reads || self.value[byte] != Some(value)) => {
                    Verdict::Bad(Conflict::WriteAfterWrite)
                }
                Some(_) if hits(true) => Verdict::Remark,
                Some(_) => Verdict::Clean,
            }
        };
        let time = self.tick();
        self.history[byte].push(Past { threads, time, write: value.is_some(), strong });
        self.value[byte] = value.or(self.value[byte]);
        verdict
    }
}
