//! Exits with something pending.

use super::cluster;
use super::transfer::{self, What};
use super::{Sender, cluster::meet};
use crate::exec::context::{Context, Stopped};
use crate::exec::order::Agent;
use crate::exec::warp::Warp;
use crate::fault::FaultKind;

/// `lanes` of the warp exit: their stores must have read their sources, and their `cp.async` must be waited for.
pub(crate) fn leave_thread(warp: &Warp, cx: &mut Context<'_>, lanes: u32) -> Result<(), Stopped> {
    let checks = cx.grid.launch.checks.asynchrony;
    if checks && let Some(pending) = cx.asynchronous.copies[warp.agent.at()].pending(lanes) {
        let sender = Sender { agent: warp.agent, lane: pending.0, pc: pending.1 };
        let tracked = cx.asynchronous.transfers.iter().any(|transfer| {
            let own = transfer.sender.agent == warp.agent && transfer.sender.lane == pending.0;
            own && matches!(transfer.what, What::Arrival { copies, .. } if pending.2 < copies)
        });
        if !tracked {
            let explanation = "the thread exits and has not waited for this cp.async".to_owned();
            return Err(sender.fault(cx, FaultKind::PendingAtExit, explanation));
        }
    }
    let mut at = 0;
    while at < cx.asynchronous.transfers.len() {
        let transfer = &cx.asynchronous.transfers[at];
        let sender = transfer.sender;
        let own = sender.agent == warp.agent && lanes >> sender.lane & 1 == 1;
        if !own || !matches!(transfer.what, What::Store { .. }) {
            at += 1;
            continue;
        }
        if checks && transfer.flight.is_some() {
            let explanation = "the thread exits and has not waited until this copy has read shared memory; \
                               cp.async.bulk.commit_group and cp.async.bulk.wait_group.read are missing";
            return Err(sender.fault(cx, FaultKind::PendingAtExit, explanation.to_owned()));
        }
        // What it has read is written before the grid ends.
        transfer::read_source(cx, at);
        transfer::write_target(cx, at)?;
        let gone = cx.asynchronous.transfers.remove(at);
        if let Some(flight) = gone.flight {
            cx.flights.end(flight);
        }
    }
    Ok(())
}

/// All threads of a warp have exited; `last` of the block of rank `rank`.
pub(crate) fn leave_block(cx: &mut Context<'_>, rank: usize, agent: Agent, last: bool) -> Result<(), Stopped> {
    cx.asynchronous.cluster.leave(agent);
    meet(cx);
    if !last {
        return Ok(());
    }
    cluster::leave(cx, rank)?;
    if !cx.grid.launch.checks.asynchrony {
        return Ok(());
    }
    let touches = |transfer: &&transfer::Transfer| match &transfer.what {
        What::Load { bar, target, .. } => bar.rank == rank || target.rank == rank,
        What::Arrival { bar, .. } => bar.rank == rank,
        What::Store { source, .. } => source.rank == rank,
    };
    let pending = cx.asynchronous.transfers.iter().find(touches).map(|transfer| transfer.sender);
    // A copy that a schedule has let land early, and nobody has waited for, is as wrong.
    let here = |((owner, _), _): &(&(usize, usize), &super::objects::Object)| *owner == rank;
    let unseen = || cx.asynchronous.objects.iter().filter(here).find_map(|(_, object)| object.unseen.first().copied());
    if let Some(sender) = pending.or_else(unseen) {
        let explanation =
            "the block whose shared memory this copy writes exits, and nobody has waited for the copy".to_owned();
        return Err(sender.fault(cx, FaultKind::PendingAtExit, explanation));
    }
    cx.asynchronous.objects.retain(|(owner, _), _| *owner != rank);
    Ok(())
}
