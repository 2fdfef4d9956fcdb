//! Shared memory as a warp sees it: bounds, alignment, and what the shadow finds.

use super::asynchronous;
use super::context::{Context, Place, Stopped, Who};
use super::global::{Stage, misaligned, repeat};
use super::groups::{Pattern, pattern};
use super::hazards::{found_by, remark};
use super::lanes::{LANES, Lanes64, lanes_of};
use super::order::{Strong, Tag};
use super::shadow::Actor;
use super::traffic;
use super::warp::Warp;
use crate::fault::FaultKind;

use crate::ir::lower::SHARED_BASE;
use crate::ir::op::{Access, MemoryOrder, Scope};

#[cold]
pub(crate) fn outside(cx: &Context<'_>, warp: &Warp, pc: usize, lane: usize, at: u64, len: usize) -> Stopped {
    let bytes = cx.grid.shared_bytes as u64;
    let (start, end) = (u64::from(SHARED_BASE), u64::from(SHARED_BASE) + bytes);
    let explanation = if bytes == 0 {
        "the block has no shared memory".to_owned()
    } else if at < start {
        format!("the block's shared memory is {start:#x} to {end:#x}; a null or negative offset?")
    } else {
        format!("the block's shared memory is {start:#x} to {end:#x}, {bytes} bytes; was enough of it asked for?")
    };
    cx.fault(FaultKind::OutOfBounds, pc, Who::access(warp.index, lane, at, len), explanation)
}

/// How an access is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) order: MemoryOrder,
    /// Bytes of one element.
    pub(crate) element: u8,
    /// Whether the lanes act as one, as for matrices: each access is all lanes', whoever has its address.
    pub(crate) together: bool,
}

impl Manner {
    /// Rows of matrices, weak and by the whole warp.
    pub(crate) const MATRIX: Self = Self { order: MemoryOrder::WEAK, element: 16, together: true };

    /// Loads and stores.
    #[inline(always)]
    pub(crate) fn of(access: Access) -> Self {
        Self { order: access.order, element: access.bytes, together: false }
    }

    /// What makes it strong.
    #[inline(always)]
    fn strong(self) -> Strong {
        match self.order.strong {
            true => Strong { width: self.element, wide: self.order.scope >= Scope::Cluster },
            false => Strong::default(),
        }
    }

    /// The lanes that act when those of `mask` have addresses.
    #[inline(always)]
    fn lanes(self, warp: &Warp, mask: u32) -> u32 {
        if self.together { warp.mask } else { mask }
    }

    #[inline(always)]
    fn tag(self, actor: &Actor, lane: usize) -> Tag {
        if self.together { actor.all() } else { actor.lane(lane) }
    }
}

/// `lanes` of the warp execute the instruction at `pc` on the shared memory of rank `rank`.
#[inline(always)]
pub(crate) fn actor(warp: &Warp, cx: &mut Context<'_>, pc: usize, rank: usize, lanes: u32, strong: Strong) -> Actor {
    cx.shared[rank].shadow.actor(&cx.order, warp.agent, pc, lanes, strong)
}

/// Where `width` bytes at `at` of one lane lie.
#[inline(always)]
pub(crate) fn place(
    warp: &Warp,
    cx: &mut Context<'_>,
    pc: usize,
    lane: usize,
    at: u64,
    width: usize,
) -> Result<Place, Stopped> {
    if !at.is_multiple_of(width as u64) {
        return Err(misaligned(cx, warp, pc, lane, at, width));
    }
    let Some(place) = cx.shared_place(at, width) else { return Err(outside(cx, warp, pc, lane, at, width)) };
    if place.rank != cx.rank {
        asynchronous::reach(warp, cx, pc, lane, place)?;
    }
    Ok(place)
}

/// Loads `width` bytes for each lane of `mask`.
pub(crate) fn load(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    manner: Manner,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    let pc = warp.pc;
    traffic::shared(cx, pc, mask, addresses, width);
    let (strong, lanes) = (manner.strong(), manner.lanes(warp, mask));
    let leader = mask.trailing_zeros() as usize;
    let first = addresses[leader];
    let aligned = first.is_multiple_of(width as u64);
    let one = aligned && lanes_of(mask).all(|lane| addresses[lane] == first);
    if one {
        let place = place(warp, cx, pc, leader, first, width)?;
        let actor = actor(warp, cx, pc, place.rank, lanes, strong);
        let tag = if lanes.is_power_of_two() { actor.lane(leader) } else { actor.all() };
        let shared = &mut cx.shared[place.rank];
        let found = shared.shadow.read(&cx.order, &actor, tag, place.at, width);
        found.map_err(|found| found_by(cx, warp, pc, leader, place.rank, found, width))?;
        let bytes = &cx.shared[place.rank].bytes[place.at..place.at + width];
        stage[..width].copy_from_slice(bytes);
        repeat(stage, width);
    } else if aligned
        && !manner.together
        && pattern(mask, addresses, width) == Pattern::Contiguous
        && let Some(place) = cx.shared_place(first, LANES * width)
        && place.rank == cx.rank
    {
        let actor = actor(warp, cx, pc, place.rank, lanes, strong);
        let shared = &mut cx.shared[place.rank];
        if let Err(found) = shared.shadow.read_each(&cx.order, &actor, place.at, width) {
            let lane = (found.at - place.at) / width;
            return Err(found_by(cx, warp, pc, lane, place.rank, found, width));
        }
        stage[..LANES * width].copy_from_slice(&shared.bytes[place.at..place.at + LANES * width]);
    } else {
        for lane in lanes_of(mask) {
            let place = place(warp, cx, pc, lane, addresses[lane], width)?;
            let actor = actor(warp, cx, pc, place.rank, lanes, strong);
            let shared = &mut cx.shared[place.rank];
            if let Err(found) = shared.shadow.read(&cx.order, &actor, manner.tag(&actor, lane), place.at, width) {
                return Err(found_by(cx, warp, pc, lane, place.rank, found, width));
            }
            stage[lane * width..(lane + 1) * width].copy_from_slice(&shared.bytes[place.at..place.at + width]);
        }
    }
    if manner.order.strong {
        observe(warp, cx, mask, addresses, manner, width);
    }
    Ok(())
}

