//! Mbarrier objects of a cluster: who may use them how, and whom a phase orders.

use super::mbarrier::{Mbarrier, Misuse, Test};
use super::report::Spin;
use super::transfer::{self, Transfer, What};
use super::{Sender, place, shared_addresses};
use crate::exec::context::{Context, Place, Stopped, Who};
use crate::exec::hazards::found_by;
use crate::exec::lanes::{LANES, lanes_of};
use crate::exec::order::{Agent, Clock, Strong};
use crate::exec::shadow::{Flight, FlightId};
use crate::exec::shared;
use crate::exec::warp::{Stop, Warp};
use crate::fault::{FaultKind, Severity};
use crate::ir::asynchronous::{Arrive, Async};
use crate::ir::lower::SHARED_BASE;

/// What the shadow calls the bytes of a live object.
pub(crate) const MBARRIER: &str = "an mbarrier";
/// Bytes of an object.
pub(super) const BYTES: usize = 8;

/// A live object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) bar: Mbarrier,
    /// Acts for the copies that complete here.
    pub(super) agent: Agent,
    /// Marks its bytes in the shadow.
    mark: FlightId,
    /// Who initialised it, and that agent's time then and at a fence behind it.
    pub(super) init: Sender,
    init_time: u32,
    pub(super) fenced: Option<u32>,
    /// What the arrivals of the current phase have released, and what those of the last one had.
    pub(super) current: Clock,
    completed: Clock,
    /// Whether a wait has seen the last phase complete; true for the phase before the first.
    observed: bool,
    /// Copies that have completed here since a wait saw a phase complete.
    pub(super) unseen: Vec<Sender>,
    /// Lanes that have used it, and when: all must come before it is invalidated.
    users: Vec<(Agent, u32, u32)>,
}

impl Object {
    /// The phase has completed: what it released is what its waits acquire.
    pub(super) fn turned(&mut self) {
        self.completed = std::mem::take(&mut self.current);
        self.observed = false;
    }

    fn used_by(&mut self, sender: Sender, time: u32) {
        let (lane, mut known) = (1 << sender.lane, false);
        // Only a lane's last use counts.
        self.users.retain_mut(|(agent, lanes, then)| {
            if *agent != sender.agent {
                return true;
            }
            let now = *then == time;
            known |= now;
            *lanes = if now { *lanes | lane } else { *lanes & !lane };
            *lanes != 0
        });
        if !known {
            self.users.push((sender.agent, lane, time));
        }
    }
}

#[cold]
fn misuse(warp: &Warp, cx: &Context<'_>, lane: usize, at: Place, what: Misuse) -> Stopped {
    let who = Who::access(warp.index, lane, at.at as u64 + u64::from(SHARED_BASE), BYTES);
    cx.fault(FaultKind::Mbarrier, warp.pc, who, what)
}

/// The object at `at`, which `lane` is about to use.
fn object<'o>(warp: &Warp, cx: &'o mut Context<'_>, lane: usize, at: Place) -> Result<&'o mut Object, Stopped> {
    let sender = Sender::of(warp, lane);
    let time = cx.order.time(warp.agent);
    let Some(object) = cx.asynchronous.objects.get(&(at.rank, at.at)) else {
        let what = "there is no live mbarrier at this address: mbarrier.init it first".to_owned();
        return Err(misuse(warp, cx, lane, at, what));
    };
    if cx.grid.launch.checks.sync && !initialised_before(cx, object, sender) {
        let what = "the mbarrier was initialised by a thread that is not ordered before this one; a barrier behind \
                    mbarrier.init is missing";
        let (init, mut fault) = (object.init, misuse(warp, cx, lane, at, what.to_owned()));
        fault.other = Some(cx.party(init.agent, 1 << init.lane, init.pc));
        return Err(fault);
    }
    match cx.asynchronous.objects.get_mut(&(at.rank, at.at)) {
        Some(object) => {
            object.used_by(sender, time);
            Ok(object)
        }
        None => unreachable!("the object was there a moment ago"),
    }
}

/// Whether the object's init comes before what `by` does now.
pub(super) fn initialised_before(cx: &Context<'_>, object: &Object, by: Sender) -> bool {
    let init = object.init;
    let lanes = 1 << init.lane;
    cx.order.ordered(init.agent, object.init_time, lanes, by.agent, by.lane as u32)
        || cx.asynchronous.proxies.init_released(cx, init, object.init_time, by)
}

