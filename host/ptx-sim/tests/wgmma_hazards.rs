//! What can go wrong around `wgmma`, each mistake with its mended twin.

mod common;

use common::load;
use common::wgmma::{FENCE, text};
use ptx_sim::{Fault, FaultKind, Launch, Memory, Report, Schedule, launch};

/// Runs `body` with 128 threads and more. It finds its output's address in %l0, its index in %r0, 4 KiB of
/// ones in shared memory at `tile`, and descriptors of A (64 rows) and B (8 columns) there in %l4 and %l5.
fn run(body: &str, threads: u32, schedule: Schedule) -> Result<Report, Box<Fault>> {
    let start = format!(
        "ld.param.u64 %l0, [out];\nmov.u32 %r0, %tid.x;\nmov.u32 %r200, tile;\nmad.lo.u32 %r201, %r0, 16, %r200;\n\
         mov.u32 %r202, 0x01010101;\nsetp.lt.u32 %p7, %r0, 128;\n\
         @%p7 st.shared.v4.b32 [%r201], {{%r202, %r202, %r202, %r202}};\n\
         @%p7 st.shared.v4.b32 [%r201+2048], {{%r202, %r202, %r202, %r202}};\n{FENCE}bar.sync 0;\n\
         cvt.u64.u32 %l4, %r200;\nshr.u64 %l4, %l4, 4;\nor.b64 %l4, %l4, {};\nadd.u64 %l5, %l4, 128;\n",
        // Core matrices: eight rows of 16 bytes, the next eight rows 128 bytes on, the next columns 1024.
        (128_u64 >> 4) << 32 | (1024_u64 >> 4) << 16
    );
    let module = load(&text(".param .u64 out", &format!("{start}{body}")));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let out = memory.alloc(4096).unwrap();
    let params = out.to_le_bytes();
    let request = Launch::new(module.kernel("k").unwrap(), [1; 3], [threads, 1, 1], &params).with_schedule(schedule);
    launch(&instance, &memory, &request)
}

const ZERO: &str = "mov.b32 %r1, 0;\nmov.b32 %r2, 0;\nmov.b32 %r3, 0;\nmov.b32 %r4, 0;\n";
const ORDER: &str = "wgmma.fence.sync.aligned;\n";
const PRODUCT: &str = "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {%r1, %r2, %r3, %r4}, %l4, %l5, 1;\n";
const COMMIT: &str = "wgmma.commit_group.sync.aligned;\n";
const WAIT: &str = "wgmma.wait_group.sync.aligned 0;\n";
const STORE: &str =
    "mul.wide.u32 %l1, %r0, 16;\nadd.u64 %l1, %l0, %l1;\nst.global.v4.b32 [%l1], {%r1, %r2, %r3, %r4};\n";

const SCHEDULES: [Schedule; 4] = [Schedule::Late, Schedule::Eager, Schedule::Random(1), Schedule::Random(7)];

/// `wrong` is found under every schedule at the statement `at` with `other` as the other side, `right` is clean.
fn pair(kind: FaultKind, at: &str, other: Option<&str>, wrong: &[&str], right: &[&str]) {
    for schedule in SCHEDULES {
        let fault = *run(&wrong.concat(), 128, schedule).expect_err(at);
        assert_eq!(fault.kind, kind, "{schedule:?}: {fault}");
        assert!(fault.instruction.contains(at), "{schedule:?}: {fault}");
        match (other, &fault.other) {
            (Some(other), Some(party)) => assert!(party.instruction.contains(other), "{schedule:?}: {fault}"),
            (None, None) => {}
            _ => panic!("{schedule:?}: {fault}"),
        }
        run(&right.concat(), 128, schedule).unwrap_or_else(|fault| panic!("{schedule:?}: {fault}"));
    }
}

const RIGHT: [&str; 6] = [ZERO, ORDER, PRODUCT, COMMIT, WAIT, STORE];

#[test]
fn accumulators_are_not_touched_before_their_wait() {
    let touched = "belongs to a wgmma in flight";
    pair(FaultKind::Wgmma, "st.global", Some("wgmma.mma_async"), &[ZERO, ORDER, PRODUCT, COMMIT, STORE, WAIT], &RIGHT);
    let fault = run(&[ZERO, ORDER, PRODUCT, STORE, COMMIT, WAIT].concat(), 128, Schedule::Late).unwrap_err();
    assert!(fault.explanation.contains("%r1") && fault.explanation.contains(touched), "{fault}");
    assert!(fault.explanation.contains("commit_group"), "{fault}");
    // A write is as bad as a read.
    let write = "add.s32 %r3, %r0, 1;\n";
    pair(
        FaultKind::Wgmma,
        "add.s32",
        Some("wgmma.mma_async"),
        &[ZERO, ORDER, PRODUCT, COMMIT, write, WAIT, STORE],
        &[ZERO, ORDER, PRODUCT, COMMIT, WAIT, write, STORE],
    );
}

