//! Execution: blocks on all cores, warps in turn, lanes in step.

mod access;
mod atomic;
mod bits;
mod block;
mod collective;
mod context;
mod convert;
mod copies;
mod float;
mod global;
mod half;
mod integer;
mod issue;
mod lanes;
mod matrix;
mod race;
mod shared;
mod special;
mod step;
mod turns;
mod warp;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::counters::Counters;
use crate::fault::{Fault, FaultKind};
use crate::ir::lower::SHARED_BASE;
use crate::ir::op::{MatrixKind, Op};
use crate::ir::types::Space;
use crate::launch::{Launch, Report};
use crate::memory::Memory;
use crate::module::Instance;
use context::{Context, Executed, Grid, Stopped};
use step::Version;
use warp::Warp;

/// Threads of a block beyond this do not exist on any GPU.
const MAX_THREADS: u64 = 1024;

/// What a worker has counted over its blocks.
#[derive(Default)]
struct Tally {
    executed: Vec<Executed>,
    divergent_branches: u64,
    copy_bytes_read: u64,
}

/// A worker's block state, which hands its counts over when it is dropped.
struct Worker<'a> {
    cx: Context<'a>,
    warps: Vec<Warp>,
    tally: &'a Mutex<Tally>,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let mut tally = self.tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if tally.executed.is_empty() {
            tally.executed = vec![Executed::default(); self.cx.executed.len()];
        }
        for (sum, count) in tally.executed.iter_mut().zip(&self.cx.executed) {
            sum.warps += count.warps;
            sum.threads += count.threads;
        }
        tally.divergent_branches += self.cx.divergent_branches;
        tally.copy_bytes_read += self.cx.copy_bytes_read;
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
    let threads = launch.block.iter().map(|axis| u64::from(*axis)).product::<u64>();
    let grid = Grid {
        module: instance.module(),
        program,
        launch,
        memory,
        view: memory.view(),
        constants,
        shared_bytes,
        threads: threads.min(MAX_THREADS) as u32,
    };
    check(&grid, threads)?;
    let blocks = launch.grid.iter().map(|axis| u64::from(*axis)).product::<u64>();
    let tally = Mutex::new(Tally::default());
    let version = Version::detect();
    let new_worker = || Worker { cx: Context::new(&grid), warps: Vec::new(), tally: &tally };
    // The lowest block with a fault so far: blocks above it need not run any more.
    let lowest = AtomicU64::new(u64::MAX);
    let fault: Mutex<Option<(u64, Stopped)>> = Mutex::new(None);
    let one = |worker: &mut Worker<'_>, number: u64| {
        if number > lowest.load(Ordering::Relaxed) {
            return;
        }
        let [x, y, _] = launch.grid.map(u64::from);
        worker.cx.enter([(number % x) as u32, (number / x % y) as u32, (number / (x * y)) as u32]);
        if let Err(stopped) = block::run_block(version, &mut worker.cx, &mut worker.warps, number) {
            lowest.fetch_min(number, Ordering::Relaxed);
            let mut slot = fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if slot.as_ref().is_none_or(|(found, _)| number < *found) {
                *slot = Some((number, stopped));
            }
        }
    };
    if program.order_matters || blocks == 1 {
        let mut worker = new_worker();
        (0..blocks).for_each(|number| one(&mut worker, number));
    } else {
        (0..blocks).into_par_iter().for_each_init(new_worker, |worker, number| one(worker, number));
    }
    match fault.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some((_, stopped)) => Err(stopped),
        None => {
            let tally = tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            Ok(Report { counters: count(&grid, blocks, tally), notes: Vec::new() })
        }
    }
}

/// What the launch itself must fulfil, whoever makes it.
fn check(grid: &Grid<'_>, threads: u64) -> Result<(), Stopped> {
    let launch = grid.launch;
    let refuse =
        |what: String| Err(Context::new(grid).fault(FaultKind::BadLaunch, usize::MAX, context::Who::warp(0), what));
    if launch.grid.contains(&0) || launch.block.contains(&0) {
        return refuse("a grid or block dimension is 0".to_owned());
    }
    if launch.cluster != [1; 3] {
        return refuse(format!("a cluster of {:?} blocks; only [1, 1, 1] is simulated", launch.cluster));
    }
    if threads > MAX_THREADS {
        return refuse(format!("a block of {threads} threads; there can be {MAX_THREADS}"));
    }
    if let Some(shape) = launch.kernel.required_threads()
        && shape != launch.block
    {
        return refuse(format!("a block of {:?}; the kernel's .reqntid is {shape:?}", launch.block));
    }
    let most = launch.kernel.max_threads().map(|shape| shape.iter().map(|axis| u64::from(*axis)).product::<u64>());
    if let Some(most) = most
        && threads > most
    {
        return refuse(format!("a block of {threads} threads; the kernel's .maxntid allows {most}"));
    }
    let (given, wanted) = (launch.params.len(), launch.kernel.param_bytes() as usize);
    if given != wanted {
        return refuse(format!("{given} bytes of parameters; the kernel takes {wanted}"));
    }
    if grid.shared_bytes > 1 << 20 {
        return refuse(format!("{} bytes of shared memory; no GPU has that", grid.shared_bytes));
    }
    Ok(())
}

/// The counters of a launch, from how often each place of the code was executed.
fn count(grid: &Grid<'_>, blocks: u64, tally: Tally) -> Counters {
    let mut counters = Counters { launches: 1, blocks, ..Counters::default() };
    counters.divergent_branches = tally.divergent_branches;
    counters.global_bytes_read = tally.copy_bytes_read;
    for ((inst, origin), executed) in grid.program.code.iter().zip(&grid.program.origins).zip(&tally.executed) {
        if let Some(class) = origin.class {
            counters.warp_instructions += executed.warps;
            counters.thread_instructions += executed.threads;
            counters.by_class[class as usize] += executed.warps;
        }
        match inst.op {
            Op::Load { access, regs, .. } => {
                let bytes = executed.threads * u64::from(access.bytes) * u64::from(regs.len);
                match access.space {
                    Space::Global | Space::Generic => counters.global_bytes_read += bytes,
                    Space::Shared => counters.shared_bytes_read += bytes,
                    Space::Local | Space::Param => {}
                }
            }
            Op::Store { access, regs, .. } => {
                let bytes = executed.threads * u64::from(access.bytes) * u64::from(regs.len);
                match access.space {
                    Space::Global | Space::Generic => counters.global_bytes_written += bytes,
                    Space::Shared => counters.shared_bytes_written += bytes,
                    Space::Local | Space::Param => {}
                }
            }
            Op::LoadMatrix { regs, .. } => counters.shared_bytes_read += executed.warps * 128 * u64::from(regs.len),
            Op::CopyAsync { bytes, .. } => {
                counters.async_copy_bytes += executed.threads * u64::from(bytes);
                counters.shared_bytes_written += executed.threads * u64::from(bytes);
            }
            Op::Atomic { .. } => counters.atomics += executed.threads,
            Op::Mma { kind, .. } => {
                let (MatrixKind::Int8 { k, .. } | MatrixKind::F16 { k } | MatrixKind::BF16 { k }) = kind;
                counters.mma += executed.warps;
                counters.macs += executed.warps * 16 * 8 * u64::from(k);
            }
            Op::Barrier { .. } => counters.barriers += executed.warps,
            _ => {}
        }
    }
    counters
}
