//! What a warp waits for, in words.

use crate::exec::context::{Context, Place};
use crate::exec::warp::Warp;
use crate::ir::lower::SHARED_BASE;

/// A test of an mbarrier in vain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    pub(crate) pc: usize,
    pub(crate) at: Place,
    /// The phase that was not complete.
    pub(crate) phase: u64,
}

/// What a warp waits for at an mbarrier or at the cluster's barrier: where in the code, what, and its state.
pub(crate) fn waits_for(cx: &Context<'_>, warp: &Warp) -> Option<(usize, String, String)> {
    if warp.at_cluster.is_some() {
        let (here, live) = cx.asynchronous.cluster.state();
        return Some((warp.pc, "at barrier.cluster".to_owned(), format!("{here} of {live} warps have arrived")));
    }
    let Spin { pc, at, phase } = warp.spin?;
    let what = format!("for phase {phase} of the mbarrier at {:#x}", at.at as u64 + u64::from(SHARED_BASE));
    let Some(object) = cx.asynchronous.objects.get(&(at.rank, at.at)) else {
        return Some((pc, what, "it is gone".to_owned()));
    };
    let coming = cx.asynchronous.transfers.iter().filter(|transfer| transfer.completes_at() == Some(at)).count();
    let bar = object.bar;
    // More may have come than any expect-tx announced: the phase waits all the same until both are equal.
    let bytes = match bar.tx {
        less @ ..0 => format!("{} bytes more have come than were expected", less.unsigned_abs()),
        more => format!("{more} bytes are expected that have not come"),
    };
    let copies = match coming {
        0 => "no copy is on its way".to_owned(),
        1 => "1 copy is on its way".to_owned(),
        several => format!("{several} copies are on their way"),
    };
    let (phase, pending, expected) = (bar.phase, bar.pending, bar.expected);
    let detail = format!("it is in phase {phase}, {pending} of {expected} arrivals are missing, {bytes}, {copies}");
    Some((pc, what, detail))
}