#[test]
fn a_wait_covers_the_groups_it_names_and_no_more() {
    let other = "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {%r11, %r12, %r13, %r14}, %l4, %l5, 0;\n";
    let one = "wgmma.wait_group.sync.aligned 1;\n";
    // The second group may still be in flight behind a wait for all but one.
    let early = "mov.b32 %r20, %r11;\n";
    pair(
        FaultKind::Wgmma,
        "mov.b32 %r20",
        Some("%r11"),
        &[ZERO, ORDER, PRODUCT, COMMIT, other, COMMIT, one, STORE, early, WAIT],
        &[ZERO, ORDER, PRODUCT, COMMIT, other, COMMIT, one, STORE, WAIT, early],
    );
}

#[test]
fn accumulators_go_from_one_product_to_the_next_of_the_same_shape() {
    for schedule in SCHEDULES {
        run(&[ZERO, ORDER, PRODUCT, PRODUCT, COMMIT, PRODUCT, COMMIT, WAIT, STORE].concat(), 128, schedule)
            .unwrap_or_else(|fault| panic!("{fault}"));
    }
    // Of another type of operands, and so of another k, they do not.
    let halves = "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f1, %f2, %f3, %f4}, %l4, %l5, 0, 1, 1, 0, 0;\n";
    let bytes = "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3 {%f1, %f2, %f3, %f4}, %l4, %l5, 1, 1, 1;\n";
    pair(
        FaultKind::Wgmma,
        "e4m3",
        Some("f16.f16"),
        &[ORDER, halves, bytes, COMMIT, WAIT],
        &[ORDER, halves, COMMIT, WAIT, bytes, COMMIT, WAIT],
    );
}

#[test]
fn registers_are_fenced_before_a_product() {
    let fresh = PRODUCT.replace("%l5, 1", "%l5, 0");
    pair(FaultKind::Wgmma, "wgmma.mma_async", None, &[&fresh, COMMIT, WAIT], &[ORDER, &fresh, COMMIT, WAIT]);
    pair(
        FaultKind::Wgmma,
        "wgmma.mma_async",
        Some("mov.b32 %r1, 0"),
        &[ORDER, ZERO, PRODUCT, COMMIT, WAIT, STORE],
        &RIGHT,
    );
    // Reading results and going on needs one as well.
    pair(
        FaultKind::Wgmma,
        "wgmma.mma_async",
        Some("st.global"),
        &[ZERO, ORDER, PRODUCT, COMMIT, WAIT, STORE, PRODUCT, COMMIT, WAIT],
        &[ZERO, ORDER, PRODUCT, COMMIT, WAIT, STORE, ORDER, PRODUCT, COMMIT, WAIT],
    );
}

#[test]
fn registers_of_a_belong_to_the_product_too() {
    let fill = "mov.b32 %r5, %r0;\nmov.b32 %r6, %r0;\nmov.b32 %r7, %r0;\nmov.b32 %r8, %r0;\n";
    let product =
        "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {%r1, %r2, %r3, %r4}, {%r5, %r6, %r7, %r8}, %l5, 0;\n";
    let again =
        "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {%r11, %r12, %r13, %r14}, {%r5, %r6, %r7, %r8}, %l5, 0;\n";
    let change = "mov.b32 %r7, 5;\n";
    pair(
        FaultKind::Wgmma,
        "mov.b32 %r7, 5",
        Some("wgmma.mma_async"),
        &[fill, ORDER, product, COMMIT, change, WAIT, STORE],
        &[fill, ORDER, product, again, COMMIT, WAIT, change, STORE],
    );
    // The result of one cannot be the A of the next before it is there.
    let chained =
        "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {%r11, %r12, %r13, %r14}, {%r1, %r2, %r3, %r4}, %l5, 0;\n";
    pair(
        FaultKind::Wgmma,
        "{%r11",
        Some("{%r5"),
        &[fill, ORDER, product, chained, COMMIT, WAIT],
        &[fill, ORDER, product, COMMIT, WAIT, chained, COMMIT, WAIT],
    );
}

