//! `cp.async.bulk.tensor` and `tensormap.*`.

use rustc_hash::FxHashMap;

use super::bulk::{Use, load, own_block, store, targets, touch_global};
use super::transfer::{From, Global, Span};
use super::{Sender, place};
use crate::exec::access::{addresses, space_of};
use crate::exec::context::{Context, Place, Stopped, Who};
use crate::exec::gates::{Gate, aligned_gate};
use crate::exec::global::{lookup, misaligned, out_of_bounds};
use crate::exec::hazards::found_by;
use crate::exec::lanes::lanes_of;
use crate::exec::order::Strong;
use crate::exec::shared;
use crate::exec::traffic;
use crate::exec::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::asynchronous::{Async, Way};
use crate::ir::lower::SHARED_BASE;
use crate::ir::op::{Atomic, Reg};
use crate::ir::types::{Space, Type};
use crate::tensor_map::{Field, TENSOR_MAP_ALIGN, TENSOR_MAP_BYTES, TENSOR_RANK, TensorElement, TensorMap, Tile};

/// What a box's address in shared memory has to be a multiple of.
const BOX_ALIGN: u64 = 128;

/// A map in global memory that this cluster has changed.
#[derive(Debug)]
struct Changed {
    by: Sender,
    time: u32,
    /// Whether the change was released to the proxy that reads maps.
    released: bool,
    /// Lanes that have acquired it there, and when.
    acquired: Vec<(Sender, u32)>,
}

/// The maps that this cluster has changed, by address.
#[derive(Debug, Default)]
pub(super) struct Maps(FxHashMap<u64, Changed>);

