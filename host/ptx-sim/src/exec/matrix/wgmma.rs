//! `wgmma`: issue, fence, commit, wait.

use super::descriptor::{CHUNK, Descriptor};
use super::group::{self, Taken};
use super::land;
use super::pending::{Issued, check_registers, product_at, watched};
use crate::exec::asynchronous::{Sender, fenced};
use crate::exec::context::{Context, Place, Stopped, Who};
use crate::exec::hazards::found_by;
use crate::exec::lanes::ALL;
use crate::exec::order::{Strong, Tag};
use crate::exec::shadow::{Flight, FlightId};
use crate::exec::shared;
use crate::exec::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::matrix::{Matrix, Scale};
use crate::ir::op::Reg;
use crate::ir::wgmma::{GROUP_ROWS, Wgmma};
use crate::launch::Schedule;

/// Stands for a matrix in registers among the arguments of an instruction.
const NO_DESCRIPTOR: u64 = u64::MAX;

fn fault<T>(warp: &Warp, cx: &Context<'_>, explanation: String) -> Result<T, Stopped> {
    Err(cx.fault(FaultKind::Wgmma, warp.pc, Who::warp(warp.index), explanation))
}

/// One of the instructions that are all of a warpgroup's.
pub(super) fn wgmma(warp: &mut Warp, cx: &mut Context<'_>, op: &Matrix) -> Result<(), Stopped> {
    match *op {
        Matrix::Asynchronous { product, watched, a, b, scale, .. } => issue(warp, cx, product, watched, [a, b], scale),
        Matrix::Fence => {
            group::take(cx, warp, [0; 3])?;
            warp.tensor.fence();
            Ok(())
        }
        Matrix::Commit => {
            group::take(cx, warp, [0; 3])?;
            let committed = warp.tensor.committed;
            let open = warp.tensor.queue.iter_mut().filter(|issued| issued.group.is_none());
            open.for_each(|issued| issued.group = Some(committed));
            warp.tensor.committed += 1;
            Ok(())
        }
        Matrix::Wait { pending, .. } => {
            group::take(cx, warp, [0; 3])?;
            wait(warp, cx, u64::from(pending))
        }
        _ => Ok(()),
    }
}

/// The value that all lanes have in a 64-bit register.
fn uniform(warp: &Warp, cx: &Context<'_>, reg: Reg, which: &str) -> Result<u64, Stopped> {
    let values = warp.files.r64(reg);
    if values.iter().all(|value| *value == values[0]) {
        return Ok(values[0]);
    }
    fault(warp, cx, format!("the threads have different descriptors of {which}"))
}

fn issue(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    product: Wgmma,
    start: u32,
    [a, b]: [Reg; 2],
    scale: Scale,
) -> Result<(), Stopped> {
    let a = if product.a_in_registers { NO_DESCRIPTOR } else { uniform(warp, cx, a, "A")? };
    let b = uniform(warp, cx, b, "B")?;
    let adds = match scale {
        Scale::Always => true,
        Scale::Never => false,
        Scale::Where(reg, negated) => match warp.files.pred(reg) ^ if negated { ALL } else { 0 } {
            ALL => true,
            0 => false,
            mixed => return fault(warp, cx, format!("scale-d holds in lanes {mixed:#010x} (a mask) only")),
        },
    };
    check_registers(warp, cx, product, start)?;
    let slot = match group::take(cx, warp, [a, b, u64::from(adds)])? {
        Taken::Again(slot) => slot,
        Taken::First => {
            let a_chunks = match product.a_in_registers {
                true => Vec::new(),
                false => chunks(warp, cx, ("A", a), GROUP_ROWS, product.a.bits(), product.a_transposed)?,
            };
            let columns = usize::from(product.n);
            let b_chunks = chunks(warp, cx, ("B", b), columns, product.b.bits(), product.b_transposed)?;
            lock(warp, cx, [a_chunks, b_chunks])?
        }
    };
    let (d, a) = watched(cx, product, start);
    warp.tensor.queue.push_back(Issued { slot, pc: warp.pc, adds, group: None, landed: false });
    warp.tensor.own(d);
    warp.tensor.own(a);
    if lands_now(warp, cx) {
        (0..warp.tensor.queue.len()).for_each(|index| land::land(warp, cx, index));
    }
    Ok(())
}

/// Places in shared memory of the chunks that a descriptor names.
fn chunks(
    warp: &Warp,
    cx: &Context<'_>,
    (which, bits): (&str, u64),
    rows: usize,
    element: usize,
    transposed: bool,
) -> Result<Vec<u32>, Stopped> {
    let Some(descriptor) = Descriptor::decode(bits) else {
        return fault(warp, cx, format!("the descriptor of {which}, {bits:#018x}, has bits that belong to no field"));
    };
    if cx.shared.len() > 1 && descriptor.holds_rank(cx.rank, transposed) {
        let what = "has the block's rank where the leading offset belongs: of a shared address it takes 18 bits";
        return fault(warp, cx, format!("the descriptor of {which}, {bits:#018x}, {what}"));
    }
    let mut chunks = descriptor.chunks(rows, element, transposed);
    for chunk in &mut chunks {
        let at = u64::from(*chunk);
        let Some(place) = cx.shared_place(at, CHUNK) else {
            let mut fault = shared::outside(cx, warp, warp.pc, 0, at, CHUNK);
            fault.explanation = format!("matrix {which} of descriptor {bits:#018x}: {}", fault.explanation);
            return Err(fault);
        };
        *chunk = place.at as u32;
    }
    Ok(chunks)
}

