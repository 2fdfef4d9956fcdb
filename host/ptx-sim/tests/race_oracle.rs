//! Random sequences of small accesses against a search through all pairs of them.

mod common;
use common::Rig;
use proptest::prelude::*;
use ptx_sim::{FaultKind, Schedule};

const BLOCKS: u32 = 2;
const WARPS: u32 = 2;
const BYTES: u32 = 512;

/// How an access is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Load,
    Store,
    StrongLoad,
    StrongStore,
    Atomic,
}

/// What all threads execute next.
#[derive(Clone, Debug)]
enum Step {
    /// The lanes of `lanes` (32 of them, or among the lowest four) in the warps of `warps` (a bit for each of the
    /// grid) touch `width` bytes each, `apart` elements from lane to lane.
    Access {
        how: How,
        width: u32,
        start: u32,
        apart: u32,
        lanes: u32,
        warps: u32,
        per_warp: u32,
    },
    BlockBarrier,
    WarpBarrier,
}

fn access() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        3 => Just(How::Load),
        3 => Just(How::Store),
        1 => Just(How::StrongLoad),
        1 => Just(How::StrongStore),
        1 => Just(How::Atomic),
    ];
    let width = prop_oneof![Just(1), Just(2), Just(4), Just(8)];
    let few = (0..64_u32, prop_oneof![Just(0), Just(1), Just(1), Just(3)], 1..16_u32);
    let all = (0..8_u32, Just(1), Just(u32::MAX));
    let lanes = prop_oneof![2 => few.boxed(), 1 => all.boxed()];
    let per_warp = prop_oneof![Just(0_u32), Just(16), Just(33), Just(128)];
    (how, width, lanes, 1..16_u32, per_warp).prop_map(|(how, width, (start, apart, lanes), warps, per_warp)| {
        let width = if how == How::Atomic { 4 } else { width };
        Step::Access { how, width, start, apart, lanes, warps, per_warp }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![5 => access(), 1 => Just(Step::BlockBarrier), 1 => Just(Step::WarpBarrier)]
}

/// Where an access starts: the `start`th element, further by `per_warp` for each warp of the grid and `apart` for
/// each lane.
fn place(step: &Step, warp: u32, lane: u32) -> u32 {
    let Step::Access { width, start, apart, per_warp, .. } = step else { return 0 };
    ((start + apart * lane + per_warp * warp) * width) % BYTES
}

/// A value for the stores of one step that no other warp and no other of its few lanes stores.
fn value(index: usize, warp: u32, lane: u32) -> u32 {
    (1 + (index as u32 * BLOCKS * WARPS + warp) * 4 + lane % 4) * 0x0101_0101
}

fn text(steps: &[Step]) -> String {
    let mut text = String::from(
        "mov.u32 %r10, %ctaid.x;\nmov.u32 %r1, %laneid;\nshr.u32 %r2, %r0, 5;\nmad.lo.u32 %r2, %r10, 2, %r2;\n",
    );
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::BlockBarrier => text += "bar.sync 0;\n",
            Step::WarpBarrier => text += "bar.warp.sync -1;\n",
            Step::Access { how, width, start, apart, lanes, warps, per_warp } => {
                let (bits, space) = (width * 8, "global");
                let register = if *width == 8 { "%l3" } else { "%r7" };
                let register = if *width <= 2 { "%h1" } else { register };
                text += &format!(
                    "mov.u32 %r3, {lanes};\nshr.u32 %r3, %r3, %r1;\nmov.u32 %r4, {warps};\nshr.u32 %r4, %r4, %r2;\nand.b32 %r3, %r3, %r4;\n\
                     and.b32 %r3, %r3, 1;\nsetp.eq.u32 %p1, %r3, 1;\nmad.lo.u32 %r5, %r1, {apart}, {start};\nmad.lo.u32 %r5, %r2, {per_warp}, %r5;\n\
                     mul.lo.u32 %r5, %r5, {width};\nrem.u32 %r5, %r5, {BYTES};\ncvt.u64.u32 %l1, %r5;\nadd.u64 %l1, %l0, %l1;\n\
                     mad.lo.u32 %r6, %r2, 4, {};\nand.b32 %r7, %r1, 3;\nadd.u32 %r6, %r6, %r7;\nmul.lo.u32 %r7, %r6, 0x01010101;\n\
                     mov.b64 %l3, {{%r7, %r7}};\ncvt.u16.u32 %h1, %r7;\n",
                    1 + index as u32 * BLOCKS * WARPS * 4
                );
                text += &match how {
                    How::Load => format!("@%p1 ld.{space}.u{bits} {register}, [%l1];\n"),
                    How::StrongLoad => format!("@%p1 ld.relaxed.gpu.{space}.u{bits} {register}, [%l1];\n"),
                    How::Store => format!("@%p1 st.{space}.u{bits} [%l1], {register};\n"),
                    How::StrongStore => format!("@%p1 st.relaxed.gpu.{space}.u{bits} [%l1], {register};\n"),
                    How::Atomic => format!("@%p1 red.{space}.add.u32 [%l1], %r7;\n"),
                };
            }
        }
    }
    text
}

