//! Bulk groups: what a thread's copies from shared memory are waited for by (PTX ISA 9.7.9.25.1.1).

use super::transfer::{self, What};
use crate::exec::context::{Context, Stopped};
use crate::exec::lanes::lanes_of;
use crate::exec::order::{Agent, Strong};
use crate::exec::shared;
use crate::exec::warp::Warp;

/// Closes the group of each lane.
pub(super) fn commit(warp: &Warp, cx: &mut Context<'_>, active: u32) {
    for lane in lanes_of(active) {
        *cx.asynchronous.groups.entry((warp.agent, lane)).or_default() += 1;
    }
}

/// Groups that a lane has committed.
pub(super) fn committed(cx: &Context<'_>, agent: Agent, lane: usize) -> u32 {
    cx.asynchronous.groups.get(&(agent, lane)).copied().unwrap_or(0)
}

/// Waits for all but the `pending` newest groups of each lane; with `read` only until their sources are read.
pub(super) fn wait(warp: &Warp, cx: &mut Context<'_>, active: u32, pending: u32, read: bool) -> Result<(), Stopped> {
    for lane in lanes_of(active) {
        let committed = committed(cx, warp.agent, lane);
        let mut at = 0;
        while at < cx.asynchronous.transfers.len() {
            let transfer = &cx.asynchronous.transfers[at];
            let own = transfer.sender.agent == warp.agent && transfer.sender.lane == lane;
            match transfer.what {
                What::Store { group, .. } if own && committed.saturating_sub(group) > pending => {
                    transfer::read_source(cx, at);
                    release(warp, cx, lane, at);
                    if read {
                        at += 1;
                        continue;
                    }
                    transfer::write_target(cx, at)?;
                    cx.asynchronous.transfers.remove(at);
                }
                _ => at += 1,
            }
        }
    }
    Ok(())
}

/// The thread knows that a store has read its source: others may write there once they are ordered behind it.
fn release(warp: &Warp, cx: &mut Context<'_>, lane: usize, at: usize) {
    let transfer = &mut cx.asynchronous.transfers[at];
    let (Some(flight), What::Store { source, .. }) = (transfer.flight.take(), &transfer.what) else { return };
    let (rank, pc) = (source.rank, transfer.sender.pc);
    let actor = shared::actor(warp, cx, pc, rank, 1 << lane, Strong::default());
    cx.shared[rank].shadow.end_read(&cx.order, &actor, actor.lane(lane), flight);
    cx.flights.end(flight);
}
