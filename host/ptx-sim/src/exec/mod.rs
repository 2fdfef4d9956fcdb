//! Execution: blocks on all cores, warps in turn, lanes in step.

mod access;
mod asynchronous;
mod atomic;
mod bits;
mod block;
mod collective;
mod context;
mod convert;
mod copies;
mod count;
mod float;
mod float16;
mod float_compare;
mod gates;
mod global;
mod groups;
mod half;
mod hazards;
mod integer;
mod issue;
mod lanes;
mod matrix;
mod narrow;
mod notes;
mod order;
mod races;
mod selection;
mod shadow;
mod shared;
mod soft;
mod special;
mod step;
mod traffic;
mod turns;
mod warp;
mod words;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::fault::{Fault, FaultKind, Severity};
use crate::ir::lower::SHARED_BASE;
use crate::launch::{Launch, Report};
use crate::limits::{MAX_BLOCK, MAX_GRID, MOST_SHARED, THREADS_PER_BLOCK};
use crate::memory::Memory;
use crate::module::Instance;
use context::{Context, Grid, Stopped};
use count::Tally;
use notes::Notes;
use races::Races;
use selection::{Clusters, Selection};
use step::Version;
use warp::Warp;

/// A worker's block state, which hands over what it has counted and found when it is dropped.
struct Worker<'a> {
    cx: Context<'a>,
    warps: Vec<Warp>,
    tally: &'a Mutex<Tally>,
    notes: &'a Mutex<Notes>,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let mut tally = self.tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        tally.add(&self.cx.executed, &self.cx.moved);
        self.notes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).merge(&mut self.cx.notes);
    }
}

pub(crate) fn run(instance: &Instance, memory: &Memory, launch: &Launch<'_>) -> Result<Report, Box<Fault>> {
    let program = &launch.kernel.inner.program;
    let mut constants = program.constants.clone();
    for (slot, variable) in &program.constants.relocations {
        constants.w64[*slot] = constants.w64[*slot].wrapping_add(instance.addresses[*variable]);
    }
    let shared_bytes = (program.dynamic_shared - SHARED_BASE) as usize + launch.dynamic_shared as usize;
    // Without dynamic memory the window ends with the last variable, not with the padding behind it.
    let shared_bytes = if launch.dynamic_shared == 0 { launch.kernel.static_shared() as usize } else { shared_bytes };
    let threads = volume(launch.block);
    let grid = Grid {
        module: instance.module(),
        program,
        launch,
        memory,
        view: memory.view(),
        races: launch.checks.races.then(|| Races::new(memory.next_launch(), program)),
        constants,
        shared_bytes,
        threads: threads.min(u64::from(THREADS_PER_BLOCK)) as u32,
        cluster: launch.cluster,
    };
    let clusters = Clusters::new(&grid, check(&grid, threads)?);
    let tally = Mutex::new(Tally::new(program.code.len()));
    let notes = Mutex::new(Notes::default());
    let version = Version::detect();
    let new_worker = || Worker { cx: Context::new(&grid), warps: Vec::new(), tally: &tally, notes: &notes };
    // The lowest block with a fault so far: blocks above it need not run any more.
    let lowest = AtomicU64::new(u64::MAX);
    let fault: Mutex<Option<(u64, Stopped)>> = Mutex::new(None);
    let one = |worker: &mut Worker<'_>, number: u64| {
        if number > lowest.load(Ordering::Relaxed) {
            return;
        }
        worker.cx.enter(&clusters.blocks(number), number);
        let ran = block::run_cluster(version, &mut worker.cx, &mut worker.warps, number);
        let own = ran.err().map(|stopped| (number, stopped));
        for (number, stopped) in worker.cx.findings.drain(..).chain(own) {
            lowest.fetch_min(number, Ordering::Relaxed);
            let mut slot = fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            // Who spins on what a faulty block never writes is not to blame.
            let blame = |number: u64, stopped: &Stopped| (stopped.kind == FaultKind::InstructionLimit, number);
            if slot.as_ref().is_none_or(|(found, old)| blame(number, &stopped) < blame(*found, old)) {
                *slot = Some((number, stopped));
            }
        }
    };
    if program.order_matters || clusters.len() == 1 {
        let mut worker = new_worker();
        clusters.order(launch.schedule).for_each(|index| one(&mut worker, clusters.number(index)));
    } else {
        let indices = (0..clusters.len()).into_par_iter();
        indices.for_each_init(new_worker, |worker, index| one(worker, clusters.number(index)));
    }
    match fault.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some((_, stopped)) => Err(stopped),
        None => {
            let tally = tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            let (counters, profile) = count::count(&grid, clusters.block_count(), &tally);
            let notes = notes.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            let mut notes = notes.into_list();
            if grid.races.as_ref().is_some_and(Races::is_full) {
                let explanation = "the launch makes more accesses to global memory than can be told apart; races among \
                                   the later ones were not looked for: run fewer blocks at a time";
                let who = context::Who::warp(0);
                let cx = Context::new(&grid);
                let note = cx.fault(FaultKind::GlobalRace, usize::MAX, who, explanation.to_owned());
                notes.push(Fault { severity: Severity::Warning, ..*note });
            }
            Ok(Report { counters, profile, notes })
        }
    }
}

/// Blocks of a grid, or threads of a block; the most that there is room for where that is too little.
fn volume(shape: [u32; 3]) -> u64 {
    shape.iter().fold(1, |volume: u64, axis| volume.saturating_mul(u64::from(*axis)))
}

/// What the launch itself must fulfil, whoever makes it; which blocks run.
fn check(grid: &Grid<'_>, threads: u64) -> Result<Selection, Stopped> {
    let launch = grid.launch;
    let refuse =
        |what: String| Err(Context::new(grid).fault(FaultKind::BadLaunch, usize::MAX, context::Who::warp(0), what));
    if launch.grid.contains(&0) || launch.block.contains(&0) {
        return refuse("a grid or block dimension is 0".to_owned());
    }
    if let Err(what) = selection::check_cluster(grid) {
        return refuse(what);
    }
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        if launch.grid[axis] > MAX_GRID[axis] {
            return refuse(format!("a grid of {:?} blocks; along {name} there can be {}", launch.grid, MAX_GRID[axis]));
        }
        if launch.block[axis] > MAX_BLOCK[axis] {
            let most = MAX_BLOCK[axis];
            return refuse(format!("a block of {:?} threads; along {name} there can be {most}", launch.block));
        }
    }
    if threads > u64::from(THREADS_PER_BLOCK) {
        return refuse(format!("a block of {threads} threads; there can be {THREADS_PER_BLOCK}"));
    }
    if let Some(shape) = launch.kernel.required_threads()
        && shape != launch.block
    {
        return refuse(format!("a block of {:?}; the kernel's .reqntid is {shape:?}", launch.block));
    }
    let most = launch.kernel.max_threads().map(volume);
    if let Some(most) = most
        && threads > most
    {
        return refuse(format!("a block of {threads} threads; the kernel's .maxntid allows {most}"));
    }
    let (given, wanted) = (launch.params.len(), launch.kernel.param_bytes() as usize);
    if given != wanted {
        return refuse(format!("{given} bytes of parameters; the kernel takes {wanted}"));
    }
    if grid.shared_bytes > MOST_SHARED as usize {
        let bytes = grid.shared_bytes;
        return refuse(format!("a block has {bytes} bytes of shared memory; no GPU has more than {MOST_SHARED}"));
    }
    let blocks = volume(launch.grid);
    Selection::new(launch.blocks, blocks).or_else(refuse)
}
