//! Global memory as a warp sees it: every byte is checked against the live allocations.

use super::context::{Context, Stopped, Who};
use super::lanes::{ALL, LANES, Lanes64, lanes_of};
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
    let first = addresses[0];
    let (mut same, mut next) = (true, true);
    for lane in 0..LANES {
        same &= addresses[lane] == first;
        next &= addresses[lane] == first.wrapping_add((lane * width) as u64);
    }
    match (same, next) {
        (true, _) => Pattern::Uniform,
        (_, true) => Pattern::Contiguous,
        _ => Pattern::Scattered,
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
            found.read(offset, out);
            Ok(())
        }
        None => Err(out_of_bounds(cx, warp, pc, lane, address, out.len())),
    }
}

/// Loads `WIDTH` bytes for each lane of `mask`.
#[inline(always)]
pub(crate) fn load<const WIDTH: usize>(
    warp: &Warp,
    cx: &mut Context<'_>,
    pc: usize,
    mask: u32,
    addresses: &Lanes64,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    let first = addresses[0];
    if first.is_multiple_of(WIDTH as u64) {
        match pattern(mask, addresses, WIDTH) {
            Pattern::Contiguous => {
                if let Some((found, offset)) = lookup(cx, pc, first, LANES * WIDTH) {
                    found.read(offset, &mut stage[..LANES * WIDTH]);
                    return Ok(());
                }
            }
            Pattern::Uniform => {
                if let Some((found, offset)) = lookup(cx, pc, first, WIDTH) {
                    let (source, _) = stage.split_at_mut(WIDTH);
                    found.read(offset, source);
                    for lane in 1..LANES {
                        stage.copy_within(0..WIDTH, lane * WIDTH);
                    }
                    return Ok(());
                }
            }
            Pattern::Scattered => {}
        }
    }
    for lane in lanes_of(mask) {
        let address = addresses[lane];
        if !address.is_multiple_of(WIDTH as u64) {
            return Err(misaligned(cx, warp, pc, lane, address, WIDTH));
        }
        let Some((found, offset)) = lookup(cx, pc, address, WIDTH) else {
            return Err(out_of_bounds(cx, warp, pc, lane, address, WIDTH));
        };
        // An aligned access of a power of two never crosses a chunk.
        let (source, _) = found.readable(offset);
        // SAFETY: `lookup` has checked that `WIDTH` bytes lie in the allocation; they lie in one chunk. A kernel
        // that races on them races here too; bytes have no invalid values.
        let bytes = unsafe { source.cast::<[u8; WIDTH]>().read_unaligned() };
        stage[lane * WIDTH..(lane + 1) * WIDTH].copy_from_slice(&bytes);
    }
    Ok(())
}

/// Stores `WIDTH` bytes for each lane of `mask`; of lanes that share an address the highest wins.
#[inline(always)]
pub(crate) fn store<const WIDTH: usize>(
    warp: &Warp,
    cx: &mut Context<'_>,
    pc: usize,
    mask: u32,
    addresses: &Lanes64,
    stage: &Stage,
) -> Result<(), Stopped> {
    let first = addresses[0];
    if first.is_multiple_of(WIDTH as u64)
        && pattern(mask, addresses, WIDTH) == Pattern::Contiguous
        && let Some((found, offset)) = lookup(cx, pc, first, LANES * WIDTH)
    {
        found.write(offset, &stage[..LANES * WIDTH]);
        return Ok(());
    }
    for lane in lanes_of(mask) {
        let address = addresses[lane];
        if !address.is_multiple_of(WIDTH as u64) {
            return Err(misaligned(cx, warp, pc, lane, address, WIDTH));
        }
        let Some((found, offset)) = lookup(cx, pc, address, WIDTH) else {
            return Err(out_of_bounds(cx, warp, pc, lane, address, WIDTH));
        };
        let mut bytes = [0; WIDTH];
        bytes.copy_from_slice(&stage[lane * WIDTH..(lane + 1) * WIDTH]);
        let (target, _) = found.writable(offset);
        // SAFETY: as in `load`.
        unsafe { target.cast::<[u8; WIDTH]>().write_unaligned(bytes) };
    }
    Ok(())
}
