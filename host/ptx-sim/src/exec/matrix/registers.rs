//! `setmaxnreg`: registers that warps give back to their block's pool and take from it (PTX ISA 9.7.19.5).
//!
//! At the start every warp owns as many for each thread as the kernel is compiled for, and the pool is empty.
//! Registers here have names, not places: what the machine code keeps where is not known, so that nothing is
//! said of what registers that are newly taken hold.

use super::group;
use crate::exec::context::{Context, Stopped, Who};
use crate::exec::warp::Warp;
use crate::fault::{FaultKind, Severity};

/// A warp that waits for registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pc: usize,
    /// For each of its threads.
    missing: u32,
}

/// `setmaxnreg.inc` (`more`) or `.dec`: the warp owns `count` registers a thread behind it. Returns whether it has
/// to wait for them.
#[inline(never)]
pub(crate) fn set_registers(warp: &mut Warp, cx: &mut Context<'_>, count: u32, more: bool) -> Result<bool, Stopped> {
    let pc = warp.pc;
    super::needs_all(warp, cx)?;
    if cx.grid.program.entry_registers.is_none() {
        cx.note((FaultKind::Wgmma, pc, pc), Severity::Warning, |cx| {
            let explanation = "setmaxnreg has no effect: the kernel says by neither .maxnreg nor .maxntid with \
                               .minnctapersm how many registers it starts with";
            cx.fault(FaultKind::Wgmma, pc, Who::warp(warp.index), explanation.to_owned())
        });
        return Ok(false);
    }
    let again = warp.tensor.wanted.is_some();
    if !again {
        group::take(cx, warp, [u64::from(count), 0, 0])?;
    }
    let owned = warp.tensor.registers;
    if if more { owned > count } else { owned < count } {
        let than = if more { "more" } else { "fewer" };
        let explanation = format!("the warp owns {owned} registers a thread, {than} than the {count} of this");
        return Err(cx.fault(FaultKind::Undefined, pc, Who::warp(warp.index), explanation));
    }
    let pool = &mut cx.shared[cx.rank].tensor.pool;
    if more {
        let missing = count - owned;
        if *pool < missing {
            warp.tensor.wanted = Some(Wanted { pc, missing });
            return Ok(true);
        }
        *pool -= missing;
    } else {
        *pool += owned - count;
    }
    warp.tensor.wanted = None;
    warp.tensor.registers = count;
    Ok(false)
}

/// What warps of the block of `warp` have given back.
fn pool(cx: &Context<'_>, warp: &Warp) -> u32 {
    let rank = warp.agent.0 / cx.grid.threads.div_ceil(32);
    cx.shared[rank as usize].tensor.pool
}

/// Whether a warp waits for registers that the pool does not have.
pub(crate) fn holds(cx: &Context<'_>, warp: &Warp) -> bool {
    warp.tensor.wanted.is_some_and(|wanted| pool(cx, warp) < wanted.missing)
}

/// What a warp waits for, in words: where in the code, what, and how it stands.
pub(crate) fn waits_for_registers(cx: &Context<'_>, warp: &Warp) -> Option<(usize, String, String)> {
    let Wanted { pc, missing } = warp.tensor.wanted?;
    let pool = pool(cx, warp);
    let what = format!("for {missing} registers a thread");
    Some((pc, what, format!("the block's pool has {pool}, and no other warp gives any back")))
}
