//! Global memory as a warp sees it: every byte is checked against the live allocations.

use super::context::{Context, Stopped, Who};
use super::groups::{Group, in_groups};
use super::hazards::unread;
use super::lanes::{LANES, Lanes64, lanes_of};
use super::races::{self, Deed, Kind, Span, Strength};
use super::shared::Manner;
use super::traffic;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::memory::Allocation;

/// Bytes of all lanes of one access, `width` for each lane, lane by lane.
pub(crate) type Stage = [u8; LANES * 32];

/// The allocation that holds `len` bytes at `address`, and the offset in it.
#[inline(always)]
pub(crate) fn lookup<'g>(cx: &mut Context<'g>, pc: usize, address: u64, len: usize) -> Option<(&'g Allocation, u64)> {
    let view = &cx.grid.view;
    let inside = |found: &'g Allocation| {
        let offset = address.wrapping_sub(found.base);
        (offset < found.size && len as u64 <= found.size - offset).then_some((found, offset))
    };
    if let Some(hit) = view.get(cx.sites[pc] as usize).and_then(inside) {
        return Some(hit);
    }
    let index = view.find(address)?;
    cx.sites[pc] = index as u32;
    view.get(index).and_then(inside)
}

#[cold]
pub(crate) fn out_of_bounds(
    cx: &Context<'_>,
    warp: &Warp,
    pc: usize,
    lane: usize,
    address: u64,
    len: usize,
) -> Stopped {
    let explanation = format!("the address is {}", cx.grid.memory.describe(address));
    cx.fault(FaultKind::OutOfBounds, pc, Who::access(warp.index, lane, address, len), explanation)
}

#[cold]
pub(crate) fn misaligned(cx: &Context<'_>, warp: &Warp, pc: usize, lane: usize, address: u64, len: usize) -> Stopped {
    let explanation = format!("an access of {len} bytes needs an address that is a multiple of {len}");
    cx.fault(FaultKind::Misaligned, pc, Who::access(warp.index, lane, address, len), explanation)
}

/// A read of bytes that nobody has written: `bad` is the offset of the first of them in `found`.
#[cold]
fn uninitialised(cx: &Context<'_>, warp: &Warp, pc: usize, lane: usize, read: Read<'_>, bad: u64) -> Stopped {
    let Read { found, offset, len } = read;
    let explanation = format!(
        "byte {bad} of the allocation of {} bytes at {:#x} was never written, by the host or by a kernel",
        found.size, found.base
    );
    cx.fault(FaultKind::Uninitialised, pc, Who::access(warp.index, lane, found.base + offset, len), explanation)
}

/// Bytes that are about to be read: `len` of them at `offset` of `found`.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    pub(crate) found: &'a Allocation,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// Stops a read of one lane where the bytes were never written.
#[inline(always)]
pub(crate) fn initialised(
    cx: &Context<'_>,
    warp: &Warp,
    pc: usize,
    lane: usize,
    read: Read<'_>,
) -> Result<(), Stopped> {
    if cx.grid.launch.checks.init
        && let Some(bad) = read.found.unwritten(read.offset, read.len)
    {
        return Err(uninitialised(cx, warp, pc, lane, read, bad));
    }
    Ok(())
}

/// Reads the bytes of one lane at any alignment.
pub(crate) fn read_lane(
    warp: &Warp,
    cx: &mut Context<'_>,
    pc: usize,
    lane: usize,
    address: u64,
    out: &mut [u8],
) -> Result<(), Stopped> {
    match lookup(cx, pc, address, out.len()) {
        Some((found, offset)) => {
            initialised(cx, warp, pc, lane, Read { found, offset, len: out.len() })?;
            found.read(offset, out);
            Ok(())
        }
        None => Err(out_of_bounds(cx, warp, pc, lane, address, out.len())),
    }
}

/// Where the bytes of a group lie, checked for alignment and bounds. Where they lie in no allocation as a whole,
/// the fault is that of the first lane whose own do not.
#[inline(always)]
fn locate<'g>(warp: &Warp, cx: &mut Context<'g>, group: Group, width: usize) -> Result<(&'g Allocation, u64), Stopped> {
    if group.address.is_multiple_of(width as u64)
        && let Some(hit) = lookup(cx, warp.pc, group.address, group.len)
    {
        return Ok(hit);
    }
    Err(not_located(warp, cx, group, width))
}

#[cold]
fn not_located(warp: &Warp, cx: &mut Context<'_>, group: Group, width: usize) -> Stopped {
    let pc = warp.pc;
    if !group.address.is_multiple_of(width as u64) {
        return misaligned(cx, warp, pc, group.first(), group.address, width);
    }
    let place = |index: usize| group.address.wrapping_add((index * width) as u64);
    let index = (0..group.len / width).find(|index| lookup(cx, pc, place(*index), width).is_none()).unwrap_or(0);
    out_of_bounds(cx, warp, pc, group.first() + index, place(index), width)
}

/// The span of a group, for the search for races.
#[inline(always)]
fn span<'g>(group: Group, mask: u32, (found, offset): (&'g Allocation, u64), width: usize) -> Span<'g> {
    let (first, lanes) = if group.shared { (None, group.lanes) } else { (Some(group.first()), mask) };
    Span { found, offset, len: group.len, width, first, lanes }
}

