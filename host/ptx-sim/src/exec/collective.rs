//! What the lanes of a warp do together: shuffles, votes, matches, reductions.

use super::context::{Context, Stopped, Who};
use super::lanes::{ALL, LANES, lanes_of};
use super::warp::{Meeting, Warp};
use crate::fault::FaultKind;
use crate::ir::op::{Op, Redux, Reg, Shuffle, Vote};

/// Whether an operation can go on now, or another set of lanes runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Shut,
}

fn lane_list(mask: u32) -> String {
    let names: Vec<String> = lanes_of(mask).map(|lane| lane.to_string()).collect();
    names.join(", ")
}

/// Lets a `.sync` operation pass when all lanes that its mask names are here.
#[inline(always)]
pub(super) fn gate(warp: &mut Warp, cx: &Context<'_>, active: u32, mask: Reg) -> Result<(Gate, u32), Stopped> {
    let values = warp.files.r32(mask);
    let members = values[active.trailing_zeros() as usize & 31];
    if members == ALL && active == ALL {
        let uniform = values.iter().all(|value| *value == ALL);
        if uniform {
            return Ok((Gate::Open, members));
        }
    }
    slow_gate(warp, cx, active, members, mask)
}

#[inline(never)]
fn slow_gate(warp: &mut Warp, cx: &Context<'_>, active: u32, members: u32, mask: Reg) -> Result<(Gate, u32), Stopped> {
    let pc = warp.pc;
    let values = *warp.files.r32(mask);
    for lane in lanes_of(active) {
        // Groups of lanes may each come with their own mask, as long as each is in its own.
        if values[lane] >> lane & 1 == 0 {
            let explanation =
                format!("the thread calls with the member mask {:#010x}, which does not name it", values[lane]);
            return Err(cx.fault(FaultKind::BadMask, pc, Who::lane(warp.index, lane), explanation));
        }
    }
    if lanes_of(active).any(|lane| values[lane] != members) {
        let explanation = "the threads of one set call with different member masks, which is not supported".to_owned();
        return Err(cx.fault(FaultKind::BadMask, pc, Who::warp(warp.index), explanation));
    }
    let missing = members & warp.live & !active;
    if missing == 0 {
        return Ok((Gate::Open, members));
    }
    if missing & warp.mask != 0 {
        let explanation = format!(
            "the member mask {members:#010x} names lanes {} whose guard switches this instruction off",
            lane_list(missing & warp.mask)
        );
        return Err(cx.fault(FaultKind::BadMask, pc, Who::warp(warp.index), explanation));
    }
    match warp.meet() {
        Meeting::Here | Meeting::Switched => Ok((Gate::Shut, members)),
        Meeting::Never => {
            let explanation =
                format!("lanes {}, named by the member mask {members:#010x}, never come", lane_list(missing));
            Err(cx.fault(FaultKind::BadMask, pc, Who::warp(warp.index), explanation))
        }
    }
}

/// Lets an `.aligned` operation pass when all live lanes of the warp are here.
#[inline(always)]
pub(super) fn aligned_gate(warp: &mut Warp, cx: &Context<'_>, active: u32) -> Result<Gate, Stopped> {
    if active == warp.live { Ok(Gate::Open) } else { slow_aligned_gate(warp, cx, active) }
}

#[inline(never)]
fn slow_aligned_gate(warp: &mut Warp, cx: &Context<'_>, active: u32) -> Result<Gate, Stopped> {
    let pc = warp.pc;
    let missing = warp.live & !active;
    let guarded = missing & warp.mask;
    if guarded == 0 && warp.meet() != Meeting::Never {
        return Ok(Gate::Shut);
    }
    if guarded == 0
        && let Some(fault) = crossed_masks(warp, cx, active)
    {
        return Err(fault);
    }
    let why = if guarded != 0 { "have it switched off by its guard" } else { "are elsewhere" };
    let explanation = format!(
        "all threads of a warp have to execute this together; lanes {} are here, lanes {} {why}",
        lane_list(active),
        lane_list(missing)
    );
    Err(cx.fault(FaultKind::Divergence, pc, Who::warp(warp.index), explanation))
}

/// Lanes of this warp that wait for the running ones by a member mask: two sets wait for each other, and the
/// mask that names lanes which stand elsewhere is the nearer cause.
#[cold]
fn crossed_masks(warp: &Warp, cx: &Context<'_>, active: u32) -> Option<Stopped> {
    let (there, waiting) = warp.first_waiting()?;
    let mask = match cx.grid.program.code[there].op {
        Op::WarpSync { mask }
        | Op::Shuffle { mask, .. }
        | Op::Vote { mask, .. }
        | Op::Match { mask, .. }
        | Op::Redux { mask, .. }
        | Op::Elect { mask, .. } => mask,
        _ => return None,
    };
    let members = warp.files.r32(mask)[waiting.trailing_zeros() as usize & 31];
    let missing = lane_list(members & active);
    let explanation = format!("lanes {missing}, named by the member mask {members:#010x}, wait elsewhere for these");
    let mut fault = cx.fault(FaultKind::BadMask, there, Who::warp(warp.index), explanation);
    fault.other = Some(cx.party(warp.agent, active, warp.pc));
    (members & active != 0).then_some(fault)
}