/// Everything that changes an object without waiting for it.
pub(super) fn change(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<(), Stopped> {
    let mut states = [0_u64; LANES];
    if let Async::PendingCount { d, state } = *op {
        let counts = warp.files.r64(state).map(Mbarrier::pending_of);
        warp.files.put32(d, active, &counts);
        return Ok(());
    }
    let (space, addr) = match *op {
        Async::BarrierInit { space, addr, .. }
        | Async::BarrierInval { space, addr }
        | Async::BarrierBytes { space, addr, .. }
        | Async::BarrierArrive { space, addr, .. }
        | Async::CopyArrive { space, addr, .. } => (space, addr),
        _ => return Ok(()),
    };
    let addresses = shared_addresses(warp, cx, active, space, addr)?;
    cx.asynchronous.version += 1;
    for lane in lanes_of(active) {
        let at = place(warp, cx, lane, addresses[lane], (BYTES, 8))?;
        let of_lane = |reg: crate::ir::op::Reg| warp.files.r32(reg)[lane];
        match *op {
            Async::BarrierInit { count, .. } => init(warp, cx, active, lane, at, of_lane(count))?,
            Async::BarrierInval { .. } => invalidate(warp, cx, active, lane, at)?,
            Async::BarrierBytes { complete, bytes, .. } => {
                let bytes = of_lane(bytes);
                let object = object(warp, cx, lane, at)?;
                let done = if complete { object.bar.complete(bytes) } else { object.bar.expect(bytes).map(|()| false) };
                turn(warp, cx, lane, at, done)?;
            }
            Async::BarrierArrive { how, d, count, bytes, .. } => {
                let count = if count.is_none() { 1 } else { of_lane(count) };
                let bytes = if bytes.is_none() { None } else { Some(of_lane(bytes)) };
                if !d.is_none() && at.rank != cx.rank {
                    let what = "an arrival at another block's mbarrier returns no state".to_owned();
                    return Err(misuse(warp, cx, lane, at, what));
                }
                states[lane] = arrive(warp, cx, lane, at, (how, count, bytes))?;
            }
            Async::CopyArrive { increments, .. } => {
                let object = object(warp, cx, lane, at)?;
                if increments && let Err(what) = object.bar.increment() {
                    return Err(misuse(warp, cx, lane, at, what));
                }
                let sender = Sender::of(warp, lane);
                let copies = cx.asynchronous.copies[warp.agent.at()].sent();
                transfer::send(cx, Transfer::new(None, sender, What::Arrival { bar: at, copies }))?;
            }
            _ => {}
        }
    }
    if let Async::BarrierArrive { how, d, .. } = *op {
        if !how.relaxed {
            cx.order.advance(warp.agent);
        }
        if !d.is_none() {
            warp.files.put64(d, active, &states);
        }
    }
    Ok(())
}

fn init(warp: &Warp, cx: &mut Context<'_>, active: u32, lane: usize, at: Place, count: u32) -> Result<(), Stopped> {
    let bar = Mbarrier::new(count).map_err(|what| misuse(warp, cx, lane, at, what))?;
    if cx.asynchronous.objects.contains_key(&(at.rank, at.at)) {
        let what = "a live mbarrier is initialised again: mbarrier.inval it first".to_owned();
        return Err(misuse(warp, cx, lane, at, what));
    }
    let sender = Sender::of(warp, lane);
    let flight = Flight { agent: warp.agent, lanes: 1 << lane, pc: warp.pc as u32, what: MBARRIER };
    let mark = cx.flights.begin(flight);
    let actor = shared::actor(warp, cx, warp.pc, at.rank, active, Strong::default());
    let begun =
        cx.shared[at.rank].shadow.begin_write(&cx.order, &actor, (actor.lane(lane), mark.tag(lane)), (at.at, BYTES));
    begun.map_err(|found| found_by(cx, warp, warp.pc, lane, at.rank, found, BYTES))?;
    let order = &mut cx.order;
    let agent = *cx.asynchronous.barrier_agents.entry((at.rank, at.at)).or_insert_with(|| order.new_agent());
    let object = Object {
        bar,
        agent,
        mark,
        init: sender,
        init_time: cx.order.time(warp.agent),
        fenced: None,
        current: Clock::default(),
        completed: Clock::default(),
        observed: true,
        unseen: Vec::new(),
        users: Vec::new(),
    };
    cx.asynchronous.objects.insert((at.rank, at.at), object);
    Ok(())
}

fn invalidate(warp: &Warp, cx: &mut Context<'_>, active: u32, lane: usize, at: Place) -> Result<(), Stopped> {
    object(warp, cx, lane, at)?;
    let by = (warp.agent, lane as u32);
    let object = &cx.asynchronous.objects[&(at.rank, at.at)];
    let unordered = object.users.iter().find(|(agent, lanes, time)| {
        let others = if *agent == by.0 { lanes & !(1 << lane) } else { *lanes };
        others != 0 && !cx.order.ordered(*agent, *time, others, by.0, by.1)
    });
    if let Some((agent, lanes, _)) = unordered.filter(|_| cx.grid.launch.checks.sync) {
        let what = "the mbarrier is invalidated while a thread that is not ordered before this one uses it".to_owned();
        let mut fault = misuse(warp, cx, lane, at, what);
        fault.other = Some(cx.party(*agent, *lanes, warp.pc));
        return Err(fault);
    }
    if let Some(pending) = cx.asynchronous.transfers.iter().find(|transfer| transfer.completes_at() == Some(at)) {
        let what = "the mbarrier is invalidated while a copy that completes there is in flight".to_owned();
        let mut fault = misuse(warp, cx, lane, at, what);
        fault.other = Some(cx.party(pending.sender.agent, 1 << pending.sender.lane, pending.sender.pc));
        return Err(fault);
    }
    let object = cx.asynchronous.objects.remove(&(at.rank, at.at));
    let actor = shared::actor(warp, cx, warp.pc, at.rank, active, Strong::default());
    cx.shared[at.rank].shadow.land(at.at, BYTES, actor.lane(lane));
    if let Some(object) = object {
        cx.flights.end(object.mark);
    }
    Ok(())
}

/// The end of a change of an object's counts: goes on to the next phase, or says what was wrong.
fn turn(warp: &Warp, cx: &mut Context<'_>, lane: usize, at: Place, done: Result<bool, Misuse>) -> Result<(), Stopped> {
    match done {
        Ok(done) => {
            if let Some(object) = cx.asynchronous.objects.get_mut(&(at.rank, at.at)).filter(|_| done) {
                object.turned();
            }
            Ok(())
        }
        Err(what) => Err(misuse(warp, cx, lane, at, what)),
    }
}

/// One arrival; returns the state before it.
fn arrive(
    warp: &Warp,
    cx: &mut Context<'_>,
    lane: usize,
    at: Place,
    (how, count, bytes): (Arrive, u32, Option<u32>),
) -> Result<u64, Stopped> {
    let released = (!how.relaxed).then(|| cx.order.snapshot(warp.agent, lane));
    let object = object(warp, cx, lane, at)?;
    // PTX ISA 9.7.13.15.4: every phase has to be seen complete before anybody arrives in the next one.
    let unseen = !object.observed && object.bar.phase > 0;
    object.observed |= unseen;
    if let Some(bytes) = bytes
        && let Err(what) = object.bar.expect(bytes)
    {
        return Err(misuse(warp, cx, lane, at, what));
    }
    let state = object.bar.state();
    if let Some(released) = released {
        object.current.join(&released);
    }
    let done = object.bar.arrive(count, how.drop);
    if how.no_complete && done == Ok(true) {
        let what = "an arrival with .noComplete completes the phase".to_owned();
        return Err(misuse(warp, cx, lane, at, what));
    }
    turn(warp, cx, lane, at, done)?;
    if unseen && cx.grid.launch.checks.sync {
        cx.note((FaultKind::Mbarrier, warp.pc, warp.pc), Severity::Warning, |cx| {
            let what = "a thread arrives although nobody has seen the phase before complete: each phase has to be \
                        waited for";
            misuse(warp, cx, lane, at, what.to_owned())
        });
    }
    Ok(state)
}

/// `test_wait` and `try_wait`.
pub(super) fn wait(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Async) -> Result<Option<Stop>, Stopped> {
    let Async::BarrierWait { how, space, addr, d, phase } = *op else { return Ok(None) };
    let addresses = shared_addresses(warp, cx, active, space, addr)?;
    let mut done = 0;
    let mut vain = None;
    for lane in lanes_of(active) {
        let at = place(warp, cx, lane, addresses[lane], (BYTES, 8))?;
        if at.rank != cx.rank {
            let what = "only the block that an mbarrier lies in can wait for it".to_owned();
            return Err(misuse(warp, cx, lane, at, what));
        }
        let test = |object: &Object| match how.parity {
            true => object.bar.test_parity(warp.files.r32(phase)[lane]),
            false => object.bar.test_state(warp.files.r64(phase)[lane]),
        };
        let object = object(warp, cx, lane, at)?;
        let mut found = test(object);
        if found == Ok(Test::Incomplete) && transfer::complete_phase(cx, at)? {
            found = test(&cx.asynchronous.objects[&(at.rank, at.at)]);
        }
        match found {
            Err(what) => return Err(misuse(warp, cx, lane, at, what)),
            Ok(Test::Complete) => done |= 1 << lane,
            Ok(Test::Incomplete) => {
                vain = vain.or(Some(Spin {
                    pc: warp.pc,
                    at,
                    phase: cx.asynchronous.objects[&(at.rank, at.at)].bar.phase,
                }));
            }
        }
    }
    for lane in lanes_of(done) {
        let Some(at) = cx.shared_place(addresses[lane], BYTES) else { continue };
        let Some(object) = cx.asynchronous.objects.get_mut(&(at.rank, at.at)) else { continue };
        object.observed = true;
        object.unseen.clear();
        // Lanes that test the same object acquire together: one word of the clock for all of them.
        let first = lanes_of(done).find(|other| addresses[*other] == addresses[lane]) == Some(lane);
        if first && !how.relaxed {
            let same = lanes_of(done).filter(|other| addresses[*other] == addresses[lane]);
            let lanes = same.fold(0, |lanes, other| lanes | 1 << other);
            cx.order.acquire(warp.agent, lanes, &object.completed);
        }
    }
    warp.files.put_pred(d, active, done);
    warp.pc += 1;
    warp.spin = vain;
    if vain.is_some() {
        // Lanes of the same warp may be what this waits for.
        warp.rotate = true;
        return Ok(Some(Stop::Spin));
    }
    Ok(None)
}
