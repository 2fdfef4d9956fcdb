//! Shared memory as a warp sees it, races included.

use super::context::{Context, Stopped, Who};
use super::global::{Pattern, Stage, misaligned, pattern, repeat};
use super::lanes::{LANES, Lanes64, lanes_of};
use super::race::{Conflict, Found};
use super::traffic;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::lower::SHARED_BASE;

#[cold]
pub(crate) fn outside(cx: &Context<'_>, warp: &Warp, pc: usize, lane: usize, at: u64, len: usize) -> Stopped {
    let (start, end) = (u64::from(SHARED_BASE), u64::from(SHARED_BASE) + cx.shared.len() as u64);
    let explanation = if cx.shared.is_empty() {
        "the block has no shared memory".to_owned()
    } else if at < start {
        format!("the block's shared memory is {start:#x} to {end:#x}; a null or negative offset?")
    } else {
        format!(
            "the block's shared memory is {start:#x} to {end:#x}, {} bytes; was enough of it asked for?",
            end - start
        )
    };
    cx.fault(FaultKind::OutOfBounds, pc, Who::access(warp.index, lane, at, len), explanation)
}

#[cold]
pub(crate) fn race(cx: &Context<'_>, warp: &Warp, pc: usize, lane: usize, found: Found, len: usize) -> Stopped {
    let at = found.at as u64 + u64::from(SHARED_BASE);
    let who = Who::access(warp.index, lane, at, len as u32 as usize);
    let other = found.other;
    let (kind, explanation) = match found.conflict {
        Conflict::InFlight => (
            FaultKind::CopyInFlight,
            format!("warp {other} has sent a cp.async to these bytes of shared memory and not waited for it yet"),
        ),
        Conflict::ReadAfterWrite => (
            FaultKind::SharedRace,
            format!("this reads shared memory that warp {other} wrote since the last barrier; a bar.sync is missing"),
        ),
        Conflict::WriteAfterRead => (
            FaultKind::SharedRace,
            format!("this writes shared memory that warp {other} read since the last barrier; a bar.sync is missing"),
        ),
        Conflict::WriteAfterWrite => (
            FaultKind::SharedRace,
            format!("this writes shared memory that warp {other} wrote since the last barrier; a bar.sync is missing"),
        ),
    };
    cx.fault(kind, pc, who, explanation)
}

/// The lane to which byte `at` of an access belongs.
fn lane_at(cx: &Context<'_>, mask: u32, addresses: &Lanes64, width: usize, at: usize) -> usize {
    let hit = |lane: &usize| {
        cx.shared_place(addresses[*lane], width).is_some_and(|place| (place..place + width).contains(&at))
    };
    lanes_of(mask).find(hit).unwrap_or(0)
}

/// Loads `width` bytes for each lane of `mask`.
pub(crate) fn load(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    let (pc, first) = (warp.pc, addresses[0]);
    traffic::shared(cx, pc, mask, addresses, width);
    let aligned = first.is_multiple_of(width as u64);
    let pattern = if aligned { pattern(mask, addresses, width) } else { Pattern::Scattered };
    let len = if pattern == Pattern::Contiguous { LANES * width } else { width };
    if pattern != Pattern::Scattered
        && let Some(place) = cx.shared_place(first, len)
    {
        if let Some(found) = cx.race.read(place, len, warp.index) {
            return Err(race(cx, warp, pc, lane_at(cx, mask, addresses, width, found.at), found, width));
        }
        stage[..len].copy_from_slice(&cx.shared[place..place + len]);
        if pattern == Pattern::Uniform {
            repeat(stage, width);
        }
        return Ok(());
    }
    for lane in lanes_of(mask) {
        let place = readable(warp, cx, pc, lane, addresses[lane], width)?;
        stage[lane * width..(lane + 1) * width].copy_from_slice(&cx.shared[place..place + width]);
    }
    Ok(())
}

/// Where one lane may read `width` bytes.
#[inline(always)]
fn readable(
    warp: &Warp,
    cx: &mut Context<'_>,
    pc: usize,
    lane: usize,
    at: u64,
    width: usize,
) -> Result<usize, Stopped> {
    if !at.is_multiple_of(width as u64) {
        return Err(misaligned(cx, warp, pc, lane, at, width));
    }
    let Some(place) = cx.shared_place(at, width) else {
        return Err(outside(cx, warp, pc, lane, at, width));
    };
    match cx.race.read(place, width, warp.index) {
        Some(found) => Err(race(cx, warp, pc, lane, found, width)),
        None => Ok(place),
    }
}

/// Stores `width` bytes for each lane of `mask`; of lanes that share an address the highest wins.
pub(crate) fn store(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    width: usize,
    stage: &Stage,
) -> Result<(), Stopped> {
    let pc = warp.pc;
    traffic::shared(cx, pc, mask, addresses, width);
    for lane in lanes_of(mask) {
        let at = addresses[lane];
        if !at.is_multiple_of(width as u64) {
            return Err(misaligned(cx, warp, pc, lane, at, width));
        }
        let Some(place) = cx.shared_place(at, width) else {
            return Err(outside(cx, warp, pc, lane, at, width));
        };
        let data = &stage[lane * width..(lane + 1) * width];
        if let Some(found) = cx.race.write(place, width, warp.index) {
            // Two warps that store the same value do no harm.
            let harmless = found.conflict == Conflict::WriteAfterWrite && cx.shared[place..place + width] == *data;
            if !harmless {
                return Err(race(cx, warp, pc, lane, found, width));
            }
        }
        cx.shared[place..place + width].copy_from_slice(data);
    }
    Ok(())
}