impl Maps {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// `fence.proxy.tensormap::generic.release`: the thread's changes of maps reach the proxy that reads maps.
pub(super) fn release(warp: &Warp, cx: &mut Context<'_>, active: u32) {
    for changed in cx.asynchronous.maps.0.values_mut() {
        changed.released |= changed.by.agent == warp.agent && active >> changed.by.lane & 1 == 1;
    }
    cx.order.advance(warp.agent);
}

/// `fence.proxy.tensormap::generic.acquire`.
pub(super) fn acquire(warp: &Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<(), Stopped> {
    let Async::TensorAcquire { map } = *op else { return Ok(()) };
    let time = cx.order.time(warp.agent);
    for lane in lanes_of(active) {
        let address = warp.files.r64(map)[lane];
        if space_of(address).0 != Space::Global || lookup(cx, warp.pc, address, TENSOR_MAP_BYTES).is_none() {
            return Err(out_of_bounds(cx, warp, warp.pc, lane, address, TENSOR_MAP_BYTES));
        }
        let by = Sender::of(warp, lane);
        if let Some(changed) = cx.asynchronous.maps.0.get(&address) {
            // The lanes of one warp change a map together, in one aligned instruction.
            let ordered = changed.by.agent == warp.agent
                || cx.order.ordered(changed.by.agent, changed.time, 1 << changed.by.lane, warp.agent, lane as u32);
            if changed.released
                && ordered
                && let Some(changed) = cx.asynchronous.maps.0.get_mut(&address)
            {
                changed.acquired.push((by, time));
            }
        }
    }
    cx.order.advance(warp.agent);
    Ok(())
}

/// The map at a generic address, as `lane` sees it.
fn map_at(warp: &Warp, cx: &mut Context<'_>, lane: usize, address: u64) -> Result<TensorMap, Stopped> {
    if !address.is_multiple_of(TENSOR_MAP_ALIGN) {
        return Err(misaligned(cx, warp, warp.pc, lane, address, TENSOR_MAP_ALIGN as usize));
    }
    let mut bytes = [0; TENSOR_MAP_BYTES];
    match space_of(address) {
        (Space::Param, start) => {
            let start = (address - start) as usize;
            let params = cx.grid.launch.params;
            match start.checked_add(TENSOR_MAP_BYTES).and_then(|end| params.get(start..end)) {
                Some(map) => bytes.copy_from_slice(map),
                None => return Err(out_of_bounds(cx, warp, warp.pc, lane, address, TENSOR_MAP_BYTES)),
            }
        }
        (Space::Global, _) => crate::exec::global::read_lane(warp, cx, warp.pc, lane, address, &mut bytes)?,
        _ => {
            let who = Who::access(warp.index, lane, address, TENSOR_MAP_BYTES);
            let explanation = "a tensor map has to lie in .param, .const or .global memory".to_owned();
            return Err(cx.fault(FaultKind::OutOfBounds, warp.pc, who, explanation));
        }
    }
    if cx.grid.launch.checks.asynchrony
        && let Some(changed) = cx.asynchronous.maps.0.get(&address)
    {
        let seen = changed
            .acquired
            .iter()
            .any(|(by, time)| cx.order.ordered(by.agent, *time, 1 << by.lane, warp.agent, lane as u32));
        if !seen {
            let who = Who::access(warp.index, lane, address, TENSOR_MAP_BYTES);
            let missing = if changed.released {
                "acquire by a thread that is"
            } else {
                "release by the thread that changed it, and its acquire"
            };
            let explanation = format!(
                "this map was changed by the kernel; a fence.proxy.tensormap::generic.{missing} ordered before this \
                 is missing"
            );
            let mut fault = cx.fault(FaultKind::Proxy, warp.pc, who, explanation);
            fault.other = Some(cx.party(changed.by.agent, 1 << changed.by.lane, changed.by.pc));
            return Err(fault);
        }
    }
    TensorMap::decode(&bytes).map_err(|error| {
        let who = Who::access(warp.index, lane, address, TENSOR_MAP_BYTES);
        cx.fault(FaultKind::Undefined, warp.pc, who, format!("the tensor map is wrong: {error}"))
    })
}

/// The type in which a reduction works on elements of a map.
fn reduced(op: Atomic, element: TensorElement) -> Option<Type> {
    use TensorElement as E;
    Some(match (op, element) {
        (Atomic::Inc | Atomic::Dec, E::U32) => Type::U32,
        (Atomic::Inc | Atomic::Dec, _) => return None,
        (Atomic::And | Atomic::Or | Atomic::Xor, E::U32 | E::S32) => Type::B32,
        (Atomic::And | Atomic::Or | Atomic::Xor, E::U64 | E::S64) => Type::B64,
        (Atomic::Add | Atomic::Min | Atomic::Max, E::U32) => Type::U32,
        (Atomic::Add | Atomic::Min | Atomic::Max, E::S32) => Type::S32,
        (Atomic::Add | Atomic::Min | Atomic::Max, E::U64) => Type::U64,
        (Atomic::Min | Atomic::Max, E::S64) => Type::S64,
        (Atomic::Add, E::F32 | E::F32Ftz) => Type::F32,
        (Atomic::Add | Atomic::Min | Atomic::Max, E::F16) => Type::F16,
        (Atomic::Add | Atomic::Min | Atomic::Max, E::BF16) => Type::BF16,
        _ => return None,
    })
}

/// Where the box at `base` lies in the shared memory of one block.
fn span(tile: &Tile, base: Place, bytes: usize) -> Span {
    let mut pieces: Vec<(usize, usize, usize)> = Vec::new();
    let start = base.at as u32 + SHARED_BASE;
    for row in tile.rows() {
        tile.places(start, &row, |bytes, address| {
            let (first, at) = (row.start as usize + bytes.start, (address - SHARED_BASE) as usize);
            match pieces.last_mut() {
                Some((data, place, len)) if *data + *len == first && *place + *len == at => *len += bytes.len(),
                _ => pieces.push((first, at, bytes.len())),
            }
        });
    }
    debug_assert_eq!(pieces.iter().map(|(.., len)| len).sum::<usize>(), bytes);
    Span { rank: base.rank, pieces }
}

/// `cp.async.bulk.tensor`, `cp.reduce.async.bulk.tensor` and the prefetch.
pub(super) fn copy(warp: &Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<(), Stopped> {
    let Async::Tensor { way, reduce, map, coords, shared, bar, blocks } = *op else { return Ok(()) };
    let pool = &cx.grid.program.pool;
    let regs = &pool[coords.start as usize..(coords.start + coords.len) as usize];
    for lane in lanes_of(active) {
        let wide = |reg: Reg| if reg.is_none() { 0 } else { warp.files.r64(reg)[lane] };
        let undefined = |cx: &Context<'_>, what: String| {
            Err(cx.fault(FaultKind::Undefined, warp.pc, Who::lane(warp.index, lane), what))
        };
        let map = map_at(warp, cx, lane, wide(map))?;
        if map.rank != coords.len {
            return undefined(cx, format!("{} coordinates for a tensor map of rank {}", coords.len, map.rank));
        }
        if matches!(map.element, TensorElement::Tf32 | TensorElement::Tf32Ftz | TensorElement::F32Ftz) {
            return undefined(
                cx,
                format!("copies of {:?} elements, which are rounded, are not supported", map.element),
            );
        }
        let mut at = [0; TENSOR_RANK];
        for (axis, reg) in regs.iter().enumerate() {
            at[axis] = warp.files.r32(*reg)[lane] as i32;
        }
        let tile = Tile { map, coords: at };
        let bytes = map.box_bytes() as usize;
        let global = Global::Tile(Box::new(tile));
        let what = if matches!(way, Way::Prefetch | Way::ToGlobal) { Use::Look } else { Use::Read };
        // What lies outside of the tensor is not moved.
        let mut inside = 0;
        for (_, address, len) in global.runs(bytes) {
            touch_global(warp, cx, lane, (address, len), what)?;
            inside += len;
        }
        traffic::bulk_global(cx, warp.pc, inside);
        let change = match reduce.map(|op| (op, reduced(op, map.element))) {
            None => None,
            Some((op, Some(ty))) => Some((op, ty)),
            Some((op, None)) => return undefined(cx, format!("{op:?} does not go with elements of {:?}", map.element)),
        };
        match way {
            Way::Prefetch => {}
            Way::ToGlobal => {
                let base = place(warp, cx, lane, wide(shared), (bytes, BOX_ALIGN))?;
                store(warp, cx, lane, span(&tile, base, bytes), (global, bytes), change)?;
            }
            _ => {
                let base = place(warp, cx, lane, wide(shared), (bytes, BOX_ALIGN))?;
                let bar = place(warp, cx, lane, wide(bar), (8, 8))?;
                own_block(warp, cx, lane, way, base)?;
                for rank in targets(warp, cx, lane, blocks, base)? {
                    let span = span(&tile, Place { rank, at: base.at }, bytes);
                    let bar = if blocks.is_none() { bar } else { Place { rank, at: bar.at } };
                    load(warp, cx, lane, (span, bar), (From::Global(global.clone()), bytes), change)?;
                }
            }
        }
    }
    Ok(())
}

/// A map is changed in global memory: copies must not use it until the change was released and acquired.
fn changed(warp: &Warp, cx: &mut Context<'_>, lane: usize, address: u64, released: bool) {
    let by = Sender::of(warp, lane);
    let time = cx.order.time(warp.agent);
    cx.asynchronous.maps.0.insert(address, Changed { by, time, released, acquired: Vec::new() });
}

/// `tensormap.replace`.
pub(super) fn replace(warp: &Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<(), Stopped> {
    let Async::TensorReplace { field, space, addr, value } = *op else { return Ok(()) };
    let at = addresses(warp, addr);
    for lane in lanes_of(active) {
        let value = if field.wide() { warp.files.r64(value)[lane] } else { u64::from(warp.files.r32(value)[lane]) };
        let (found, start) = if space == Space::Generic { space_of(at[lane]) } else { (space, 0) };
        replace_one(warp, cx, lane, (found, at[lane] - start), (field, value))?;
    }
    Ok(())
}

fn replace_one(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    (space, at): (Space, u64),
    (field, value): (Field, u64),
) -> Result<(), Stopped> {
    let mut bytes = [0; TENSOR_MAP_BYTES];
    let wrong = |cx: &Context<'_>, error: crate::tensor_map::TensorMapError| {
        cx.fault(FaultKind::Undefined, warp.pc, Who::access(warp.index, lane, at, TENSOR_MAP_BYTES), error.to_string())
    };
    if space == Space::Shared {
        let place = place(warp, cx, lane, at, (TENSOR_MAP_BYTES, TENSOR_MAP_ALIGN))?;
        let actor = shared::actor(warp, cx, warp.pc, place.rank, 1 << lane, Strong::default());
        let range = (place.at, TENSOR_MAP_BYTES);
        let shadow = &mut cx.shared[place.rank].shadow;
        let found = shadow.update(&cx.order, &actor, actor.lane(lane), range);
        found.map_err(|found| found_by(cx, warp, warp.pc, lane, place.rank, found, TENSOR_MAP_BYTES))?;
        let held = &mut cx.shared[place.rank].bytes[place.at..place.at + TENSOR_MAP_BYTES];
        bytes.copy_from_slice(held);
        let replaced = field.replace(&mut bytes, value);
        held.copy_from_slice(&bytes);
        return replaced.map_err(|error| wrong(cx, error));
    }
    crate::exec::global::read_lane(warp, cx, warp.pc, lane, at, &mut bytes)?;
    if !at.is_multiple_of(TENSOR_MAP_ALIGN) {
        return Err(misaligned(cx, warp, warp.pc, lane, at, TENSOR_MAP_ALIGN as usize));
    }
    field.replace(&mut bytes, value).map_err(|error| wrong(cx, error))?;
    touch_global(warp, cx, lane, (at, TENSOR_MAP_BYTES), Use::Write(&bytes))?;
    super::bulk::write_global(cx, Sender::of(warp, lane), at, &bytes, None)?;
    changed(warp, cx, lane, at, false);
    Ok(())
}

/// `tensormap.cp_fenceproxy`: all lanes together copy one map and release it; `false` if lanes are still missing.
pub(super) fn publish(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<bool, Stopped> {
    let Async::TensorPublish { target, source } = *op else { return Ok(true) };
    if aligned_gate(warp, cx, active)? == Gate::Shut {
        return Ok(false);
    }
    let (to, from) = (addresses(warp, target), addresses(warp, source));
    let lane = active.trailing_zeros() as usize;
    if lanes_of(active).any(|other| to[other] != to[lane] || from[other] != from[lane]) {
        let explanation = "the lanes of the warp name different maps".to_owned();
        return Err(cx.fault(FaultKind::Undefined, warp.pc, Who::warp(warp.index), explanation));
    }
    let place = place(warp, cx, lane, from[lane], (TENSOR_MAP_BYTES, TENSOR_MAP_ALIGN))?;
    let actor = shared::actor(warp, cx, warp.pc, place.rank, active, Strong::default());
    let shadow = &mut cx.shared[place.rank].shadow;
    let found = shadow.read(&cx.order, &actor, actor.all(), place.at, TENSOR_MAP_BYTES);
    found.map_err(|found| found_by(cx, warp, warp.pc, lane, place.rank, found, TENSOR_MAP_BYTES))?;
    let bytes = cx.shared[place.rank].bytes[place.at..place.at + TENSOR_MAP_BYTES].to_vec();
    if !to[lane].is_multiple_of(TENSOR_MAP_ALIGN) {
        return Err(misaligned(cx, warp, warp.pc, lane, to[lane], TENSOR_MAP_ALIGN as usize));
    }
    touch_global(warp, cx, lane, (to[lane], TENSOR_MAP_BYTES), Use::Write(&bytes))?;
    super::bulk::write_global(cx, Sender::of(warp, lane), to[lane], &bytes, None)?;
    changed(warp, cx, lane, to[lane], true);
    Ok(true)
}
