//! Shared memory as a warp sees it, races included.

use super::context::{Context, Stopped, Who};
use super::global::{Pattern, Stage, misaligned, pattern};
use super::lanes::{LANES, Lanes64, lanes_of};
use super::race::{Conflict, Found};
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
    let pattern = if first.is_multiple_of(WIDTH as u64) { pattern(mask, addresses, WIDTH) } else { Pattern::Scattered };
    let len = if pattern == Pattern::Contiguous { LANES * WIDTH } else { WIDTH };
    if pattern != Pattern::Scattered
        && let Some(place) = cx.shared_place(first, len)
    {
        if let Some(found) = cx.race.read(place, len, warp.index) {
            return Err(race(cx, warp, pc, lane_at(cx, mask, addresses, WIDTH, found.at), found, WIDTH));
        }
        stage[..len].copy_from_slice(&cx.shared[place..place + len]);
        if pattern == Pattern::Uniform {
            for lane in 1..LANES {
                stage.copy_within(0..WIDTH, lane * WIDTH);
            }
        }
        return Ok(());
    }
    for lane in lanes_of(mask) {
        let bytes: [u8; WIDTH] = read_lane(warp, cx, pc, lane, addresses[lane])?;
        stage[lane * WIDTH..(lane + 1) * WIDTH].copy_from_slice(&bytes);
    }
    Ok(())
}

/// Reads one lane's `WIDTH` bytes.
#[inline(always)]
pub(crate) fn read_lane<const WIDTH: usize>(
    warp: &Warp,
    cx: &mut Context<'_>,
    pc: usize,
    lane: usize,
    at: u64,
) -> Result<[u8; WIDTH], Stopped> {
    if !at.is_multiple_of(WIDTH as u64) {
        return Err(misaligned(cx, warp, pc, lane, at, WIDTH));
    }
    let Some(place) = cx.shared_place(at, WIDTH) else {
        return Err(outside(cx, warp, pc, lane, at, WIDTH));
    };
    if let Some(found) = cx.race.read(place, WIDTH, warp.index) {
        return Err(race(cx, warp, pc, lane, found, WIDTH));
    }
    let mut bytes = [0; WIDTH];
    bytes.copy_from_slice(&cx.shared[place..place + WIDTH]);
    Ok(bytes)
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
    for lane in lanes_of(mask) {
        let at = addresses[lane];
        if !at.is_multiple_of(WIDTH as u64) {
            return Err(misaligned(cx, warp, pc, lane, at, WIDTH));
        }
        let Some(place) = cx.shared_place(at, WIDTH) else {
            return Err(outside(cx, warp, pc, lane, at, WIDTH));
        };
        let data = &stage[lane * WIDTH..(lane + 1) * WIDTH];
        if let Some(found) = cx.race.write(place, WIDTH, warp.index) {
            // Two warps that store the same value do no harm.
            let harmless = found.conflict == Conflict::WriteAfterWrite && cx.shared[place..place + WIDTH] == *data;
            if !harmless {
                return Err(race(cx, warp, pc, lane, found, WIDTH));
            }
        }
        cx.shared[place..place + WIDTH].copy_from_slice(data);
    }
    Ok(())
}
