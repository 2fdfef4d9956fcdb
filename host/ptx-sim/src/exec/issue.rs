//! `cp.async`: checked when it is issued, carried out when it is waited for.

use super::access::addresses;
use super::context::{Context, Stopped, Who};
use super::copies::{self, Issue};
use super::global::{copied, lookup, misaligned, out_of_bounds};
use super::hazards::found_by;
use super::lanes::{LANES, lanes_of};
use super::order::Strong;
use super::shadow::Flight;
use super::shared;
use super::traffic;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::op::Op;

pub(super) fn copy_async(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Op) -> Result<(), Stopped> {
    let Op::CopyAsync { bytes, target, source, source_bytes, ignore } = *op else { return Ok(()) };
    let width = usize::from(bytes);
    let (to, from) = (addresses(warp, target), addresses(warp, source));
    let what = "a cp.async";
    let flight = cx.flights.begin(Flight { agent: warp.agent, lanes: active, pc: warp.pc as u32, what });
    let (mut targets, mut filled) = ([0_u32; LANES], [0_u8; LANES]);
    for lane in lanes_of(active) {
        let mut wanted = if source_bytes.is_none() { u32::from(bytes) } else { warp.files.r32(source_bytes)[lane] };
        if wanted > u32::from(bytes) {
            let explanation = format!("a source size of {wanted} bytes for a copy of {bytes}: undefined");
            return Err(cx.fault(FaultKind::Undefined, warp.pc, Who::lane(warp.index, lane), explanation));
        }
        if !ignore.is_none() && warp.files.pred(ignore) >> lane & 1 == 1 {
            wanted = 0;
        }
        // Both addresses have to be aligned to the whole copy, whatever part of it comes from the source.
        if !from[lane].is_multiple_of(width as u64) {
            return Err(misaligned(cx, warp, warp.pc, lane, from[lane], width));
        }
        let place = shared::place(warp, cx, warp.pc, lane, to[lane], width)?;
        if wanted > 0 && lookup(cx, warp.pc, from[lane], wanted as usize).is_none() {
            return Err(out_of_bounds(cx, warp, warp.pc, lane, from[lane], wanted as usize));
        }
        let actor = shared::actor(warp, cx, warp.pc, place.rank, active, Strong::default());
        let tags = (actor.lane(lane), flight.tag(lane));
        let begun = cx.shared[place.rank].shadow.begin_write(&cx.order, &actor, tags, (place.at, width));
        begun.map_err(|found| found_by(cx, warp, warp.pc, lane, place.rank, found, width))?;
        targets[lane] = place.at as u32;
        filled[lane] = wanted as u8;
    }
    copied(warp, cx, active, &from, &filled, width)?;
    cx.flights.read_later(flight, active, &from, &filled.map(u32::from));
    traffic::copied_from_global(cx, warp.pc, &from, &filled);
    traffic::shared(cx, warp.pc, active, &to, width);
    let issue = Issue { mask: active, bytes, targets, sources: from, filled, pc: warp.pc, flight };
    copies::issue(warp, cx, issue)
}
