//! Asynchronous copies: they land as late as they may, when a thread's wait retires their group.

use super::context::{Context, Stopped};
use super::lanes::{LANES, Lanes64, lanes_of};
use super::order::Tag;
use super::shadow::FlightId;
use super::warp::Warp;

/// One `cp.async` of a warp, as it was issued.
#[derive(Debug)]
struct Copy {
    /// Lanes whose part has not landed.
    pending: u32,
    bytes: u8,
    /// Places in the block's shared memory.
    targets: [u32; LANES],
    /// Global addresses; checked when the copy was issued.
    sources: Lanes64,
    /// Bytes that come from the source; the rest are zero.
    filled: [u8; LANES],
    /// Each lane's group: the number of groups it had committed.
    group: [u32; LANES],
    pc: usize,
    flight: FlightId,
}

/// The copies of a warp that are in flight.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    queue: Vec<Copy>,
    committed: [u32; LANES],
}

/// What `cp.async` issues.
pub(crate) struct Issue {
    pub(crate) mask: u32,
    pub(crate) bytes: u8,
    pub(crate) targets: [u32; LANES],
    pub(crate) sources: Lanes64,
    pub(crate) filled: [u8; LANES],
    pub(crate) pc: usize,
    pub(crate) flight: FlightId,
}

impl Copies {
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.committed = [0; LANES];
    }

    pub(crate) fn issue(&mut self, issue: Issue) {
        let Issue { mask, bytes, targets, sources, filled, pc, flight } = issue;
        let group = self.committed;
        self.queue.push(Copy { pending: mask, bytes, targets, sources, filled, group, pc, flight });
    }

    /// Closes the group of each of `lanes`.
    pub(crate) fn commit(&mut self, lanes: u32) {
        for lane in lanes_of(lanes) {
            self.committed[lane] += 1;
        }
    }
}

/// Lands the copies of `lanes` of all but the `pending` newest groups; `all` takes what no group holds too.
pub(crate) fn wait(warp: &mut Warp, cx: &mut Context<'_>, lanes: u32, pending: u32, all: bool) -> Result<(), Stopped> {
    let mut queue = std::mem::take(&mut warp.copies.queue);
    for copy in &mut queue {
        let mut landing = 0;
        for lane in lanes_of(copy.pending & lanes) {
            let open = copy.group[lane] == warp.copies.committed[lane];
            let newer = warp.copies.committed[lane] - copy.group[lane];
            let lands = if all { true } else { !open && newer > pending };
            landing |= u32::from(lands) << lane;
        }
        if landing != 0 {
            copy.pending &= !landing;
            land(warp, cx, copy, landing)?;
        }
    }
    queue.retain(|copy| copy.pending != 0);
    warp.copies.queue = queue;
    if all {
        warp.copies.commit(lanes);
    }
    Ok(())
}

fn land(warp: &Warp, cx: &mut Context<'_>, copy: &Copy, lanes: u32) -> Result<(), Stopped> {
    let bytes = usize::from(copy.bytes);
    // Now it is as if the thread had written: others see it behind a barrier (PTX ISA, "cp.async.wait_group").
    let own = (warp.agent, lanes);
    let event = cx.shared[cx.rank].shadow.landing(&cx.order, own, own, copy.pc);
    for lane in lanes_of(lanes) {
        let mut data = [0_u8; 16];
        let filled = usize::from(copy.filled[lane]);
        if filled > 0 {
            super::global::read_lane(warp, cx, copy.pc, lane, copy.sources[lane], &mut data[..filled])?;
        }
        let target = copy.targets[lane] as usize;
        let shared = &mut cx.shared[cx.rank];
        shared.bytes[target..target + bytes].copy_from_slice(&data[..bytes]);
        shared.locations.forget(target as u64, bytes as u64);
        shared.shadow.land(target, bytes, Tag::lane(event, lane));
    }
    if copy.pending == 0 {
        cx.flights.end(copy.flight);
    }
    Ok(())
}
