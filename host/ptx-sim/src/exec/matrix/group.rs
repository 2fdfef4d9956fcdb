//! Warpgroups: four warps that execute the same wgmma instructions in the same order (PTX ISA 9.7.15.1).
//!
//! The first warp that comes to an instruction says what it is; the others are held against it. The operands in
//! shared memory are read for all four, once, no later than the first of them waits: a wgmma-group is complete
//! for the whole warpgroup when it is for one of its warps.

use std::collections::VecDeque;

use crate::exec::context::{Context, Stopped, Who};
use crate::exec::order::{Agent, Clock};
use crate::exec::shadow::FlightId;
use crate::exec::warp::Warp;
use crate::fault::FaultKind;

/// Warps of a warpgroup.
pub(super) const WARPS: usize = 4;

/// Operands of one product in shared memory, as words; a matrix in registers has none.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    pub(super) a: Vec<u32>,
    pub(super) b: Vec<u32>,
}

/// One product of a warpgroup, until all its warps have waited for it.
#[derive(Debug)]
pub(super) struct Product {
    /// Places of the chunks of A and B in the block's shared memory.
    pub(super) chunks: [Vec<u32>; 2],
    pub(super) tiles: Option<Tiles>,
    /// The lock on the operands, until the first warp has waited.
    pub(super) flight: Option<FlightId>,
    /// What comes before all that a warp does behind its wait.
    pub(super) clock: Clock,
    /// Warps that have not waited yet.
    left: usize,
}

/// One instruction of the sequence.
#[derive(Debug)]
struct Step {
    pc: u32,
    /// What has to be the same in all warps besides: descriptors and whether accumulators are added.
    arguments: [u64; 3],
    /// The warp that came first.
    warp: u32,
    /// Where its product is kept.
    slot: Option<usize>,
}

/// One warpgroup.
#[derive(Debug, Default)]
struct Group {
    /// Who reads shared memory on its behalf.
    agent: Option<Agent>,
    /// Steps that not all warps have taken yet; `base` were taken before.
    steps: VecDeque<Step>,
    base: u64,
    taken: [u64; WARPS],
    /// Where its newest product is kept, while that is in flight.
    newest: Option<usize>,
}

/// The warpgroups of a block.
#[derive(Debug, Default)]
pub(crate) struct Warpgroups {
    /// Registers a thread that warps have given back.
    pub(super) pool: u32,
    groups: Vec<Group>,
    products: Vec<Option<Product>>,
    free: Vec<usize>,
}

impl Warpgroups {
    /// For a new block.
    pub(crate) fn clear(&mut self) {
        self.pool = 0;
        self.groups.clear();
        self.products.clear();
        self.free.clear();
    }

    fn group(&mut self, warp: &Warp) -> &mut Group {
        let index = warp.index as usize / WARPS;
        if self.groups.len() <= index {
            self.groups.resize_with(index + 1, Group::default);
        }
        &mut self.groups[index]
    }

    pub(super) fn product(&mut self, slot: usize) -> Option<&mut Product> {
        self.products.get_mut(slot)?.as_mut()
    }

    /// Keeps a product for `left` warps.
    fn keep(&mut self, chunks: [Vec<u32>; 2], left: usize) -> usize {
        let product = Product { chunks, tiles: None, flight: None, clock: Clock::default(), left };
        match self.free.pop() {
            Some(slot) => {
                self.products[slot] = Some(product);
                slot
            }
            None => {
                self.products.push(Some(product));
                self.products.len() - 1
            }
        }
    }

    /// A warp has waited for the product.
    pub(super) fn leave(&mut self, slot: usize) {
        let Some(product) = self.product(slot) else { return };
        product.left -= 1;
        if product.left == 0 {
            self.products[slot] = None;
            self.free.push(slot);
            let gone = self.groups.iter_mut().filter(|group| group.newest == Some(slot));
            gone.for_each(|group| group.newest = None);
        }
    }
}

/// The agent that reads shared memory for the warpgroup of `warp`.
pub(super) fn agent(cx: &mut Context<'_>, warp: &Warp) -> Agent {
    let rank = cx.rank;
    if let Some(agent) = cx.shared[rank].tensor.group(warp).agent {
        return agent;
    }
    let agent = cx.order.new_agent();
    cx.shared[rank].tensor.group(warp).agent = Some(agent);
    agent
}

/// Where the product of an instruction is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The warp is the first one to come here.
    First,
    Again(usize),
}

