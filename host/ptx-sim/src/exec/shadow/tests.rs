//! The order and the shadow against the plainest oracle: a full vector clock for each thread, the full history
//! of each byte.

use proptest::prelude::*;

mod plain;
mod steps;

use plain::{Past, Plain, THREADS, Verdict, join, thread};
use steps::{Kind, Step, step};

use super::*;
use crate::exec::lanes::lanes_of;
use crate::exec::order::{Agent, Clock, Locations, Order, Strong};
use crate::launch::Checks;

const BYTES: usize = 4;
/// Warps 0 to 2 are of the block, warp 3 of another one of the cluster.
const WARPS: u32 = 4;
const NEAR: u32 = 3;
const LANES: u32 = 4;
const ALL: u32 = (1 << LANES) - 1;
const SLOTS: usize = 3;

/// What is tested.
struct Both {
    order: Order,
    shadow: Shadow,
    locations: Locations,
    clocks: [Clock; SLOTS],
    flights: Flights,
    plain: Plain,
    live: [u32; WARPS as usize],
    /// Copies on their way: their lane and byte.
    copies: Vec<(u32, u32, usize, FlightId)>,
    /// The value that the next copy brings.
    brings: u8,
}

impl Both {
    fn new() -> Self {
        let mut order = Order::default();
        order.reset((0..WARPS).map(|_| ALL));
        let mut shadow = Shadow::default();
        shadow.reset(BYTES, 0..NEAR, WARPS, Checks::ALL);
        Self {
            order,
            shadow,
            locations: Locations::default(),
            clocks: Default::default(),
            flights: Flights::default(),
            plain: Plain::default(),
            live: [ALL; WARPS as usize],
            copies: Vec::new(),
            brings: 100,
        }
    }

    /// One lane's access, or that of all lanes of `lanes`: what both say, the worst of all bytes.
    fn touch(
        &mut self,
        (warp, lanes, lane): (u32, u32, Option<u32>),
        kind: Kind,
        (at, width): (usize, usize),
        (wide, value): (bool, u8),
        pc: usize,
    ) -> (Verdict, Vec<Verdict>) {
        let strong = match kind {
            Kind::Read | Kind::Write => Strong::default(),
            _ => Strong { width: width as u8, wide },
        };
        let actor = self.shadow.actor(&self.order, Agent(warp), pc, lanes, strong);
        let tag = lane.map_or(actor.all(), |lane| actor.lane(lane as usize));
        let now = self.plain.value;
        let (order, shadow) = (&self.order, &mut self.shadow);
        let found = match kind {
            Kind::Read | Kind::StrongRead(_) => shadow.read(order, &actor, tag, at, width).map(|()| None),
            Kind::Write | Kind::StrongWrite(_) => {
                shadow.write(order, &actor, tag, (at, width), |byte| now[at + byte] == Some(value))
            }
            Kind::Update(_) => shadow.update(order, &actor, tag, (at, width)).map(|()| None),
        };
        let said = match found {
            Ok(None) => Verdict::Clean,
            Ok(Some(_)) => Verdict::Remark,
            Err(found) => Verdict::Bad(found.conflict),
        };
        let threads = lane.map_or(lanes << (warp * LANES), |lane| 1 << thread(warp, lane));
        let (reads, writes) = match kind {
            Kind::Read | Kind::StrongRead(_) => (true, None),
            Kind::Write | Kind::StrongWrite(_) => (false, Some(value)),
            Kind::Update(_) => (true, Some(value)),
        };
        let plain = (at..at + width).map(|byte| self.plain.access(threads, byte, writes, reads, strong)).collect();
        (said, plain)
    }

    /// What strong accesses of single bytes release and acquire.
    fn synchronise(&mut self, (warp, lane): (u32, u32), kind: Kind, at: usize) {
        let (agent, range, me) = (Agent(warp), (at as u64, 1), thread(warp, lane));
        if let Kind::StrongRead(acquire) | Kind::Update(acquire) = kind {
            self.locations.read(&mut self.order, (agent, 1 << lane), range, acquire);
            if let Some(known) = self.plain.places[at] {
                let to = if acquire { &mut self.plain.known[me] } else { &mut self.plain.seen[me] };
                join(to, &known);
            }
        }
        if let Kind::StrongWrite(release) | Kind::Update(release) = kind {
            let update = matches!(kind, Kind::Update(_));
            self.locations.write(&self.order, (agent, lane as usize), range, (release, update));
            let released = if release { Some(self.plain.all_of(me)) } else { self.plain.released[me] };
            let before = self.plain.places[at].filter(|_| update);
            self.plain.places[at] = match (released, before) {
                (Some(mut one), Some(two)) => {
                    join(&mut one, &two);
                    Some(one)
                }
                (one, two) => one.or(two),
            };
        } else if kind == Kind::Write {
            self.locations.forget(at as u64, 1);
            self.plain.places[at] = None;
        }
    }

