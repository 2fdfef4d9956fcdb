//! Global memory as a warp sees it: every byte is checked against the live allocations.

use super::context::{Context, Stopped, Who};
use super::lanes::{ALL, LANES, Lanes64, lanes_of};
use super::traffic;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::memory::Allocation;

/// Bytes of all lanes of one access, `width` for each lane, lane by lane.
pub(crate) type Stage = [u8; LANES * 32];

/// How the lanes' addresses lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// All lanes at one address.
    Uniform,
    /// Lane after lane without a gap.
    Contiguous,
    /// Anything else, or not all lanes.
    Scattered,
}

#[inline(always)]
pub(crate) fn pattern(mask: u32, addresses: &Lanes64, width: usize) -> Pattern {
    if mask != ALL {
        return Pattern::Scattered;
    }
    // The first step decides which of the two it can be; differences are gathered without branches.
    let first = addresses[0];
    let step = addresses[1].wrapping_sub(first);
    if step != 0 && step != width as u64 {
        return Pattern::Scattered;
    }
    let mut difference = 0;
    let mut expected = first;
    for address in addresses {
        difference |= address ^ expected;
        expected = expected.wrapping_add(step);
    }
    match (difference == 0, step == 0) {
        (false, _) => Pattern::Scattered,
        (true, true) => Pattern::Uniform,
        (true, false) => Pattern::Contiguous,
    }
}

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

/// Loads `width` bytes (a power of two up to 32) for each lane of `mask`.
pub(crate) fn load(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    let (pc, first) = (warp.pc, addresses[0]);
    traffic::global(cx, pc, mask, addresses, width);
    if first.is_multiple_of(width as u64) {
        match pattern(mask, addresses, width) {
            Pattern::Contiguous => {
                if let Some((found, offset)) = lookup(cx, pc, first, LANES * width) {
                    if cx.grid.launch.checks.init
                        && let Some(bad) = found.unwritten(offset, LANES * width)
                    {
                        let lane = (bad - offset) as usize / width;
                        let read = Read { found, offset: offset + (lane * width) as u64, len: width };
                        return Err(uninitialised(cx, warp, pc, lane, read, bad));
                    }
                    found.read(offset, &mut stage[..LANES * width]);
                    return Ok(());
                }
            }
            Pattern::Uniform => {
                if let Some((found, offset)) = lookup(cx, pc, first, width) {
                    initialised(cx, warp, pc, 0, Read { found, offset, len: width })?;
                    found.read(offset, &mut stage[..width]);
                    repeat(stage, width);
                    return Ok(());
                }
            }
            Pattern::Scattered => {}
        }
    }
    for lane in lanes_of(mask) {
        let address = addresses[lane];
        if !address.is_multiple_of(width as u64) {
            return Err(misaligned(cx, warp, pc, lane, address, width));
        }
        let Some((found, offset)) = lookup(cx, pc, address, width) else {
            return Err(out_of_bounds(cx, warp, pc, lane, address, width));
        };
        initialised(cx, warp, pc, lane, Read { found, offset, len: width })?;
        found.read(offset, &mut stage[lane * width..(lane + 1) * width]);
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
    width: usize,
    stage: &Stage,
) -> Result<(), Stopped> {
    let (pc, first) = (warp.pc, addresses[0]);
    traffic::global(cx, pc, mask, addresses, width);
    if first.is_multiple_of(width as u64)
        && pattern(mask, addresses, width) == Pattern::Contiguous
        && let Some((found, offset)) = lookup(cx, pc, first, LANES * width)
    {
        found.write(offset, &stage[..LANES * width]);
        return Ok(());
    }
    for lane in lanes_of(mask) {
        let address = addresses[lane];
        if !address.is_multiple_of(width as u64) {
            return Err(misaligned(cx, warp, pc, lane, address, width));
        }
        let Some((found, offset)) = lookup(cx, pc, address, width) else {
            return Err(out_of_bounds(cx, warp, pc, lane, address, width));
        };
        found.write(offset, &stage[lane * width..(lane + 1) * width]);
    }
    Ok(())
}
