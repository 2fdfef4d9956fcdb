//! The step loop: runs a warp until it has to wait.

use super::asynchronous;
use super::collective;
use super::context::{Context, LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, Stopped, Who};
use super::copies;
use super::gates::{self, Gate};
use super::lanes::{ALL, LANES, each};
use super::special::special;
use super::turns::{arrive, branch_table, left, too_long};
use super::warp::{Stop, Warp};
use super::{access, atomic, bits, convert, float, float_compare, integer, issue, matrix, narrow, turns, words};
use crate::fault::FaultKind;
use crate::ir::matrix::Matrix;
use crate::ir::op::{Op, Reg, Scope};
use crate::ir::types::Space;

/// Operations after which a warp lets others run, for kernels that spin on each other's memory.
const BUDGET: u64 = 1 << 20;
/// Strong reads after which it does so: it may be waiting for another warp to write.
const PATIENCE: u32 = 1 << 8;
/// Joins between two turns of a diverged warp's other sets, for lanes that spin on each other.
const ROTATION: u64 = 1 << 12;

macro_rules! versions {
    ($($name:ident: $features:literal;)*) => {
        $(
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = $features)]
            fn $name(warp: &mut Warp, cx: &mut Context<'_>) -> Result<Stop, Stopped> {
                run_here(warp, cx)
            }
        )*
    };
}

versions! {
    run_avx2: "avx2,fma,bmi1,bmi2,lzcnt,popcnt";
}

fn run_portable(warp: &mut Warp, cx: &mut Context<'_>) -> Result<Stop, Stopped> {
    run_here(warp, cx)
}

/// Which build of the step loop this processor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Version {
    /// The fastest one that the processor has.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Runs `warp` until it waits, ends, or has had its turn.
    pub(crate) fn run(self, warp: &mut Warp, cx: &mut Context<'_>) -> Result<Stop, Stopped> {
        match self {
            // SAFETY: `detect` has found every feature that the function is compiled for.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { run_avx2(warp, cx) },
            Self::Portable => run_portable(warp, cx),
        }
    }
}

/// The part of the running set that a guard lets through.
#[inline(always)]
fn active_lanes(warp: &Warp, pred: Reg, negated: bool) -> u32 {
    if pred.is_none() {
        return warp.mask;
    }
    let holds = warp.files.pred(pred);
    warp.mask & if negated { !holds } else { holds }
}

#[inline(always)]
fn run_here(warp: &mut Warp, cx: &mut Context<'_>) -> Result<Stop, Stopped> {
    let program = cx.grid.program;
    let limit = cx.grid.launch.instruction_limit;
    let turn = (warp.steps + BUDGET).min(limit);
    let mut joins = 0_u64;
    warp.strong_reads = 0;
    loop {
        let inst = &program.code[warp.pc];
        let active = active_lanes(warp, inst.guard.pred, inst.guard.negated);
        let executed = &mut cx.executed[warp.pc];
        executed.warps += 1;
        executed.threads += u64::from(active.count_ones());
        executed.guarded_off += u64::from((warp.mask & !active).count_ones());
        warp.steps += 1;
        match inst.op {
            Op::Join => {
                let here = warp.pc;
                if !warp.is_whole() {
                    joins += 1;
                    let rotate = std::mem::take(&mut warp.rotate) || joins.is_multiple_of(ROTATION);
                    warp.join(rotate);
                    // A set that stands lower runs now; one that has its turn leaves its own join behind at once.
                    if warp.pc != here && !(rotate && matches!(program.code[warp.pc].op, Op::Join)) {
                        continue;
                    }
                }
                warp.pc += 1;
                if warp.steps >= turn || warp.strong_reads >= PATIENCE {
                    if warp.steps >= limit {
                        return Err(too_long(warp, cx, limit));
                    }
                    // Who it waits for may be another set of its own lanes.
                    warp.rotate = warp.strong_reads >= PATIENCE;
                    return Ok(Stop::Budget);
                }
            }
            Op::Jump { target } => warp.pc = target as usize,
            Op::Branch { target } => {
                if active == warp.mask {
                    warp.pc = target as usize;
                } else if active == 0 {
                    warp.pc += 1;
                } else {
                    executed.divergent += 1;
                    warp.part(active, target as usize, warp.pc + 1);
                }
            }
            Op::BranchTable { table, index } => branch_table(warp, cx, active, table, index)?,
            Op::Exit => {
                // Lanes that the guard keeps go on; else another set is taken up.
                let stays = warp.mask & !active != 0;
                asynchronous::leave_thread(warp, cx, active)?;
                cx.order.exit(warp.agent, active);
                if !warp.exit(active) {
                    return left(warp, cx);
                }
                warp.pc += usize::from(stays);
            }
            Op::Trap => {
                if active != 0 {
                    let lane = active.trailing_zeros() as usize;
                    let explanation = "the kernel gave up: a panic, an assertion or an explicit trap".to_owned();
                    return Err(cx.fault(FaultKind::Trap, warp.pc, Who::lane(warp.index, lane), explanation));
                }
                warp.pc += 1;
            }
            Op::Async(ref op) => {
                if active == 0 {
                    warp.pc += 1;
                } else if let Some(stop) = asynchronous::execute(warp, cx, active, op)? {
                    return Ok(stop);
                }
            }
            Op::Matrix(Matrix::Registers { count, more }) => {
                if active == 0 {
                    warp.pc += 1;
                } else if gates::aligned_gate(warp, cx, active)? == Gate::Open {
                    if matrix::set_registers(warp, cx, count, more)? {
                        return Ok(Stop::Registers);
                    }
                    warp.pc += 1;
                }
            }
            Op::Barrier { .. } => {
                if active == 0 {
                    warp.pc += 1;
                } else if arrive(warp, cx, active, &inst.op)? {
                    return Ok(Stop::Barrier);
                }
            }
            ref op => {
                // Guarded off for every lane: nothing to do, and no address to look at.
                if active == 0 || compute(warp, cx, active, op)? != Gate::Shut {
                    warp.pc += 1;
                }
            }
        }
    }
}