/// `warp` executes the instruction at its place with these arguments.
pub(super) fn take(cx: &mut Context<'_>, warp: &Warp, arguments: [u64; 3]) -> Result<Taken, Stopped> {
    let (pc, rank, member) = (warp.pc as u32, cx.rank, warp.index as usize % WARPS);
    let last_thread = (warp.index / WARPS as u32 + 1) * 128;
    if last_thread > cx.grid.threads {
        let explanation = format!(
            "warps {} to {} are no whole warpgroup: the block has {} threads",
            last_thread / 32 - 4,
            last_thread / 32 - 1,
            cx.grid.threads
        );
        return Err(cx.fault(FaultKind::Wgmma, warp.pc, Who::warp(warp.index), explanation));
    }
    let group = cx.shared[rank].tensor.group(warp);
    let position = group.taken[member];
    group.taken[member] += 1;
    let at = (position - group.base) as usize;
    let (first, taken) = match group.steps.get(at) {
        None => {
            group.steps.push_back(Step { pc, arguments, warp: warp.index, slot: None });
            return Ok(Taken::First);
        }
        Some(step) => ((step.pc, step.arguments, step.warp), step.slot),
    };
    while group.taken.iter().all(|taken| *taken > group.base) {
        group.steps.pop_front();
        group.base += 1;
    }
    if (first.0, first.1) == (pc, arguments) {
        return Ok(taken.map_or(Taken::First, Taken::Again));
    }
    if !cx.grid.launch.checks.sync {
        // Each goes its own way.
        return Ok(Taken::First);
    }
    let what =
        if first.0 != pc { "another instruction" } else { "the same instruction with another descriptor or scale-d" };
    let explanation = format!(
        "all four warps of a warpgroup have to execute the same wgmma instructions in the same order; as the one \
         of this number, warp {} executed {what}",
        first.2
    );
    let mut fault = cx.fault(FaultKind::Wgmma, warp.pc, Who::warp(warp.index), explanation);
    fault.other = Some(cx.party(cx.agent(rank, first.2), u32::MAX, first.0 as usize));
    Err(fault)
}

/// Takes over the lock of the newest product of the warpgroup of `warp` if that has the same operands: nobody can
/// have written to them since, and they stay locked for the newer one. So a long chain costs one lock.
pub(super) fn inherit(cx: &mut Context<'_>, warp: &Warp, chunks: &[Vec<u32>; 2]) -> Option<FlightId> {
    let tensor = &mut cx.shared[cx.rank].tensor;
    let newest = tensor.group(warp).newest?;
    let product = tensor.product(newest).filter(|product| product.chunks == *chunks)?;
    product.flight.take()
}

/// Keeps the product of the instruction that `warp` has just been the first to come to.
pub(super) fn begin(cx: &mut Context<'_>, warp: &Warp, chunks: [Vec<u32>; 2]) -> usize {
    let tensor = &mut cx.shared[cx.rank].tensor;
    let group = tensor.group(warp);
    let at = group.taken[warp.index as usize % WARPS].wrapping_sub(1 + group.base) as usize;
    let own = group.steps.get(at).is_some_and(|step| step.warp == warp.index && step.slot.is_none());
    let slot = tensor.keep(chunks, if own { WARPS } else { 1 });
    let group = tensor.group(warp);
    group.newest = Some(slot);
    if own && let Some(step) = group.steps.get_mut(at) {
        step.slot = Some(slot);
    }
    slot
}

/// All warps of a block have exited: those of a warpgroup must have executed as many instructions.
pub(crate) fn check_end(cx: &Context<'_>) -> Result<(), Stopped> {
    if !cx.grid.launch.checks.sync {
        return Ok(());
    }
    for (index, group) in cx.shared[cx.rank].tensor.groups.iter().enumerate() {
        let Some(step) = group.steps.front() else { continue };
        let missing = group.taken.iter().position(|taken| *taken == group.base).unwrap_or(0);
        let warp = (index * WARPS + missing) as u32;
        let explanation = format!(
            "all four warps of a warpgroup have to execute this; warp {} did, warp {warp} exited without it",
            step.warp
        );
        let mut fault = cx.fault(FaultKind::Wgmma, step.pc as usize, Who::warp(warp), explanation);
        fault.other = Some(cx.party(cx.agent(cx.rank, step.warp), u32::MAX, step.pc as usize));
        return Err(fault);
    }
    Ok(())
}
