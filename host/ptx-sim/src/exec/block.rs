//! A cluster of blocks, mostly of one: its warps take turns until all have exited.

use super::asynchronous;
use super::context::{Context, Stopped, Who};
use super::lanes::{ALL, LANES};
use super::matrix::{check_end, holds, waits_for_registers};
use super::order::Clock;
use super::step::Version;
use super::warp::{Stop, Waiting, Warp};
use crate::fault::FaultKind;
use crate::ir::op::BarrierKind;
use crate::launch::Schedule;

/// Runs the blocks that `cx` has entered, together. `warps` are used again from cluster to cluster.
pub(crate) fn run_cluster(
    version: Version,
    cx: &mut Context<'_>,
    warps: &mut Vec<Warp>,
    number: u64,
) -> Result<(), Stopped> {
    let grid = cx.grid;
    let (blocks, count) = (cx.shared.len(), grid.threads.div_ceil(32) as usize);
    warps.resize_with(blocks * count, Warp::default);
    for (at, warp) in warps.iter_mut().enumerate() {
        let index = (at % count) as u32;
        warp.reset((cx.agent(at / count, index), index), grid.threads, grid.program, &grid.constants);
    }
    let mut order: Vec<usize> = (0..blocks * count).collect();
    let (mut round, mut idle) = (0_u64, 0);
    let mut arrived: Vec<[Vec<Arrival>; 16]> = (0..blocks).map(|_| Default::default()).collect();
    let mut exited: Vec<Clock> = (0..blocks).map(|_| Clock::default()).collect();
    loop {
        arrange(&mut order, grid.launch.schedule, number, round);
        let (mut ran, mut tested) = (false, false);
        let before = cx.asynchronous.version;
        for at in &order {
            let warp = &mut warps[*at];
            if warp.is_done() || warp.waiting.is_some() || holds(cx, warp) || asynchronous::holds(cx, warp) {
                continue;
            }
            cx.turn_to(at / count);
            asynchronous::drift(cx)?;
            let stop = loop {
                let stop = version.run(warp, cx)?;
                let arrives = |waiting: &Waiting| waiting.kind == BarrierKind::Arrive;
                let Some(waiting) = warp.waiting.filter(|waiting| stop == Stop::Barrier && arrives(waiting)) else {
                    break stop;
                };
                // A warp that only arrives goes on at once; what it did up to here is released to the others.
                warp.waiting = None;
                let clock = cx.order.release(warp.agent, warp.live);
                arrived[at / count][waiting.id as usize].push(Arrival { warp: at % count, waiting, clock });
            };
            *(if stop == Stop::Spin { &mut tested } else { &mut ran }) = true;
            if stop == Stop::Done {
                let own = at / count * count..(at / count + 1) * count;
                let (rank, agent) = (at / count, warp.agent);
                exited[rank].join(&cx.order.release(agent, warp.launched));
                let last = warps[own].iter().all(Warp::is_done);
                asynchronous::leave_block(cx, rank, agent, last)?;
                if last {
                    check_end(cx)?;
                }
            }
        }
        for rank in 0..blocks {
            cx.turn_to(rank);
            let warps = &mut warps[rank * count..(rank + 1) * count];
            ran |= release(cx, warps, &mut arrived[rank], &exited[rank])?;
        }
        if warps.iter().all(Warp::is_done) {
            return Ok(());
        }
        idle = if ran || cx.asynchronous.version != before { 0 } else { idle + 1 };
        // Tests of mbarriers alone change nothing, but their loop may count.
        if idle > 0 && (!tested || idle > asynchronous::IDLE_ROUNDS) {
            return Err(deadlock(cx, warps, &arrived));
        }
        round += 1;
    }
}