    fn sync(&mut self, waits: u32, arrives: u32, settle: bool) {
        let mut clock = Clock::default();
        let mut known = [0; THREADS];
        for warp in lanes_of(waits | arrives) {
            let live = self.live[warp];
            clock.join(&self.order.release(Agent(warp as u32), live));
            for lane in lanes_of(live) {
                let of = self.plain.all_of(thread(warp as u32, lane as u32));
                join(&mut known, &of);
            }
        }
        for warp in lanes_of(waits) {
            let live = self.live[warp];
            self.order.acquire(Agent(warp as u32), live, &clock);
            for lane in lanes_of(live) {
                join(&mut self.plain.known[thread(warp as u32, lane as u32)], &known);
            }
        }
        if settle {
            self.shadow.settle(&clock);
        }
    }

    /// Takes a step; the verdicts of its accesses, until they differ or one is bad.
    fn take(&mut self, step: Step, pc: usize) -> Result<bool, String> {
        let judge = |said: Verdict, plain: &[Verdict]| {
            let bad = plain.iter().any(|verdict| matches!(verdict, Verdict::Bad(_)));
            let agrees = match said {
                Verdict::Bad(_) => plain.contains(&said),
                Verdict::Remark => !bad && plain.contains(&said),
                Verdict::Clean => plain.iter().all(|verdict| *verdict == Verdict::Clean),
            };
            if agrees { Ok(!bad) } else { Err(format!("{step:?}: {said:?}, but the oracle says {plain:?}")) }
        };
        match step {
            Step::Access { warp, lanes, kind, at, stride, wide, value } => {
                let lanes = lanes & self.live[warp as usize];
                for lane in lanes_of(lanes) {
                    let (lane, at) = (lane as u32, (at + lane * stride) % BYTES);
                    // Two bytes at once where they are weak; strong ones synchronise by single bytes.
                    let weak = matches!(kind, Kind::Read | Kind::Write);
                    let width = if weak && wide && at + 2 <= BYTES { 2 } else { 1 };
                    let (said, plain) = self.touch((warp, lanes, Some(lane)), kind, (at, width), (wide, value), pc);
                    if !judge(said, &plain)? {
                        return Ok(false);
                    }
                    (at..at + width).for_each(|at| self.synchronise((warp, lane), kind, at));
                }
                self.order.advance(Agent(warp));
            }
            Step::Together { warp, write, at, value } => {
                let lanes = self.live[warp as usize];
                if lanes != 0 {
                    let kind = if write { Kind::Write } else { Kind::Read };
                    let (said, plain) = self.touch((warp, lanes, None), kind, (at, 1), (false, value), pc);
                    if !judge(said, &plain)? {
                        return Ok(false);
                    }
                    self.synchronise((warp, 0), kind, at);
                }
            }
            Step::Meet { warp, lanes } => {
                let lanes = lanes & self.live[warp as usize];
                if lanes != 0 {
                    self.order.meet(Agent(warp), lanes);
                    let mut known = [0; THREADS];
                    for lane in lanes_of(lanes) {
                        let of = self.plain.all_of(thread(warp, lane as u32));
                        join(&mut known, &of);
                    }
                    lanes_of(lanes).for_each(|lane| join(&mut self.plain.known[thread(warp, lane as u32)], &known));
                }
            }
            Step::Barrier { cluster: true } => self.sync((1 << WARPS) - 1, 0, true),
            Step::Barrier { cluster: false } => self.sync((1 << NEAR) - 1, 0, true),
            Step::Partial { warps, arrive } => self.sync(warps & !arrive, warps & arrive, false),
            Step::Release { warp, lanes, slot } => {
                let lanes = lanes & self.live[warp as usize];
                let clock = self.order.release(Agent(warp), lanes);
                self.clocks[slot].join(&clock);
                for lane in lanes_of(lanes) {
                    let of = self.plain.all_of(thread(warp, lane as u32));
                    join(&mut self.plain.slots[slot], &of);
                }
            }
            Step::Acquire { warp, lanes, slot } => {
                let lanes = lanes & self.live[warp as usize];
                if lanes != 0 {
                    self.order.acquire(Agent(warp), lanes, &self.clocks[slot]);
                    let known = self.plain.slots[slot];
                    lanes_of(lanes).for_each(|lane| join(&mut self.plain.known[thread(warp, lane as u32)], &known));
                }
            }
            Step::Fence { warp, lanes } => {
                let lanes = lanes & self.live[warp as usize];
                self.order.fence(Agent(warp), lanes, false);
                for lane in lanes_of(lanes) {
                    let me = thread(warp, lane as u32);
                    let seen = std::mem::take(&mut self.plain.seen[me]);
                    join(&mut self.plain.known[me], &seen);
                    self.plain.released[me] = Some(self.plain.all_of(me));
                }
            }
            Step::Exit { warp, lanes } => {
                // Somebody has to be left to come to the barriers.
                let lanes = lanes & self.live[warp as usize] & !1;
                self.order.exit(Agent(warp), lanes);
                self.live[warp as usize] &= !lanes;
            }
            Step::Copy { warp, lane, at } => {
                if self.live[warp as usize] >> lane & 1 == 0 {
                    return Ok(true);
                }
                let flight = Flight { agent: Agent(warp), lanes: 1 << lane, pc: pc as u32, what: "a copy" };
                let id = self.flights.begin(flight);
                let actor = self.shadow.actor(&self.order, Agent(warp), pc, 1 << lane, Strong::default());
                let tags = (actor.lane(lane as usize), id.tag(lane as usize));
                let found = self.shadow.begin_write(&self.order, &actor, tags, (at, 1));
                let said = found.map_or_else(|found| Verdict::Bad(found.conflict), |()| Verdict::Clean);
                // A value that nobody else writes, nor another copy: the shadow does not know what a copy will bring.
                let threads = 1 << thread(warp, lane);
                let plain = self.plain.access(threads, at, Some(self.brings), false, Strong::default());
                self.brings += 1;
                self.plain.flying[at] = true;
                self.copies.push((warp, lane, at, id));
                return judge(said, &[plain]);
            }
            Step::Land { warp, lane } => {
                let mut left = Vec::new();
                for copy in std::mem::take(&mut self.copies) {
                    let (of, its, at, id) = copy;
                    if (of, its) != (warp, lane) {
                        left.push(copy);
                        continue;
                    }
                    let own = (Agent(warp), 1 << lane);
                    let event = self.shadow.landing(&self.order, own, own, pc);
                    self.shadow.land(at, 1, crate::exec::order::Tag::lane(event, lane as usize));
                    self.flights.end(id);
                    self.plain.flying[at] = false;
                    self.plain.places[at] = None;
                    self.locations.forget(at as u64, 1);
                    let time = self.plain.tick();
                    let strong = Strong::default();
                    self.plain.history[at].push(Past { threads: 1 << thread(warp, lane), time, write: true, strong });
                }
                self.copies = left;
            }
            Step::Compact => self.shadow.compact(),
        }
        Ok(true)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    /// Verdicts are those of the oracle, up to and with the first finding.
    #[test]
    fn verdicts_are_those_of_full_clocks_and_histories(steps in prop::collection::vec(step(), 1..60), warm in any::<bool>()) {
        let mut both = Both::new();
        let start = [
            Step::Access { warp: 0, lanes: ALL, kind: Kind::Write, at: 0, stride: 1, wide: false, value: 0 },
            Step::Barrier { cluster: true },
        ];
        let start = if warm { &start[..] } else { &[] };
        for (pc, step) in start.iter().chain(&steps).enumerate() {
            // Few places in the code, so that events are shared between steps.
            match both.take(*step, pc % 5) {
                Ok(true) => {}
                Ok(false) => break,
                Err(difference) => return Err(TestCaseError::fail(difference)),
            }
        }
    }
}

#[test]
fn most_random_programs_meet_a_finding_and_many_of_them_late() {
    // The property above would be empty if its programs ended at their first step.
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut bad, mut late) = (0, 0);
    for _ in 0..300 {
        let steps = prop::collection::vec(step(), 60).new_tree(&mut runner).expect("a program").current();
        let mut both = Both::new();
        let first = steps.iter().enumerate().find(|(pc, step)| !both.take(**step, pc % 5).expect("agreement"));
        bad += u32::from(first.is_some());
        late += u32::from(first.is_some_and(|(at, _)| at >= 5));
    }
    assert!(bad > 200 && late > 60, "{bad} with a finding, {late} of them after five steps");
}