/// Checks that the operands may be read from now on, and locks them.
fn lock(warp: &Warp, cx: &mut Context<'_>, chunks: [Vec<u32>; 2]) -> Result<usize, Stopped> {
    let (rank, pc) = (cx.rank, warp.pc);
    if let Some(flight) = group::inherit(cx, warp, &chunks) {
        return Ok(keep(warp, cx, chunks, flight));
    }
    let mut ranges = Vec::with_capacity(64);
    chunks.iter().for_each(|chunks| merge(chunks, &mut ranges));
    let agent = group::agent(cx, warp);
    let flight = cx.flights.begin(Flight { agent: warp.agent, lanes: ALL, pc: pc as u32, what: "a wgmma" });
    let actor = shared::actor(warp, cx, pc, rank, ALL, Strong::default());
    let memory = &mut cx.shared[rank];
    let event = memory.shadow.landing(&cx.order, (agent, 1), (warp.agent, ALL), pc);
    let tag = Tag::lane(event, 0);
    for (at, len) in ranges.iter().copied() {
        if let Err(found) = memory.shadow.begin_read(&cx.order, &actor, tag, (at, len), flight) {
            return Err(found_by(cx, warp, pc, 0, rank, found, len));
        }
    }
    // A store that no barrier orders is a race whether it was fenced or not, so that comes first.
    for (at, len) in ranges {
        fenced(cx, Sender::of(warp, 0), Place { rank, at }, len)?;
    }
    Ok(keep(warp, cx, chunks, flight))
}

/// Keeps a product whose operands `flight` locks.
fn keep(warp: &Warp, cx: &mut Context<'_>, chunks: [Vec<u32>; 2], flight: FlightId) -> usize {
    let slot = group::begin(cx, warp, chunks);
    if let Some(product) = cx.shared[cx.rank].tensor.product(slot) {
        product.flight = Some(flight);
    }
    slot
}

/// Adds ranges that cover `chunks`: neighbours, as they follow each other, become one.
fn merge(chunks: &[u32], ranges: &mut Vec<(usize, usize)>) {
    let mut current: Option<(usize, usize)> = None;
    for chunk in chunks {
        let at = *chunk as usize;
        current = Some(match current {
            Some((start, len)) if at == start + len => (start, len + CHUNK),
            Some((start, len)) if at + CHUNK == start => (at, len + CHUNK),
            Some(range) => {
                ranges.push(range);
                (at, CHUNK)
            }
            None => (at, CHUNK),
        });
    }
    ranges.extend(current);
}

/// Whether the schedule lets results arrive at the issue already.
fn lands_now(warp: &Warp, cx: &Context<'_>) -> bool {
    match cx.grid.launch.schedule {
        Schedule::Late => false,
        Schedule::Eager => true,
        Schedule::Random(seed) => {
            let [x, y, z] = cx.block.map(u64::from);
            let place = x ^ y << 20 ^ z << 40 ^ u64::from(warp.index) << 56;
            let mixed = (seed ^ place ^ warp.steps << 8).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 63 == 1
        }
    }
}

/// `wgmma.wait_group`: all but the `open` newest groups are complete behind it.
fn wait(warp: &mut Warp, cx: &mut Context<'_>, open: u64) -> Result<(), Stopped> {
    while let Some(issued) = warp.tensor.queue.front().copied() {
        let Some(group) = issued.group.filter(|group| warp.tensor.committed - group > open) else { break };
        debug_assert!(group < warp.tensor.committed);
        land::land(warp, cx, 0);
        complete(warp, cx, issued);
        if let Some((product, _, start)) = product_at(cx, issued.pc) {
            let (d, a) = watched(cx, product, start);
            let numbers = [d, a].concat();
            warp.tensor.retire(&numbers);
        }
    }
    Ok(())
}

/// The warp knows that the product is complete: the operands may be written again behind this.
fn complete(warp: &Warp, cx: &mut Context<'_>, issued: Issued) {
    let rank = cx.rank;
    let agent = group::agent(cx, warp);
    let flight = cx.shared[rank].tensor.product(issued.slot).and_then(|product| product.flight.take());
    if let Some(flight) = flight {
        let actor = shared::actor(warp, cx, issued.pc, rank, ALL, Strong::default());
        let memory = &mut cx.shared[rank];
        let event = memory.shadow.landing(&cx.order, (agent, 1), (warp.agent, ALL), issued.pc);
        memory.shadow.end_read(&cx.order, &actor, Tag::lane(event, 0), flight);
        cx.flights.end(flight);
        let clock = cx.order.release(agent, 1);
        if let Some(product) = cx.shared[rank].tensor.product(issued.slot) {
            product.clock = clock;
        }
    }
    let memory = &mut cx.shared[rank];
    if let Some(product) = memory.tensor.product(issued.slot) {
        cx.order.acquire(warp.agent, ALL, &product.clock);
    }
    memory.tensor.leave(issued.slot);
}
