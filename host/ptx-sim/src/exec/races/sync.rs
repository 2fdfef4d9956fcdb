//! Release and acquire between blocks: what strong accesses to global memory hand from one to another.
//!
//! A strong write that releases leaves an export at its place: what its lane has done and knows. A strong read of
//! that place imports it. The access itself and its entry in the log are one step, under the log's lock, so that
//! the log tells what the value tells. Atomic read-modify-writes keep what was released before them in force
//! (PTX ISA, "Release and Acquire Patterns", observation through chains of atomics).

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, OnceLock, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};

use super::Races;
use super::tracker::{Import, Tracker};
use crate::exec::context::Context;
use crate::exec::order::{Agent, Clock, Order};
use crate::exec::warp::Warp;
use crate::ir::op::{MemoryOrder, Scope};

/// What one write released.
#[derive(Debug, PartialEq)]
struct Export {
    cluster: u32,
    /// The block's rank in its cluster.
    rank: u32,
    scope: Scope,
    /// What the lane knew of its own cluster.
    clock: Clock,
    /// Exports that it knew of.
    known: Vec<u32>,
    /// The export that a read-modify-write found.
    before: Option<u32>,
}

/// All that was released in a launch.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// By address: the bytes of the access, and the export.
    places: BTreeMap<u64, (u64, u32)>,
    exports: Vec<Export>,
}

/// Who acquires: cluster, rank, and how far its access reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    pub(super) cluster: u32,
    pub(super) rank: u32,
    pub(super) scope: Scope,
}

/// Own exports right behind an import that are joined to the clocks at once, so that shared memory knows of them.
const NEAR: usize = 64;

impl Log {
    fn reaches(export: &Export, reader: Reader) -> bool {
        let scope = export.scope.min(reader.scope);
        match export.cluster == reader.cluster {
            true => export.rank == reader.rank || scope >= Scope::Cluster,
            false => scope >= Scope::Gpu,
        }
    }

    /// What an export tells `reader` of each cluster.
    pub(super) fn flatten(&self, export: u32, reader: Reader) -> FxHashMap<u32, Clock> {
        let (mut known, mut seen, mut work) = (FxHashMap::<u32, Clock>::default(), FxHashSet::default(), vec![export]);
        while let Some(next) = work.pop() {
            let export = &self.exports[next as usize];
            if seen.insert(next) {
                if Self::reaches(export, reader) {
                    known.entry(export.cluster).or_default().join(&export.clock);
                    work.extend(&export.known);
                }
                work.extend(export.before);
            }
        }
        known
    }

    /// What an export tells of the reader's own cluster, as far as it is near.
    fn near(&self, export: u32, reader: Reader) -> Clock {
        let mut clock = Clock::default();
        let chain = std::iter::successors(Some(export), |export| self.exports[*export as usize].before);
        for export in chain.take(NEAR).map(|export| &self.exports[export as usize]) {
            if export.cluster == reader.cluster && Self::reaches(export, reader) {
                clock.join(&export.clock);
            }
        }
        clock
    }

    /// `len` bytes at `at` get a value that releases nothing.
    fn forget(&mut self, at: u64, len: u64) {
        let over = self.places.range(at.saturating_sub(31)..at + len).filter(|(start, (size, _))| *start + size > at);
        let over: Vec<u64> = over.map(|(start, _)| *start).collect();
        for start in over {
            self.places.remove(&start);
        }
    }
}

impl Races {
    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A weak store to `len` bytes at `at`: whoever reads them acquires nothing.
    #[inline(always)]
    pub(crate) fn forget(&self, at: u64, len: u64) {
        let [low, high] = &self.released;
        if self.synchronises && at <= high.load(Ordering::Relaxed) && at + len > low.load(Ordering::Relaxed) {
            self.log().forget(at, len);
        }
    }
}

/// What a strong access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Load,
    Store,
    /// A read-modify-write.
    Update,
    /// A read-modify-write that gives nobody the old value (`red`): there is nothing by which to acquire.
    Reduction,
}