/// `bar.warp.sync`: lanes may wait at different places.
pub(super) fn warp_sync(warp: &mut Warp, cx: &mut Context<'_>, active: u32, mask: Reg) -> Result<Gate, Stopped> {
    let program = cx.grid.program;
    let here = |pc: usize| matches!(program.code[pc].op, Op::WarpSync { .. });
    let members = warp.files.r32(mask)[active.trailing_zeros() as usize & 31];
    let elsewhere = warp.waiting_at(here);
    if elsewhere != 0 && members & warp.live & !(active | elsewhere) == 0 {
        warp.release(here);
        cx.order.meet(warp.agent, members);
        return Ok(Gate::Open);
    }
    let (gate, members) = gate(warp, cx, active, mask)?;
    if gate == Gate::Open {
        cx.order.meet(warp.agent, members);
    }
    Ok(gate)
}

/// The source lane of a shuffle, and whether it is in range.
#[inline(always)]
fn source(op: Shuffle, lane: u32, b: u32, c: u32) -> (u32, bool) {
    let (clamp, segment) = (c & 0x1F, c >> 8 & 0x1F);
    let most = (lane & segment) | (clamp & !segment);
    let least = lane & segment;
    let b = b & 0x1F;
    let (from, fits) = match op {
        Shuffle::Up => (lane.wrapping_sub(b), lane as i32 - b as i32 >= most as i32),
        Shuffle::Down => (lane + b, lane + b <= most),
        Shuffle::Bfly => (lane ^ b, (lane ^ b) <= most),
        Shuffle::Idx => {
            let from = least | (b & !segment);
            (from, from <= most)
        }
    };
    if fits { (from & 31, true) } else { (lane, false) }
}

#[inline(always)]
pub(super) fn shuffle(warp: &mut Warp, cx: &Context<'_>, active: u32, members: u32, op: &Op) -> Result<(), Stopped> {
    let Op::Shuffle { op, d, p, a, b, c, .. } = *op else { return Ok(()) };
    let (values, b, c) = (*warp.files.r32(a), warp.files.r32(b), warp.files.r32(c));
    let mut out = [0; LANES];
    let mut valid = 0_u32;
    for lane in 0..LANES {
        let (from, fits) = source(op, lane as u32, b[lane], c[lane]);
        out[lane] = values[from as usize];
        valid |= u32::from(fits) << lane;
    }
    if active != ALL || members != ALL {
        let mut bad = 0;
        for lane in lanes_of(active & valid) {
            let (from, _) = source(op, lane as u32, b[lane], c[lane]);
            bad |= u32::from((active & members) >> from & 1 == 0) << lane;
        }
        if bad != 0 {
            let lane = bad.trailing_zeros() as usize;
            let explanation =
                "the thread reads from a lane that does not take part: the result is undefined".to_owned();
            return Err(cx.fault(FaultKind::Undefined, warp.pc, Who::lane(warp.index, lane), explanation));
        }
    }
    warp.files.put32(d, active, &out);
    warp.files.put_pred(p, active, valid);
    Ok(())
}

pub(super) fn vote(warp: &mut Warp, active: u32, members: u32, op: &Op) {
    let Op::Vote { op, d, p, negated, .. } = *op else { return };
    let predicate = warp.files.pred(p) ^ if negated { ALL } else { 0 };
    let voters = active & members;
    let yes = predicate & voters;
    let answer = match op {
        Vote::Ballot => return warp.files.put32(d, active, &[yes; LANES]),
        Vote::All => yes == voters,
        Vote::Any => yes != 0,
        Vote::Uni => yes == voters || yes == 0,
    };
    warp.files.put_pred(d, active, if answer { ALL } else { 0 });
}

pub(super) fn matching(warp: &mut Warp, active: u32, members: u32, op: &Op) {
    let Op::Match { all, wide, d, p, a, .. } = *op else { return };
    let value = |lane: usize| match wide {
        true => warp.files.r64(a)[lane],
        false => u64::from(warp.files.r32(a)[lane]),
    };
    let takers = active & members;
    let mut out = [0_u32; LANES];
    for lane in lanes_of(active) {
        for other in lanes_of(takers) {
            out[lane] |= u32::from(value(other) == value(lane)) << other;
        }
    }
    if all {
        let same = lanes_of(active).all(|lane| out[lane] == takers);
        out = [if same { takers } else { 0 }; LANES];
        warp.files.put_pred(p, active, if same { ALL } else { 0 });
    }
    warp.files.put32(d, active, &out);
}

pub(super) fn redux(warp: &mut Warp, active: u32, members: u32, op: &Op) {
    let Op::Redux { op, d, a, .. } = *op else { return };
    let values = warp.files.r32(a);
    let taken = lanes_of(active & members).map(|lane| values[lane]);
    let result = match op {
        Redux::Add => taken.fold(0, u32::wrapping_add),
        Redux::MinS => taken.map(|value| value as i32).min().unwrap_or(0) as u32,
        Redux::MaxS => taken.map(|value| value as i32).max().unwrap_or(0) as u32,
        Redux::MinU => taken.min().unwrap_or(0),
        Redux::MaxU => taken.max().unwrap_or(0),
        Redux::And => taken.fold(ALL, |all, value| all & value),
        Redux::Or => taken.fold(0, |all, value| all | value),
        Redux::Xor => taken.fold(0, |all, value| all ^ value),
    };
    warp.files.put32(d, active, &[result; LANES]);
}

pub(super) fn elect(warp: &mut Warp, active: u32, members: u32, d: Reg, p: Reg) {
    let leader = (active & members).trailing_zeros();
    warp.files.put32(d, active, &[leader; LANES]);
    warp.files.put_pred(p, active, 1 << (leader & 31));
}