/// Everything that does not change where the warp goes.
#[inline(always)]
fn compute(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Op) -> Result<Gate, Stopped> {
    let files = &mut warp.files;
    let pool = &cx.grid.program.pool;
    match *op {
        Op::Int2 { op, width, d, a, b } => integer::int2(files, op, width, active, [d, a, b]),
        Op::Int1 { op, width, d, a } => integer::int1(files, op, width, active, d, a),
        Op::Count { op, width, d, a } => bits::count(files, op, width, active, d, a),
        Op::Shift { op, width, d, a, b } => integer::shift(files, op, width, active, [d, a, b]),
        Op::Mad { op, width, d, a, b, c } => integer::mad(files, op, width, active, [d, a, b, c]),
        Op::MulWide { kind, d, a, b } => integer::mad_wide(files, kind, active, [d, a, b], None),
        Op::MadWide { kind, d, a, b, c } => integer::mad_wide(files, kind, active, [d, a, b], Some(c)),
        Op::Carry { .. } => warp.carry = integer::carry(files, op, active, warp.carry),
        Op::BitExtract { .. } | Op::BitInsert { .. } => bits::bit_field(files, op, active),
        Op::Permute { d, a, b, c } => files.map3_32(active, [d, a, b, c], bits::permute),
        Op::Lop3 { table, d, a, b, c } => {
            files.map3_32(active, [d, a, b, c], |a, b, c| bits::lop3(table, a, b, c));
        }
        Op::Funnel { left, clamp, d, a, b, c } => {
            files.map3_32(active, [d, a, b, c], |a, b, c| bits::funnel(left, clamp, a, b, c));
        }
        Op::Dot4 { a_signed, b_signed, d, a, b, c } => {
            files.map3_32(active, [d, a, b, c], |a, b, c| bits::dot4(a_signed, b_signed, a, b, c));
        }
        Op::Word(ref op) => words::words(files, op, active),
        Op::MadCarry(ref op) => warp.carry = words::mad_carry(files, op, active, warp.carry),
        Op::Sad { kind, d, a, b, c } => integer::sad(files, kind, active, [d, a, b, c]),
        Op::Mov { wide: false, d, a } => {
            let value = *files.r32(a);
            files.put32(d, active, &value);
        }
        Op::Mov { wide: true, d, a } => {
            let value = *files.r64(a);
            files.put64(d, active, &value);
        }
        Op::Pack { bits, wide, d, parts } => {
            let mut out = [0_u64; LANES];
            let regs = &pool[parts.start as usize..(parts.start + parts.len) as usize];
            for (index, reg) in regs.iter().enumerate() {
                let values = files.r32(*reg);
                for lane in 0..LANES {
                    out[lane] |= u64::from(values[lane]) << (usize::from(bits) * index);
                }
            }
            match wide {
                true => files.put64(d, active, &out),
                false => files.put32(d, active, &each(&out, |value| value as u32)),
            }
        }
        Op::Unpack { bits, wide, parts, a } => {
            let source = if wide { *files.r64(a) } else { each(files.r32(a), u64::from) };
            let regs = &pool[parts.start as usize..(parts.start + parts.len) as usize];
            let keep = u32::MAX >> (32 - u32::from(bits));
            for (index, reg) in regs.iter().enumerate() {
                let out = each(&source, |value| (value >> (usize::from(bits) * index)) as u32 & keep);
                files.put32(*reg, active, &out);
            }
        }
        Op::Select { wide, d, a, b, p } => {
            let p = files.pred(p);
            if wide {
                let mut out = *files.r64(b);
                let a = files.r64(a);
                for lane in 0..LANES {
                    out[lane] = if p >> lane & 1 == 1 { a[lane] } else { out[lane] };
                }
                files.put64(d, active, &out);
            } else {
                let mut out = *files.r32(b);
                let a = files.r32(a);
                for lane in 0..LANES {
                    out[lane] = if p >> lane & 1 == 1 { a[lane] } else { out[lane] };
                }
                files.put32(d, active, &out);
            }
        }
        Op::Special { what, d } => special(warp, cx, active, what, d),
        Op::ActiveMask { d } => files.put32(d, active, &[active; LANES]),
        Op::PredConst { d, value } => files.put_pred(d, active, if value { ALL } else { 0 }),
        Op::PredMov { d, a, negated } => {
            let value = files.pred(a);
            files.put_pred(d, active, if negated { !value } else { value });
        }
        Op::PredLogic { op, d, a, b } => {
            let value = integer::logic(op, files.pred(a), files.pred(b));
            files.put_pred(d, active, value);
        }
        Op::CompareInt { op, kind, d, a, b } => integer::compare(files, op, kind, active, [d, a, b]),
        Op::CompareFloat { op, kind, flush, d, a, b } => {
            float_compare::compare(files, op, kind, flush, active, [d, a, b])
        }
        Op::TestFloat { kind, test, d, a } => float_compare::test(files, kind, test, active, d, a),
        Op::Float2 { op, kind, mode, d, a, b } => float::float2(files, op, kind, mode, active, [d, a, b]),
        Op::Float1 { op, kind, mode, d, a } => float::float1(files, op, kind, mode, active, d, a),
        Op::Fma { kind, mode, d, a, b, c } => float::fma(files, kind, mode, active, [d, a, b, c]),
        Op::Convert { how, reg, d, a } => convert::convert(files, how, reg, active, d, a),
        Op::Narrow(ref op) => narrow::narrow(files, active, op),
        Op::ToGeneric { space, d, a } => files.map1_64(active, d, a, |a| a.wrapping_add(window(space))),
        Op::FromGeneric { space, d, a } => files.map1_64(active, d, a, |a| a.wrapping_sub(window(space))),
        Op::IsSpace { space, d, a } => {
            let rank = cx.rank;
            files.test2_64(active, [d, a, a], |a, _| match access::space_of(a) {
                (Space::Shared, start) => asynchronous::in_window(space, rank, a - start),
                (found, _) => found == space,
            });
        }
        Op::Load { access, regs, addr } => access::load(warp, cx, active, access, regs, addr)?,
        Op::Store { access, regs, addr } => access::store(warp, cx, active, access, regs, addr)?,
        Op::Atomic { .. } => atomic::atomic(warp, cx, active, op)?,
        Op::AtomicPair(ref op) => atomic::atomic_pair(warp, cx, active, op)?,
        Op::Shuffle { mask, .. } => match gates::gate(warp, cx, active, mask)? {
            (Gate::Open, members) => collective::shuffle(warp, cx, active, members, op)?,
            (Gate::Apart, _) => return apart(warp, cx, active, op, mask),
            (Gate::Shut, _) => return Ok(Gate::Shut),
        },
        Op::Vote { mask, .. } | Op::Match { mask, .. } | Op::Redux { mask, .. } | Op::Elect { mask, .. } => {
            return group(warp, cx, active, op, mask);
        }
        Op::WarpSync { mask } => return gates::warp_sync(warp, cx, active, mask),
        Op::Matrix(ref op) => return matrix::matrix(warp, cx, active, op),
        Op::CopyAsync { .. } => issue::copy_async(warp, cx, active, op)?,
        Op::CopyCommit => cx.asynchronous.copies[warp.agent.at()].commit(active),
        Op::CopyWait { pending, all } => copies::wait(warp, cx, active, pending, all)?,
        Op::Defined { p, name } => {
            let undefined = active & !files.pred(p);
            if undefined != 0 && cx.grid.launch.checks.init {
                return Err(turns::undefined(warp, cx, undefined, name));
            }
        }
        Op::Fence { scope } => cx.order.fence(warp.agent, active, scope >= Scope::Gpu),
        Op::Hint => {}
        // The loop itself takes these.
        Op::Join
        | Op::Jump { .. }
        | Op::Branch { .. }
        | Op::BranchTable { .. }
        | Op::Exit
        | Op::Trap
        | Op::Async(_)
        | Op::Barrier { .. } => {}
    }
    Ok(Gate::Open)
}

#[inline(never)]
fn group(warp: &mut Warp, cx: &Context<'_>, active: u32, op: &Op, mask: Reg) -> Result<Gate, Stopped> {
    match gates::gate(warp, cx, active, mask)? {
        (Gate::Open, members) => collective::together(warp, cx, active, members, op)?,
        (Gate::Apart, _) => return apart(warp, cx, active, op, mask),
        (Gate::Shut, _) => return Ok(Gate::Shut),
    }
    Ok(Gate::Open)
}

/// Groups of lanes with their own member masks: each by itself.
#[cold]
#[inline(never)]
fn apart(warp: &mut Warp, cx: &Context<'_>, active: u32, op: &Op, mask: Reg) -> Result<Gate, Stopped> {
    for (group, members) in gates::groups(active, *warp.files.r32(mask)) {
        collective::together(warp, cx, group, members, op)?;
    }
    Ok(Gate::Open)
}

fn window(space: Space) -> u64 {
    match space {
        Space::Shared | Space::Cluster => SHARED_WINDOW,
        Space::Local => LOCAL_WINDOW,
        Space::Param => PARAM_WINDOW,
        Space::Generic | Space::Global => 0,
    }
}