/// Strong loads acquire what was released through the places that they read.
#[inline(never)]
fn observe(warp: &Warp, cx: &mut Context<'_>, mask: u32, addresses: &Lanes64, manner: Manner, width: usize) {
    let mut left = mask;
    while left != 0 {
        let first = addresses[left.trailing_zeros() as usize];
        let same = lanes_of(left).fold(0, |same, lane| same | u32::from(addresses[lane] == first) << lane);
        left &= !same;
        let Some(place) = cx.shared_place(first, width) else { continue };
        let (start, element) = (place.at as u64, u64::from(manner.element));
        for at in (start..start + width as u64).step_by(usize::from(manner.element)) {
            let locations = &cx.shared[place.rank].locations;
            locations.read(&mut cx.order, (warp.agent, same), (at, element), manner.order.acquire);
        }
    }
}

/// Stores `width` bytes for each lane of `mask`; of lanes that share an address the highest wins.
pub(crate) fn store(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    addresses: &Lanes64,
    manner: Manner,
    width: usize,
    stage: &Stage,
) -> Result<(), Stopped> {
    let (pc, first) = (warp.pc, addresses[0]);
    traffic::shared(cx, pc, mask, addresses, width);
    let (strong, lanes) = (manner.strong(), manner.lanes(warp, mask));
    if first.is_multiple_of(width as u64)
        && !manner.order.strong
        && !manner.together
        && pattern(mask, addresses, width) == Pattern::Contiguous
        && let Some(place) = cx.shared_place(first, LANES * width)
        && place.rank == cx.rank
    {
        let actor = actor(warp, cx, pc, place.rank, lanes, strong);
        let shared = &mut cx.shared[place.rank];
        if shared.shadow.write_each(&actor, place.at, width) {
            shared.bytes[place.at..place.at + LANES * width].copy_from_slice(&stage[..LANES * width]);
            shared.locations.forget(place.at as u64, (LANES * width) as u64);
            return Ok(());
        }
    }
    for lane in lanes_of(mask) {
        let place = place(warp, cx, pc, lane, addresses[lane], width)?;
        let actor = actor(warp, cx, pc, place.rank, lanes, strong);
        let data = &stage[lane * width..(lane + 1) * width];
        store_lane(warp, cx, &actor, lane, place, manner, data)?;
    }
    if manner.order.release {
        cx.order.advance(warp.agent);
    }
    Ok(())
}

/// Stores the bytes of one lane.
#[inline(always)]
pub(crate) fn store_lane(
    warp: &Warp,
    cx: &mut Context<'_>,
    actor: &Actor,
    lane: usize,
    place: Place,
    manner: Manner,
    data: &[u8],
) -> Result<(), Stopped> {
    let (at, width) = (place.at, data.len());
    let shared = &mut cx.shared[place.rank];
    let now = &shared.bytes[at..at + width];
    let same = |byte: usize| now[byte] == data[byte];
    let written = shared.shadow.write(&cx.order, actor, manner.tag(actor, lane), (at, width), same);
    match written {
        Ok(None) => {}
        Ok(Some(found)) => remark(cx, warp, warp.pc, lane, place.rank, found, width),
        Err(found) => return Err(found_by(cx, warp, warp.pc, lane, place.rank, found, width)),
    }
    let shared = &mut cx.shared[place.rank];
    shared.bytes[at..at + width].copy_from_slice(data);
    if manner.order.strong {
        let element = u64::from(manner.element);
        for at in (at as u64..(at + width) as u64).step_by(usize::from(manner.element)) {
            let how = (manner.order.release, false);
            shared.locations.write(&cx.order, (warp.agent, lane), (at, element), how);
        }
    } else {
        shared.locations.forget(at as u64, width as u64);
    }
    Ok(())
}

/// An atomic operation of one lane on `width` bytes at `at`: `change` makes the new value of the old one, which
/// is returned. The caller moves the lanes' time on.
pub(crate) fn update(
    warp: &Warp,
    cx: &mut Context<'_>,
    (lane, mask): (usize, u32),
    at: u64,
    width: usize,
    order: MemoryOrder,
    change: impl Fn(u64) -> u64,
) -> Result<u64, Stopped> {
    let place = place(warp, cx, warp.pc, lane, at, width)?;
    let strong = Manner { order, element: width as u8, together: false }.strong();
    let actor = actor(warp, cx, warp.pc, place.rank, mask, strong);
    let shared = &mut cx.shared[place.rank];
    let found = shared.shadow.update(&cx.order, &actor, actor.lane(lane), (place.at, width));
    found.map_err(|found| found_by(cx, warp, warp.pc, lane, place.rank, found, width))?;
    let shared = &mut cx.shared[place.rank];
    let cell = &mut shared.bytes[place.at..place.at + width];
    let mut bytes = [0; 8];
    bytes[..width].copy_from_slice(cell);
    let old = u64::from_le_bytes(bytes);
    cell.copy_from_slice(&change(old).to_le_bytes()[..width]);
    let range = (place.at as u64, width as u64);
    shared.locations.read(&mut cx.order, (warp.agent, 1 << lane), range, order.acquire);
    shared.locations.write(&cx.order, (warp.agent, lane), range, (order.release, true));
    Ok(old)
}
