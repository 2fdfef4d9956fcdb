//! Where a warp's turn ends or its lanes part many ways: branch tables, exits, barriers.

use super::context::{Context, Stopped, Who};
use super::gates::{self, Gate};
use super::lanes::{ALL, lanes_of};
use super::matrix::check_exit;
use super::warp::{Stop, Waiting, Warp};
use crate::fault::{FaultKind, Severity};
use crate::ir::op::{Op, Reg};

#[inline(never)]
pub(super) fn branch_table(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    active: u32,
    table: u32,
    index: Reg,
) -> Result<(), Stopped> {
    let targets = &cx.grid.program.tables[table as usize];
    let values = *warp.files.r32(index);
    let pc = warp.pc;
    let mut left = active;
    let mut parted = false;
    while left != 0 {
        let lane = left.trailing_zeros() as usize;
        let Some(target) = targets.get(values[lane] as usize) else {
            let explanation = format!("index {} of a table of {} targets", values[lane], targets.len());
            return Err(cx.fault(FaultKind::Undefined, pc, Who::lane(warp.index, lane), explanation));
        };
        let mut same = 0;
        for other in lanes_of(left) {
            same |= u32::from(values[other] == values[lane]) << other;
        }
        left &= !same;
        parted |= same != warp.mask;
        warp.send(same, *target as usize);
    }
    cx.executed[pc].divergent += u64::from(parted);
    if warp.mask == 0 {
        warp.next_set();
    } else {
        // Lanes that the guard kept fall through; lower sets run first.
        warp.pc += 1;
        warp.join(false);
    }
    Ok(())
}

/// No set can run on: the warp is done, or lanes wait for others that have exited.
#[cold]
pub(super) fn left(warp: &mut Warp, cx: &Context<'_>) -> Result<Stop, Stopped> {
    if !warp.is_stuck() {
        check_exit(warp, cx)?;
        return Ok(Stop::Done);
    }
    let (pc, mask) = warp.first_waiting().unwrap_or((warp.pc, 0));
    let explanation = format!("lanes {mask:#010x} wait here for lanes of their warp that never come");
    Err(cx.fault(FaultKind::Divergence, pc, Who::warp(warp.index), explanation))
}

/// Lanes `lanes` are about to read a register that they never wrote.
#[cold]
pub(super) fn undefined(warp: &Warp, cx: &Context<'_>, lanes: u32, name: u32) -> Stopped {
    let register = &cx.grid.program.register_names[name as usize];
    let explanation = format!("the thread reads register {register}, which it has not written");
    cx.fault(FaultKind::Uninitialised, warp.pc, Who::lane(warp.index, lanes.trailing_zeros() as usize), explanation)
}

#[cold]
pub(super) fn too_long(warp: &Warp, cx: &Context<'_>, limit: u64) -> Stopped {
    let explanation = format!("a warp has executed {limit} instructions; a loop that never ends?");
    cx.fault(FaultKind::InstructionLimit, warp.pc, Who::warp(warp.index), explanation)
}

/// A warp arrives at a barrier; `true` if it waits there now.
#[inline(never)]
pub(super) fn arrive(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Op) -> Result<bool, Stopped> {
    let Op::Barrier { kind, aligned, id, count, d, p, negated, .. } = *op else { return Ok(false) };
    // A warp arrives as a whole, also at the form that is not .aligned: its live lanes meet here first.
    if gates::aligned_gate(warp, cx, active)? == Gate::Shut {
        return Ok(false);
    }
    if aligned && warp.live != warp.launched && cx.grid.launch.checks.sync {
        // Barriers wait for threads that have not exited (PTX ISA, "bar"): early returns are common and work.
        let gone = warp.launched & !warp.live;
        cx.note((FaultKind::Divergence, warp.pc, warp.pc), Severity::Info, |cx| {
            let explanation =
                format!("lanes {} have exited: the barrier does not wait for them", gates::lane_list(gone));
            cx.fault(FaultKind::Divergence, warp.pc, Who::warp(warp.index), explanation)
        });
    }
    let lane = active.trailing_zeros() as usize;
    let uniform = |reg: Reg| {
        let values = warp.files.r32(reg);
        let same = lanes_of(active).all(|other| values[other] == values[lane]);
        same.then_some(values[lane])
    };
    let fault = |what: String| Err(cx.fault(FaultKind::BadBarrier, warp.pc, Who::warp(warp.index), what));
    let Some(id) = uniform(id) else { return fault("threads of one warp name different barriers".to_owned()) };
    if id > 15 {
        return fault(format!("barrier {id} does not exist; there are 0 to 15"));
    }
    let count = match count.is_none() {
        true => None,
        false => match uniform(count) {
            Some(threads) if threads > 0 && threads.is_multiple_of(32) => Some(threads),
            Some(threads) => return fault(format!("{threads} threads: the number has to be a multiple of 32")),
            None => return fault("threads of one warp name different numbers of threads".to_owned()),
        },
    };
    let votes = if p.is_none() { 0 } else { warp.files.pred(p) ^ if negated { ALL } else { 0 } };
    warp.waiting = Some(Waiting { kind, id, count, pc: warp.pc as u32, result: (d, active), votes: votes & active });
    warp.pc += 1;
    Ok(true)
}
