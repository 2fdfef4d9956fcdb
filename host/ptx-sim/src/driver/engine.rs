//! Where work runs: one piece at a time, whichever stream and thread it comes from.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Checks, Counters, Fault, Schedule};

static TURN: Mutex<()> = Mutex::new(());
static CHOSEN: Mutex<(Checks, Schedule)> = Mutex::new((Checks::ALL, Schedule::Late));
static NOTES: Mutex<Vec<Fault>> = Mutex::new(Vec::new());
static COUNTERS: Mutex<BTreeMap<String, Counters>> = Mutex::new(BTreeMap::new());

/// Waits for the work of other threads and keeps them waiting.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a launch, on threads that are the simulator's own.
///
/// A caller may be a worker of rayon's, and one that waits inside rayon takes up other tasks meanwhile:
/// a task that launches too would wait for its own turn for ever. So the caller waits outside rayon, and
/// the blocks run in a pool that no caller is a worker of.
pub(super) fn run<T: Send>(launch: impl FnOnce() -> T + Send) -> T {
    let outside = || {
        let _turn = turn();
        pool().install(launch)
    };
    match thread::scope(|scope| scope.spawn(outside).join()) {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    }
}

fn pool() -> &'static ThreadPool {
    static POOL: OnceLock<ThreadPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let builder = ThreadPoolBuilder::new().thread_name(|index| format!("ptx-sim {index}"));
        builder.build().expect("the operating system gives the simulated GPU its threads")
    })
}

/// Adds the counts of a launch that ended well.
pub(super) fn count(kernel: &str, counters: &Counters) {
    let mut all = COUNTERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(kernel.to_owned()).or_default().add(counters);
}

pub(super) fn counters() -> BTreeMap<String, Counters> {
    COUNTERS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(super) fn reset_counters() {
    COUNTERS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What launches are searched for, and their schedule.
pub(super) fn chosen() -> (Checks, Schedule) {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn set_checks(checks: Checks) {
    CHOSEN.lock().unwrap_or_else(PoisonError::into_inner).0 = checks;
}

pub(super) fn set_schedule(schedule: Schedule) {
    CHOSEN.lock().unwrap_or_else(PoisonError::into_inner).1 = schedule;
}

/// A program that launches for days must not fill the memory with what it is told.
const MOST_NOTES: usize = 1000;

/// Keeps the findings of a launch that are new.
pub(super) fn note(found: Vec<Fault>) {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    for note in found {
        if notes.len() < MOST_NOTES && !notes.iter().any(|known| same(known, &note)) {
            notes.push(note);
        }
    }
}

/// Whether two findings are one, seen by other threads or in another launch.
fn same(a: &Fault, b: &Fault) -> bool {
    let place = |fault: &Fault| (fault.ptx_line, fault.other.as_ref().map(|other| other.ptx_line));
    a.kind == b.kind && place(a) == place(b) && a.kernel == b.kernel && a.ptx_file == b.ptx_file
}

pub(super) fn notes() -> Vec<Fault> {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(super) fn reset_notes() {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn launches_from_every_worker_of_rayon_do_not_wait_for_each_other_for_ever() {
        // More tasks than workers, each of which is itself parallel.
        let sums: Vec<u64> = (0..64_u64)
            .into_par_iter()
            .map(|task| run(|| (0..1000_u64).into_par_iter().map(|index| index * task).sum()))
            .collect();
        assert_eq!(sums[3], 3 * 499_500);
        assert_eq!(sums.len(), 64);
    }
}