/// The order of the warps in a round. Downwards and upwards in turn: a missing barrier shows whichever of
/// two warps it should have held back.
fn arrange(order: &mut [usize], schedule: Schedule, block: u64, round: u64) {
    match schedule {
        Schedule::Late | Schedule::Eager => {
            order.sort_unstable();
            if round % 2 == 1 {
                order.reverse();
            }
        }
        Schedule::Random(seed) => {
            let mut state =
                seed ^ block.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round.wrapping_mul(0xD1B5_4A32_D192_ED03);
            for index in (1..order.len()).rev() {
                order.swap(index, (split_mix(&mut state) % (index as u64 + 1)) as usize);
            }
        }
    }
}

/// SplitMix64.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut value = *state;
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A warp at a barrier, and what it has released there: nothing yet for one that waits.
struct Arrival {
    warp: usize,
    waiting: Waiting,
    clock: Clock,
}

/// Opens every barrier at which all have arrived; returns whether one was. `exited` is what the warps that are
/// gone have done.
fn release(
    cx: &mut Context<'_>,
    warps: &mut [Warp],
    arrived: &mut [Vec<Arrival>; 16],
    exited: &Clock,
) -> Result<bool, Stopped> {
    let live = warps.iter().filter(|warp| !warp.is_done()).count();
    let mut any = false;
    for (id, early) in arrived.iter_mut().enumerate() {
        let at = |warp: &Warp| warp.waiting.filter(|waiting| waiting.id as usize == id);
        let here: Vec<(usize, Waiting)> =
            warps.iter().enumerate().filter_map(|(index, warp)| Some((index, at(warp)?))).collect();
        let first = here.first().copied().or(early.first().map(|early| (early.warp, early.waiting)));
        let Some((first, like)) = first else { continue };
        let all = || here.iter().copied().chain(early.iter().map(|early| (early.warp, early.waiting)));
        // Unchecked, the first to come says what the barrier is for.
        let checked = cx.grid.launch.checks.sync;
        if let Some((index, other)) = all().find(|(_, other)| checked && other.count != like.count) {
            let what = |count: Option<u32>| count.map_or("all threads".to_owned(), |count| format!("{count} threads"));
            let (one, two) = (what(like.count), what(other.count));
            let explanation = format!("warp {index} arrives at barrier {id} for {two}, warp {first} for {one}");
            return Err(contradiction(cx, (&warps[index], other), (&warps[first], like), explanation));
        }
        // Reductions go with nothing but the same reduction.
        let reduces = |kind| !matches!(kind, BarrierKind::Sync | BarrierKind::Arrive);
        let mixed = |other: BarrierKind| other != like.kind && (reduces(other) || reduces(like.kind));
        if let Some((index, other)) = all().find(|(_, other)| checked && mixed(other.kind)) {
            let explanation = format!("warp {index} and warp {first} use barrier {id} for different reductions");
            return Err(contradiction(cx, (&warps[index], other), (&warps[first], like), explanation));
        }
        let expected = like.count.map_or(live, |threads| threads as usize / 32);
        let present = here.len() + early.len();
        if checked && present > expected {
            let explanation = format!("{present} warps arrive at barrier {id}, which is for {expected}");
            let (last, other) = all().last().unwrap_or((first, like));
            return Err(contradiction(cx, (&warps[last], other), (&warps[first], like), explanation));
        }
        // Those that only arrive may do so before anyone waits.
        if present < expected || here.is_empty() {
            continue;
        }
        any = true;
        // What everybody who arrived has done comes before what those who waited do from now on.
        let mut clock = Clock::default();
        early.drain(..).for_each(|early| clock.join(&early.clock));
        // Exited threads count as arrived (PTX ISA, "exit"): a barrier of all is released by the last exit too.
        if like.count.is_none() {
            clock.join(exited);
        }
        for (index, _) in &here {
            clock.join(&cx.order.release(warps[*index].agent, warps[*index].launched));
        }
        cx.order.share_fences(here.iter().map(|(index, _)| warps[*index].agent));
        for (index, _) in &here {
            cx.order.acquire(warps[*index].agent, warps[*index].live, &clock);
        }
        if here.len() == live {
            cx.shared[cx.rank].shadow.settle(&clock);
        }
        let votes = here.iter().map(|(_, waiting)| waiting.votes.count_ones()).sum::<u32>();
        let full = here.iter().all(|(_, waiting)| waiting.votes == waiting.result.1);
        for (index, waiting) in &here {
            finish(&mut warps[*index], waiting, votes, full);
        }
    }
    Ok(any)
}