#[test]
fn operands_are_not_overwritten_before_the_wait() {
    let write = "st.shared.b32 [%r201], %r0;\n";
    pair(
        FaultKind::CopyInFlight,
        "st.shared",
        Some("wgmma.mma_async"),
        &[ZERO, ORDER, PRODUCT, COMMIT, write, WAIT],
        &[ZERO, ORDER, PRODUCT, COMMIT, WAIT, "bar.sync 0;\n", write],
    );
    // A warp that has waited knows that the product is complete for the others too, and nobody else does.
    let first = "setp.lt.u32 %p1, %r0, 32;\n";
    let alone = "@%p1 st.shared.b32 [%r201+1024], %r0;\n";
    for schedule in SCHEDULES {
        run(&[ZERO, ORDER, PRODUCT, COMMIT, WAIT, first, alone].concat(), 128, schedule)
            .unwrap_or_else(|fault| panic!("{schedule:?}: {fault}"));
    }
}

#[test]
fn operands_written_without_a_barrier_are_a_race() {
    let write = "st.shared.b32 [%r201], %r202;\n";
    let fault = run(&[ZERO, write, FENCE, ORDER, PRODUCT, COMMIT, WAIT].concat(), 128, Schedule::Late).unwrap_err();
    assert_eq!(fault.kind, FaultKind::SharedRace, "{fault}");
    // Lanes of one warp are not ordered by the product either.
    let sides = [&fault.instruction, &fault.other.as_ref().unwrap().instruction];
    assert!(sides[0].contains("wgmma") && sides[1].contains("st.shared"), "{fault}");
    let meet = [ZERO, write, FENCE, "bar.warp.sync -1;\n", ORDER, PRODUCT, COMMIT, WAIT].concat();
    let fault = run(&meet, 128, Schedule::Late).unwrap_err();
    // Now a warp writes what the product of another one has read, unordered with its wait.
    let other = &fault.other.as_ref().unwrap().instruction;
    assert!(fault.kind == FaultKind::CopyInFlight && other.contains("wgmma"), "{fault}");
    run(&[ZERO, write, FENCE, "bar.sync 0;\n", ORDER, PRODUCT, COMMIT, WAIT].concat(), 128, Schedule::Late).unwrap();
}

#[test]
fn operands_written_without_a_proxy_fence_are_not_seen() {
    let write = "st.shared.b32 [%r201], %r202;\n";
    let barrier = "bar.sync 0;\n";
    pair(
        FaultKind::Proxy,
        "wgmma.mma_async",
        Some("st.shared"),
        &[ZERO, write, barrier, ORDER, PRODUCT, COMMIT, WAIT],
        &[ZERO, write, FENCE, barrier, ORDER, PRODUCT, COMMIT, WAIT],
    );
    // The fence is the writer's: behind the barrier it comes too late.
    let late = [ZERO, write, barrier, FENCE, ORDER, PRODUCT, COMMIT, WAIT].concat();
    assert_eq!(run(&late, 128, Schedule::Late).unwrap_err().kind, FaultKind::Proxy);
}