#[test]
fn a_block_begins_with_no_tags() {
    let bytes = 3 * 4096;
    let mut order = Order::default();
    order.reset((0..WARPS).map(|_| ALL));
    let mut shadow = Shadow::default();
    let places = [(0, 1), (4090, 12), (bytes - 1, 1)];
    for _ in 0..2 {
        shadow.reset(bytes, 0..NEAR, WARPS, Checks::ALL);
        let actor = shadow.actor(&order, Agent(0), 0, 1, Strong::default());
        for byte in 0..bytes {
            let found = shadow.read(&order, &actor, actor.lane(0), byte, 1).unwrap_err();
            assert_eq!(found.conflict, Conflict::Uninitialised, "byte {byte}");
        }
        shadow.reset(bytes, 0..NEAR, WARPS, Checks::ALL);
        for place in places {
            let actor = shadow.actor(&order, Agent(1), 1, 1, Strong::default());
            shadow.write(&order, &actor, actor.lane(0), place, |_| false).unwrap();
        }
        for place in places {
            let actor = shadow.actor(&order, Agent(1), 2, 1, Strong::default());
            shadow.read(&order, &actor, actor.lane(0), place.0, place.1).unwrap();
        }
        // In flight from one stretch into the next.
        let flight = Flights::default().begin(Flight { agent: Agent(1), lanes: 1, pc: 3, what: "a copy" });
        let actor = shadow.actor(&order, Agent(1), 3, 1, Strong::default());
        shadow.begin_write(&order, &actor, (actor.lane(0), flight.tag(0)), (8190, 4)).unwrap();
        shadow.land(8190, 4, actor.lane(0));
    }
}
