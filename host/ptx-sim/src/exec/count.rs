//! From what each place of the code was counted for to the counts of a launch and of each instruction.

use rustc_hash::FxHashMap;

use super::context::{Executed, Grid};
use super::traffic::Moved;
use crate::counters::{Counters, Way};
use crate::ir::asynchronous::{Async, Way as Between};
use crate::ir::matrix::{Matrix, Sum};
use crate::ir::op::Op;
use crate::profile::Row;

/// What the workers have counted over their blocks, for each place of the code.
pub(super) struct Tally {
    places: Vec<(Executed, Moved)>,
}

impl Tally {
    /// Nothing yet, for a code of `places` operations.
    pub(super) fn new(places: usize) -> Self {
        Self { places: vec![Default::default(); places] }
    }

    /// Adds one worker's counts.
    pub(super) fn add(&mut self, executed: &[Executed], moved: &[Moved]) {
        for ((sum, sum_moved), (count, moved)) in self.places.iter_mut().zip(executed.iter().zip(moved)) {
            sum.warps += count.warps;
            sum.threads += count.threads;
            sum.guarded_off += count.guarded_off;
            sum.divergent += count.divergent;
            sum_moved.add(moved);
        }
    }
}

/// How an operation goes to memory.
fn way(op: &Op) -> Option<Way> {
    match op {
        Op::Load { .. } | Op::Matrix(Matrix::Load { .. }) => Some(Way::Load),
        Op::Store { .. } | Op::Matrix(Matrix::Store { .. }) => Some(Way::Store),
        Op::AtomicPair(_) => Some(Way::Atomic),
        Op::Atomic { d, .. } => Some(if d.is_none() { Way::Reduction } else { Way::Atomic }),
        Op::CopyAsync { .. } => Some(Way::Copy),
        Op::Async(Async::Bulk { way, .. } | Async::Tensor { way, .. }) => match way {
            Between::ToBlock | Between::ToCluster | Between::Between => Some(Way::BulkLoad),
            Between::ToGlobal => Some(Way::BulkStore),
            Between::Prefetch => None,
        },
        Op::Async(Async::Store { .. }) => Some(Way::Store),
        Op::Async(Async::Reduce { .. }) => Some(Way::Reduction),
        _ => None,
    }
}

/// A matrix product as it is counted.
struct Product {
    /// `wgmma` instead of `mma`.
    asynchronous: bool,
    integer: bool,
    macs: u64,
}

/// What one warp does with a matrix product.
fn product(op: &Op) -> Option<Product> {
    let (asynchronous, sum, macs) = match op {
        Op::Matrix(Matrix::Multiply { product, .. }) => (false, product.sum, product.macs()),
        Op::Matrix(Matrix::Asynchronous { product, .. }) => (true, product.sum, product.macs_of_warp()),
        _ => return None,
    };
    Some(Product { asynchronous, integer: sum == Sum::S32, macs })
}

/// The counters of a launch over `blocks` blocks, and what each instruction did if the launch asks for it.
pub(super) fn count(grid: &Grid<'_>, blocks: u64, tally: &Tally) -> (Counters, Vec<Row>) {
    let mut counters = Counters { launches: 1, blocks, ..Counters::default() };
    let mut rows: Vec<Row> = Vec::new();
    // Statements by line and text: a line can hold several, and a function that is called twice is there twice.
    let mut numbers: FxHashMap<(u32, &str), usize> = FxHashMap::default();
    for (pc, (executed, moved)) in tally.places.iter().enumerate() {
        let (op, origin) = (&grid.program.code[pc].op, &grid.program.origins[pc]);
        let product = product(op);
        let macs = product.as_ref().map_or(0, |product| product.macs * executed.warps);
        if let Some(way) = way(op) {
            counters.global.put(way, &moved.global);
            counters.shared.put(way, &moved.shared);
            counters.remote.put(way, &moved.remote);
            counters.local.put(way, &moved.local);
        }
        if let Some(class) = origin.class {
            counters.warp_instructions += executed.warps;
            counters.thread_instructions += executed.threads;
            counters.guarded_off += executed.guarded_off;
            counters.by_class[class as usize] += executed.warps;
        }
        if let Some(product) = product {
            match product.asynchronous {
                true => counters.wgmma += executed.warps,
                false => counters.mma += executed.warps,
            }
            counters.mma_integer += if product.integer && !product.asynchronous { executed.warps } else { 0 };
            counters.macs += macs;
        }
        match op {
            Op::Atomic { .. } | Op::AtomicPair(_) => counters.atomics += executed.threads,
            Op::Barrier { .. } => counters.barriers += executed.warps,
            _ => {}
        }
        counters.divergent_branches += executed.divergent;

        if !grid.launch.listing {
            continue;
        }
        // The first operation of a statement stands for it; joins and jumps between blocks stand for none.
        let number = match (origin.class, numbers.get(&(origin.line, origin.text.as_str()))) {
            (_, Some(number)) => *number,
            (None, None) => continue,
            (Some(class), None) => {
                numbers.insert((origin.line, &origin.text), rows.len());
                rows.push(Row {
                    ptx_line: origin.line,
                    instruction: origin.text.clone(),
                    source: grid.source(pc),
                    class,
                    warps: 0,
                    threads: 0,
                    guarded_off: 0,
                    divergent: 0,
                    macs: 0,
                    global: Default::default(),
                    shared: Default::default(),
                    remote: Default::default(),
                    local: Default::default(),
                });
                rows.len() - 1
            }
        };
        let row = &mut rows[number];
        if origin.class.is_some() {
            row.warps += executed.warps;
            row.threads += executed.threads;
            row.guarded_off += executed.guarded_off;
        }
        row.divergent += executed.divergent;
        row.macs += macs;
        row.global.add(&moved.global);
        row.shared.add(&moved.shared);
        row.remote.add(&moved.remote);
        row.local.add(&moved.local);
    }
    rows.sort_by_key(|row| row.ptx_line);
    let (global, shared) = (&counters.global, &counters.shared);
    counters.global_bytes_read = global.any(&[Way::Load, Way::Copy, Way::BulkLoad]).bytes;
    counters.global_bytes_written = global.any(&[Way::Store, Way::BulkStore]).bytes;
    counters.shared_bytes_read = shared.any(&[Way::Load, Way::BulkStore]).bytes;
    counters.shared_bytes_written = shared.any(&[Way::Store, Way::Copy, Way::BulkLoad]).bytes;
    counters.async_copy_bytes = shared.way(Way::Copy).bytes;
    let bulk = [Way::BulkLoad, Way::BulkStore];
    counters.bulk_copy_bytes = shared.any(&bulk).bytes + counters.remote.any(&bulk).bytes;
    (counters, rows)
}