#[test]
fn the_four_warps_execute_the_same_sequence() {
    let first = "setp.lt.u32 %p1, %r0, 32;\n";
    // One warp leaves a product out.
    let skip = format!("{ZERO}{first}{ORDER}@%p1 bra OVER;\n{PRODUCT}OVER:\n{COMMIT}{WAIT}");
    // One has another descriptor; one does not add.
    let moved = format!("{ZERO}{first}@%p1 add.u64 %l5, %l5, 8;\n{ORDER}{PRODUCT}{COMMIT}{WAIT}");
    let product = PRODUCT.replace("%l5, 1", "%l5, %p1");
    let mixed = format!("{ZERO}{first}{ORDER}{product}{COMMIT}{WAIT}");
    for (what, body) in [("skip", &skip), ("moved", &moved), ("mixed", &mixed)] {
        for schedule in SCHEDULES {
            let fault = *run(body, 128, schedule).expect_err(what);
            assert_eq!(fault.kind, FaultKind::Wgmma, "{what}: {fault}");
            assert!(fault.other.is_some() && fault.explanation.contains("four warps"), "{what}: {fault}");
        }
    }
    // A warp that exits before the rest of its warpgroup has to be noticed at the end.
    let exits = format!("{ZERO}setp.ge.u32 %p1, %r0, 96;\n@%p1 exit;\n{ORDER}{PRODUCT}{COMMIT}{WAIT}");
    let fault = *run(&exits, 128, Schedule::Late).unwrap_err();
    assert_eq!((fault.kind, fault.warp), (FaultKind::Wgmma, 3), "{fault}");
    // Fewer than four warps are no warpgroup; lanes of one warp do not part.
    let fault = *run(&RIGHT.concat(), 96, Schedule::Late).unwrap_err();
    assert!(fault.kind == FaultKind::Wgmma && fault.explanation.contains("no whole warpgroup"), "{fault}");
    let lanes = format!("{ZERO}setp.lt.u32 %p1, %r0, 40;\n{ORDER}@%p1 {PRODUCT}{COMMIT}{WAIT}");
    assert_eq!(run(&lanes, 128, Schedule::Late).unwrap_err().kind, FaultKind::Divergence);
    // Two warpgroups go their own ways.
    let second = format!("{ZERO}setp.ge.u32 %p1, %r0, 128;\n@%p1 bra OVER;\n{ORDER}{PRODUCT}{COMMIT}{WAIT}OVER:\n");
    run(&second, 256, Schedule::Late).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn arguments_are_the_same_in_all_threads() {
    let lane = format!("{ZERO}cvt.u64.u32 %l6, %r0;\nadd.u64 %l5, %l5, %l6;\n{ORDER}{PRODUCT}{COMMIT}{WAIT}");
    let fault = run(&lane, 128, Schedule::Late).unwrap_err();
    assert!(fault.kind == FaultKind::Wgmma && fault.explanation.contains("descriptors of B"), "{fault}");
    let product = PRODUCT.replace("%l5, 1", "%l5, %p1");
    let mixed = format!("{ZERO}setp.lt.u32 %p1, %r0, 5;\n{ORDER}{product}{COMMIT}{WAIT}");
    let fault = run(&mixed, 128, Schedule::Late).unwrap_err();
    assert!(fault.kind == FaultKind::Wgmma && fault.explanation.contains("0x0000001f"), "{fault}");
    let bits = format!("{ZERO}or.b64 %l5, %l5, 0x8000000000000;\n{ORDER}{PRODUCT}{COMMIT}{WAIT}");
    run(&bits, 128, Schedule::Late).unwrap();
    let bits = format!("{ZERO}or.b64 %l5, %l5, 0x10000000000000;\n{ORDER}{PRODUCT}{COMMIT}{WAIT}");
    assert!(run(&bits, 128, Schedule::Late).unwrap_err().explanation.contains("no field"));
    let far = format!("{ZERO}add.u64 %l5, %l5, 0x2000;\n{ORDER}{PRODUCT}{COMMIT}{WAIT}");
    let fault = run(&far, 128, Schedule::Late).unwrap_err();
    assert!(fault.kind == FaultKind::OutOfBounds && fault.explanation.contains("matrix B"), "{fault}");
}

#[test]
fn nothing_is_in_flight_at_the_exit() {
    pair(FaultKind::Wgmma, "wgmma.mma_async", None, &[ZERO, ORDER, PRODUCT, COMMIT], &RIGHT);
    let fault = run(&[ZERO, ORDER, PRODUCT, WAIT].concat(), 128, Schedule::Late).unwrap_err();
    assert!(fault.kind == FaultKind::Wgmma && fault.explanation.contains("commit_group"), "{fault}");
}

#[test]
fn accumulators_have_to_be_defined_only_where_they_are_added() {
    let with = |scale: &str| PRODUCT.replace("%l5, 1", &format!("%l5, {scale}"));
    let body = |scale: &str| format!("setp.ge.u32 %p1, %r0, 128;\n{ORDER}{}{COMMIT}{WAIT}{STORE}", with(scale));
    for scale in ["0", "%p1"] {
        run(&body(scale), 128, Schedule::Late).unwrap_or_else(|fault| panic!("{scale}: {fault}"));
    }
    for scale in ["1", "!%p1"] {
        let fault = run(&body(scale), 128, Schedule::Late).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Uninitialised, "{scale}: {fault}");
    }
}

#[test]
fn slots_of_accumulators_are_not_used_again_before_the_wait() {
    // The result of the first product is never looked at; many other values are alive before the wait.
    let others: String = (20..60).map(|i| format!("add.u32 %r{i}, %r0, {i};\n")).collect();
    let sum: String = (21..60).map(|i| format!("add.u32 %r20, %r20, %r{i};\n")).collect();
    let body = format!(
        "{ZERO}{ORDER}{PRODUCT}{COMMIT}{others}{WAIT}{sum}mul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\nsub.u32 %r20, %r20, {};\n\
         mul.lo.u32 %r61, %r0, 40;\nsetp.ne.u32 %p1, %r20, %r61;\n@%p1 trap;\n",
        (20..60).sum::<u32>()
    );
    for schedule in SCHEDULES {
        run(&body, 128, schedule).unwrap_or_else(|fault| panic!("{schedule:?}: {fault}"));
    }
}
