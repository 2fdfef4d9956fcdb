//! What the lanes of a warp do together: shuffles, votes, matches, reductions.

use super::block::split_mix;
use super::context::{Context, Stopped, Who};
use super::lanes::{ALL, LANES, lanes_of};
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::op::{Op, Redux, Reg, Shuffle, Vote};
use crate::launch::Schedule;

/// The operation of `active`, who call with the member mask `members`.
#[inline(always)]
pub(super) fn together(warp: &mut Warp, cx: &Context<'_>, active: u32, members: u32, op: &Op) -> Result<(), Stopped> {
    match *op {
        Op::Shuffle { .. } => shuffle(warp, cx, active, members, op)?,
        Op::Vote { .. } => vote(warp, active, members, op),
        Op::Match { .. } => matching(warp, active, members, op),
        Op::Redux { .. } => redux(warp, active, members, op),
        Op::Elect { d, p, .. } => elect(warp, cx, active, members, d, p),
        _ => {}
    }
    Ok(())
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
    let Op::Shuffle { op, d, p, a, b, c, defined, .. } = *op else { return Ok(()) };
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
    if !defined[1].is_none() {
        let known = warp.files.pred(defined[0]);
        let taken = |lane: usize| known >> source(op, lane as u32, b[lane], c[lane]).0 & 1;
        let handed = lanes_of(active).fold(0, |all, lane| all | taken(lane) << lane);
        warp.files.put_pred(defined[1], active, handed);
    }
    warp.files.put32(d, active, &out);
    warp.files.put_pred(p, active, valid);
    Ok(())
}

fn vote(warp: &mut Warp, active: u32, members: u32, op: &Op) {
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

fn matching(warp: &mut Warp, active: u32, members: u32, op: &Op) {
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

fn redux(warp: &mut Warp, active: u32, members: u32, op: &Op) {
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

/// Which lane leads is open, but the same at each call with the same mask (PTX ISA, `elect.sync`): the lowest, or by
/// the seed of a drawn schedule any.
fn elect(warp: &mut Warp, cx: &Context<'_>, active: u32, members: u32, d: Reg, p: Reg) {
    let mut able = active & members;
    if let Schedule::Random(seed) = cx.grid.launch.schedule {
        let mut state = seed ^ u64::from(able) << 32;
        for _ in 0..split_mix(&mut state) % u64::from(able.count_ones().max(1)) {
            able &= able - 1;
        }
    }
    let leader = able.trailing_zeros();
    warp.files.put32(d, active, &[leader; LANES]);
    warp.files.put_pred(p, active, 1 << (leader & 31));
}