/// Two warps do not agree on a barrier.
#[cold]
fn contradiction(
    cx: &Context<'_>,
    (warp, waiting): (&Warp, Waiting),
    (other, like): (&Warp, Waiting),
    explanation: String,
) -> Stopped {
    let mut fault = cx.fault(FaultKind::BadBarrier, waiting.pc as usize, Who::warp(warp.index), explanation);
    fault.other = Some(cx.party(other.agent, other.launched, like.pc as usize));
    fault
}

/// Lets a warp go on behind its barrier, with the result of a reduction.
fn finish(warp: &mut Warp, waiting: &Waiting, votes: u32, full: bool) {
    let (d, lanes) = waiting.result;
    let pred = |value: bool| if value { ALL } else { 0 };
    match waiting.kind {
        BarrierKind::Sync | BarrierKind::Arrive => {}
        BarrierKind::RedPopc => warp.files.put32(d, lanes, &[votes; LANES]),
        BarrierKind::RedAnd => warp.files.put_pred(d, lanes, pred(full)),
        BarrierKind::RedOr => warp.files.put_pred(d, lanes, pred(votes != 0)),
    }
    warp.waiting = None;
}

/// Every warp that is left waits: says where each of them stands.
#[cold]
fn deadlock(cx: &mut Context<'_>, warps: &[Warp], arrived: &[[Vec<Arrival>; 16]]) -> Stopped {
    let mut states = Vec::new();
    let mut first = None;
    let count = warps.len() / arrived.len();
    for (at, warp) in warps.iter().enumerate() {
        let rank = at / count;
        let [x, y, z] = cx.shared[rank].block;
        let of = if arrived.len() == 1 { String::new() } else { format!(" of block ({x}, {y}, {z})") };
        let waits = match warp.waiting {
            Some(waiting) => {
                let id = waiting.id;
                let block = &warps[rank * count..(rank + 1) * count];
                let here = block.iter().filter(|warp| warp.waiting.is_some_and(|waiting| waiting.id == id)).count()
                    + arrived[rank][id as usize].len();
                let live = block.iter().filter(|warp| !warp.is_done()).count();
                let wanted = waiting.count.map_or(live, |threads| threads as usize / 32);
                let of = waiting.count.map_or("all threads".to_owned(), |count| format!("{count} threads"));
                let detail = format!("{here} of {wanted} warps have arrived");
                Some((waiting.pc as usize, format!("at barrier {id} for {of}"), detail))
            }
            None if warp.is_done() => None,
            None => waits_for_registers(cx, warp).or_else(|| asynchronous::waits_for(cx, warp)),
        };
        let state = match waits {
            Some((pc, what, detail)) => {
                first = first.or(Some((pc, warp.index, rank)));
                let line = cx.grid.program.origins[pc].line;
                Some(format!("{what} (line {line}): {detail}"))
            }
            None => None,
        };
        // Warps that follow each other and wait for the same thing are told once.
        match states.last_mut() {
            Some((_, last, place, known)) if *place == of && *known == state => *last = warp.index,
            _ => states.push((warp.index, warp.index, of, state)),
        }
    }
    let words = |(first, last, of, state): &(u32, u32, String, Option<String>)| {
        let (who, waits, has) = match first == last {
            true => (format!("warp {first}"), "waits", "has"),
            false => (format!("warps {first} to {last}"), "wait", "have"),
        };
        match state {
            Some(state) => format!("{who}{of} {waits} {state}"),
            None => format!("{who}{of} {has} exited"),
        }
    };
    let states: Vec<String> = states.iter().map(words).collect();
    let (pc, warp, rank) = first.unwrap_or((0, 0, 0));
    cx.turn_to(rank);
    let explanation = format!("no warp can go on: {}", states.join("; "));
    cx.fault(FaultKind::Deadlock, pc, Who::warp(warp), explanation)
}