/// Loads `width` bytes (a power of two up to 32) for each lane of `mask`.
pub(crate) fn load(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    manner: Manner,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    traffic::global(cx, warp.pc, mask, addresses, width);
    if manner.order.strong {
        return load_strong(warp, cx, mask, addresses, manner, width, stage);
    }
    in_groups(mask, addresses, width, true, |group| {
        let (found, offset) = locate(warp, cx, group, width)?;
        initialised_group(warp, cx, group, (found, offset), width)?;
        let span = span(group, mask, (found, offset), width);
        races::touch(warp, cx, warp.pc, span, Deed::Read, Strength::WEAK)?;
        let start = group.first() * width;
        found.read(offset, &mut stage[start..start + group.len]);
        if group.shared {
            for lane in lanes_of(group.lanes & (group.lanes - 1)) {
                stage.copy_within(start..start + width, lane * width);
            }
        }
        Ok(())
    })
}

#[inline(always)]
fn initialised_group(
    warp: &Warp,
    cx: &Context<'_>,
    group: Group,
    (found, offset): (&Allocation, u64),
    width: usize,
) -> Result<(), Stopped> {
    if cx.grid.launch.checks.init
        && let Some(bad) = found.unwritten(offset, group.len)
    {
        let index = (bad - offset) as usize / width;
        let read = Read { found, offset: offset + (index * width) as u64, len: width };
        return Err(uninitialised(cx, warp, warp.pc, group.first() + index, read, bad));
    }
    Ok(())
}

/// Loads lane by lane: what is read, and what it acquires, are one step for every other strong access.
#[inline(never)]
fn load_strong(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    manner: Manner,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    for lane in lanes_of(mask) {
        let group = Group::one(lane, addresses[lane], width);
        let (found, offset) = locate(warp, cx, group, width)?;
        initialised(cx, warp, warp.pc, lane, Read { found, offset, len: width })?;
        let strength = Strength::new(manner.order, manner.element);
        races::touch(warp, cx, warp.pc, span(group, mask, (found, offset), width), Deed::Read, strength)?;
        // Each element of a vector is an access of its own.
        let element = usize::from(manner.element);
        for start in (0..width).step_by(element) {
            let out = &mut stage[lane * width + start..][..element];
            let (place, from) = ((addresses[lane] + start as u64, element as u64), offset + start as u64);
            races::strong(warp, cx, lane, place, (Kind::Load, manner.order), || found.read(from, out));
        }
    }
    Ok(())
}

/// Gives all lanes what lane 0 has.
pub(crate) fn repeat(stage: &mut Stage, width: usize) {
    let mut done = width;
    while done < LANES * width {
        stage.copy_within(0..done, done);
        done *= 2;
    }
}

/// Stores `width` bytes (a power of two up to 32) for each lane of `mask`; of lanes that share an address the
/// highest wins.
pub(crate) fn store(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    manner: Manner,
    width: usize,
    stage: &Stage,
) -> Result<(), Stopped> {
    traffic::global(cx, warp.pc, mask, addresses, width);
    if manner.order.strong {
        return store_strong(warp, cx, mask, addresses, manner, width, stage);
    }
    in_groups(mask, addresses, width, false, |group| {
        let (found, offset) = locate(warp, cx, group, width)?;
        let data = &stage[group.first() * width..][..group.len];
        let span = span(group, mask, (found, offset), width);
        unread(cx, warp, warp.pc, group.first(), group.address, group.len)?;
        races::touch(warp, cx, warp.pc, span, Deed::Write(data), Strength::WEAK)?;
        found.write(offset, data);
        if let Some(races) = &cx.grid.races {
            races.forget(group.address, group.len as u64);
        }
        Ok(())
    })
}

#[inline(never)]
fn store_strong(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    manner: Manner,
    width: usize,
    stage: &Stage,
) -> Result<(), Stopped> {
    for lane in lanes_of(mask) {
        let group = Group::one(lane, addresses[lane], width);
        let (found, offset) = locate(warp, cx, group, width)?;
        let data = &stage[lane * width..][..width];
        let strength = Strength::new(manner.order, manner.element);
        unread(cx, warp, warp.pc, lane, addresses[lane], width)?;
        races::touch(warp, cx, warp.pc, span(group, mask, (found, offset), width), Deed::Write(data), strength)?;
        let element = usize::from(manner.element);
        for start in (0..width).step_by(element) {
            let (place, to) = ((addresses[lane] + start as u64, element as u64), offset + start as u64);
            let body = || found.write(to, &data[start..start + element]);
            races::strong(warp, cx, lane, place, (Kind::Store, manner.order), body);
        }
    }
    if manner.order.release {
        cx.order.advance(warp.agent);
    }
    Ok(())
}

/// Notes that lanes of `mask` read the sources of copies, as many bytes as `filled` says, at aligned addresses
/// of up to `width` bytes that were checked.
pub(crate) fn copied(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    filled: &[u8; LANES],
    width: usize,
) -> Result<(), Stopped> {
    let full = lanes_of(mask).filter(|lane| usize::from(filled[*lane]) == width).fold(0, |all, lane| all | 1 << lane);
    let mut touch = |group: Group| match lookup(cx, warp.pc, group.address, group.len) {
        Some(hit) => races::touch(warp, cx, warp.pc, span(group, mask, hit, width), Deed::Read, Strength::WEAK),
        // Lanes of neighbouring addresses, yet of two allocations, cannot be: allocations lie apart.
        None => Ok(()),
    };
    in_groups(full, addresses, width, true, &mut touch)?;
    for lane in lanes_of(mask & !full).filter(|lane| filled[*lane] > 0) {
        touch(Group { len: usize::from(filled[lane]), ..Group::one(lane, addresses[lane], width) })?;
    }
    Ok(())
}
