//! Where work runs: one piece at a time, whichever stream and thread it comes from.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Counters;

static TURN: Mutex<()> = Mutex::new(());
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
