//! Where lanes of a warp wait for each other: member masks, `.aligned`, `bar.warp.sync`.

use super::context::{Context, Stopped, Who};
use super::lanes::{ALL, Lanes32, lanes_of};
use super::warp::{Meeting, Warp};
use crate::fault::FaultKind;
use crate::ir::op::{Op, Reg};

/// Whether an operation can go on now, or another set of lanes runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Open for groups of lanes that each come with their own member mask.
    Apart,
    Shut,
}

/// The lanes of a mask in words: `1, 3, 16 to 31`.
pub(super) fn lane_list(mask: u32) -> String {
    let mut names = Vec::new();
    let mut rest = u64::from(mask);
    while rest != 0 {
        let first = rest.trailing_zeros();
        let count = (rest >> first).trailing_ones();
        rest &= !(((1_u64 << count) - 1) << first);
        let last = first + count - 1;
        match count {
            1 => names.push(first.to_string()),
            2 => names.push(format!("{first}, {last}")),
            _ => names.push(format!("{first} to {last}")),
        }
    }
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

/// The lanes of `active` that call with the same mask as the lowest of them, and that mask.
fn first_group(active: u32, masks: &Lanes32) -> (u32, u32) {
    let members = masks[active.trailing_zeros() as usize & 31];
    let group = lanes_of(active).fold(0, |group, lane| group | u32::from(masks[lane] == members) << lane);
    (group, members)
}

/// Each group of lanes with one mask, and that mask.
pub(super) fn groups(mut active: u32, masks: Lanes32) -> impl Iterator<Item = (u32, u32)> {
    std::iter::from_fn(move || {
        let (group, members) = (active != 0).then(|| first_group(active, &masks))?;
        active &= !group;
        Some((group, members))
    })
}

#[inline(never)]
fn slow_gate(warp: &mut Warp, cx: &Context<'_>, active: u32, members: u32, mask: Reg) -> Result<(Gate, u32), Stopped> {
    let values = *warp.files.r32(mask);
    let several = lanes_of(active).any(|lane| values[lane] != members);
    // Unchecked, the operation is done by those who are here.
    let checked = cx.grid.launch.checks.sync;
    let members = if checked { members } else { members | active };
    let open = Ok((if several { Gate::Apart } else { Gate::Open }, members));
    // Groups of lanes may each come with their own mask, as long as each is in its own and agrees with the others.
    let outside = lanes_of(active).find(|lane| values[*lane] >> lane & 1 == 0);
    let missing = groups(active, values).fold(0, |missing, (group, members)| missing | members & warp.live & !group);
    if let Some(lane) = outside.filter(|_| checked) {
        let explanation =
            format!("the thread calls with the member mask {:#010x}, which does not name it", values[lane]);
        return Err(cx.fault(FaultKind::BadMask, warp.pc, Who::lane(warp.index, lane), explanation));
    }
    if missing == 0 {
        return open;
    }
    let named = lane_list(missing);
    let explanation = if missing & active != 0 {
        format!("threads of one set call with member masks that contradict each other about lanes {named}")
    } else if missing & warp.mask != 0 {
        format!("the member mask {members:#010x} names lanes {named} whose guard switches this instruction off")
    } else {
        match warp.meet() {
            Meeting::Here | Meeting::Switched => return Ok((Gate::Shut, members)),
            Meeting::Never => format!("lanes {named}, named by the member mask {members:#010x}, never come"),
        }
    };
    if !checked {
        return open;
    }
    Err(cx.fault(FaultKind::BadMask, warp.pc, Who::warp(warp.index), explanation))
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
    // Unchecked, those who are here do it.
    if !cx.grid.launch.checks.sync {
        return Ok(Gate::Open);
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

/// `bar.warp.sync`: lanes may wait at different places, each group of them for its own mask.
#[inline(always)]
pub(super) fn warp_sync(warp: &mut Warp, cx: &mut Context<'_>, active: u32, mask: Reg) -> Result<Gate, Stopped> {
    if active == ALL && warp.files.r32(mask).iter().all(|members| *members == ALL) {
        cx.order.meet(warp.agent, ALL);
        return Ok(Gate::Open);
    }
    meet_apart(warp, cx, active, mask)
}

#[inline(never)]
fn meet_apart(warp: &mut Warp, cx: &mut Context<'_>, active: u32, mask: Reg) -> Result<Gate, Stopped> {
    let code = &cx.grid.program.code;
    let mut free = 0;
    for (group, members) in groups(active, *warp.files.r32(mask)) {
        // Lanes that wait at some bar.warp.sync with the same mask.
        let elsewhere = warp.waiting_sets().fold(0, |all, (pc, lanes)| match code[pc].op {
            Op::WarpSync { mask } => {
                let masks = warp.files.r32(mask);
                all | lanes_of(lanes).fold(0, |same, lane| same | u32::from(masks[lane] == members) << lane)
            }
            _ => all,
        });
        let here = group | elsewhere;
        if here & members == here && members & warp.live & !here == 0 {
            // Those of the mask that have exited count as arrived.
            cx.order.meet(warp.agent, here | members & warp.launched & !warp.live);
            warp.release(elsewhere);
            free |= group;
        }
    }
    if free == active {
        return Ok(Gate::Open);
    }
    if free != 0 {
        // The lanes whose group is complete go on; the others stay here.
        warp.send(free, warp.pc + 1);
    }
    let (gate, _) = gate(warp, cx, active & !free, mask)?;
    if gate != Gate::Shut {
        for (group, members) in groups(active & !free, *warp.files.r32(mask)) {
            cx.order.meet(warp.agent, group | members & warp.launched & !warp.live);
        }
    }
    Ok(gate)
}

#[cfg(test)]
mod tests {
    use super::lane_list;

    #[test]
    fn runs_of_lanes_are_named_by_their_ends() {
        for (mask, words) in [
            (0, ""),
            (1, "0"),
            (0b1101, "0, 2, 3"),
            (0xFFFF_0000, "16 to 31"),
            (0x8000_00F2, "1, 4 to 7, 31"),
            (u32::MAX, "0 to 31"),
        ] {
            assert_eq!(lane_list(mask), words, "{mask:#x}");
        }
    }
}