/// Carries out the strong access `body` of one lane to `len` bytes at `at`, with what it acquires and releases.
pub(crate) fn strong<T>(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    (at, len): (u64, u64),
    (kind, order): (Kind, MemoryOrder),
    body: impl FnOnce() -> T,
) -> T {
    let grid = cx.grid;
    let Some(races) = grid.races.as_ref().filter(|races| races.synchronises) else { return body() };
    let mut log = races.log();
    let value = body();
    let rank = warp.agent.0 / grid.threads.div_ceil(32);
    let reader = Reader { cluster: cx.tracker.cluster, rank, scope: order.scope };
    let place = log.places.get(&at).filter(|(size, _)| *size == len).map(|(_, export)| *export);
    if matches!(kind, Kind::Load | Kind::Update)
        && let Some(export) = place
    {
        acquire(&log, &mut cx.tracker, &mut cx.order, (warp.agent, lane), (export, reader), order.acquire);
    }
    if kind != Kind::Load {
        let before = place.filter(|_| kind != Kind::Store);
        match release(&mut log, &mut cx.tracker, &cx.order, (warp.agent, lane), (reader, order), before) {
            Some(export) => {
                log.forget(at, len);
                log.places.insert(at, (len, export));
                races.released[0].fetch_min(at, Ordering::Relaxed);
                races.released[1].fetch_max(at + len, Ordering::Relaxed);
            }
            None if before.is_none() => log.forget(at, len),
            None => {}
        }
    }
    value
}

fn acquire(
    log: &Log,
    tracker: &mut Tracker,
    order: &mut Order,
    (agent, lane): (Agent, usize),
    (export, reader): (u32, Reader),
    at_once: bool,
) {
    // Whoever spins sees the same export again and again.
    let last = tracker.imports.iter().rev().find(|import| import.agent == agent && import.lane == lane);
    if last.is_some_and(|last| last.export == export && last.at_once >= at_once) {
        return;
    }
    let known = tracker.sources.iter().find(|(warp, _)| *warp == agent).map(|(_, source)| *source);
    let source = known.unwrap_or_else(|| {
        let source = order.new_agent();
        tracker.sources.push((agent, source));
        source
    });
    let time = tracker.imports.len() as u32 + 1;
    let known = OnceLock::new();
    tracker.imports.push(Import { agent, source, lane, time, export, reader, at_once, known });
    let mut clock = log.near(export, reader);
    clock.learn_lanes(source, 1 << lane, time);
    if at_once {
        order.acquire(agent, 1 << lane, &clock);
    } else {
        order.see(agent, 1 << lane, &clock, true);
    }
}

/// Logs what a write releases; `None` if it adds nothing.
fn release(
    log: &mut Log,
    tracker: &mut Tracker,
    order: &Order,
    (agent, lane): (Agent, usize),
    (writer, how): (Reader, MemoryOrder),
    before: Option<u32>,
) -> Option<u32> {
    let mut released = Vec::new();
    if how.release {
        released.push((order.snapshot(agent, lane), how.scope));
    } else {
        // What a wide fence tells first: a narrow one adds to it only what came later.
        released.extend(order.fenced(agent, lane, true).map(|clock| (clock, how.scope)));
        released.extend(order.fenced(agent, lane, false).map(|clock| (clock, how.scope.min(Scope::Cluster))));
    }
    let mut last = before;
    for (clock, scope) in released {
        let same = |export: &Export| export.cluster == writer.cluster && export.clock == clock && export.scope >= scope;
        if last.is_some_and(|last| same(&log.exports[last as usize])) {
            continue;
        }
        let knows = |import: &&Import| clock.knows(import.source, import.lane as u32, import.time);
        let known = tracker.imports.iter().filter(knows).map(|import| import.export).collect();
        let Reader { cluster, rank, .. } = writer;
        let export = Export { cluster, rank, scope, clock, known, before: last };
        // A lane that writes many places after one fence tells the same in all of them: told once, it is read once.
        let newest = tracker.released.get(&(agent, lane)).copied();
        let told = newest.filter(|newest| log.exports[*newest as usize] == export);
        last = Some(told.unwrap_or_else(|| {
            log.exports.push(export);
            log.exports.len() as u32 - 1
        }));
        tracker.released.extend(last.map(|export| ((agent, lane), export)));
    }
    last.filter(|_| last != before)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of additions behind one fence would else be looked through, one by one, by every later access.
    #[test]
    fn what_a_lane_writes_to_many_places_behind_one_fence_is_told_once() {
        let (mut order, mut tracker, mut log) = (Order::default(), Tracker::new(), Log::default());
        let writer = Reader { cluster: 0, rank: 0, scope: Scope::Gpu };
        let mut places = [None; 100];
        for told in 1..=3 {
            let agent = order.new_agent();
            order.fence(agent, 1, true);
            for place in &mut places {
                let export = release(&mut log, &mut tracker, &order, (agent, 0), (writer, MemoryOrder::ATOMIC), *place);
                assert_eq!(export, Some(told - 1));
                *place = export;
            }
            assert_eq!(log.exports.len() as u32, told);
        }
    }
}