/// One lane's access to one byte.
#[derive(Clone, Copy)]
struct Touch {
    warp: u32,
    lane: u32,
    step: usize,
    writes: bool,
    /// Bytes of a strong access, else 0.
    strong: u32,
    value: u32,
    atomic: bool,
}

/// Whether two accesses to one byte race, and whether that does harm.
fn races(one: Touch, two: Touch, steps: &[Step]) -> Option<bool> {
    if !one.writes && !two.writes || (one.warp, one.lane) == (two.warp, two.lane) {
        return None;
    }
    if one.strong != 0 && one.strong == two.strong {
        return None;
    }
    let (early, late) = (one.step.min(two.step), one.step.max(two.step));
    let between = &steps[early..late];
    let same_block = one.warp / WARPS == two.warp / WARPS;
    let block_barrier = between.iter().any(|step| matches!(step, Step::BlockBarrier));
    let warp_barrier = between.iter().any(|step| matches!(step, Step::WarpBarrier));
    if same_block && block_barrier || one.warp == two.warp && warp_barrier {
        return None;
    }
    let same = one.writes && two.writes && !one.atomic && !two.atomic && one.value == two.value;
    Some(!same)
}

/// Whether two of the accesses race with harm; `None` where it hangs on values.
fn expected(steps: &[Step]) -> Option<bool> {
    let mut bytes: Vec<Vec<Touch>> = vec![Vec::new(); BYTES as usize];
    for (index, step) in steps.iter().enumerate() {
        let Step::Access { how, width, lanes, warps, .. } = step else { continue };
        for warp in (0..BLOCKS * WARPS).filter(|warp| warps >> warp & 1 == 1) {
            for lane in (0..32).filter(|lane| lanes >> lane & 1 == 1) {
                let start = place(step, warp, lane);
                let writes = !matches!(how, How::Load | How::StrongLoad);
                let strong = if matches!(how, How::Load | How::Store) { 0 } else { *width };
                let (value, atomic) = (value(index, warp, lane), *how == How::Atomic);
                let touch = Touch { warp, lane, step: index, writes, strong, value, atomic };
                (start..start + width).for_each(|byte| bytes[byte as usize].push(touch));
            }
        }
    }
    let mut harmless = false;
    for touches in &bytes {
        for (at, one) in touches.iter().enumerate() {
            for two in &touches[at + 1..] {
                match races(*one, *two, steps) {
                    Some(true) => return Some(true),
                    Some(false) => harmless = true,
                    None => {}
                }
            }
        }
    }
    if harmless { None } else { Some(false) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A race is found exactly where a pair of accesses has no order, whatever the schedule.
    #[test]
    fn every_unordered_pair_is_found_and_no_other(steps in prop::collection::vec(step(), 1..9), seed in 0..4_u64) {
        let mut rig = Rig::new("", &text(&steps), BYTES as usize);
        rig.memory.fill(rig.out, u64::from(BYTES), &[0]).unwrap();
        rig.schedule = if seed == 0 { Schedule::Late } else { Schedule::Random(seed) };
        let found = rig.run(BLOCKS, WARPS * 32);
        match (expected(&steps), found) {
            (Some(true), Err(fault)) => prop_assert_eq!(fault.kind, FaultKind::GlobalRace, "{}", fault),
            (Some(true), Ok(_)) => prop_assert!(false, "a race is not found"),
            (Some(false), Err(fault)) => prop_assert!(false, "{}", fault),
            (Some(false) | None, _) => {}
        }
    }
}

#[test]
fn the_oracle_sees_both_verdicts() {
    let store =
        |per_warp| Step::Access { how: How::Store, width: 4, start: 0, apart: 1, lanes: 3, warps: 15, per_warp };
    assert_eq!(expected(&[store(0)]), Some(true));
    assert_eq!(expected(&[store(16)]), Some(false));
    assert_eq!(expected(&[store(16), Step::WarpBarrier, store(16)]), Some(false));
}
