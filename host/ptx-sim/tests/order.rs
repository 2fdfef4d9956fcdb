//! What orders two accesses to shared memory and what does not: each case with its mended twin.

mod common;
use common::Rig;
use ptx_sim::{Checks, Fault, FaultKind, Launch, Severity, launch};

/// A kernel with 256 bytes of shared memory at %r1, a word of it for each thread at %r3.
fn rig(body: &str) -> Rig {
    let start = "mov.u32 %r1, own;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r3, %r1, %r2;\n";
    Rig::new(".shared .align 16 .b8 own[256];\n.global .align 16 .u32 table[64];", &format!("{start}{body}"), 256)
}

fn clean(body: &str, threads: u32) {
    for seed in 0..6 {
        let mut rig = rig(body);
        if seed > 0 {
            rig.schedule = ptx_sim::Schedule::Random(seed);
        }
        rig.run(1, threads).unwrap_or_else(|fault| panic!("{fault}\n{body}"));
    }
}

/// The fault that every schedule has to give.
fn finds(body: &str, threads: u32, kind: FaultKind) -> Fault {
    let mut last = None;
    for seed in 0..6 {
        let mut rig = rig(body);
        if seed > 0 {
            rig.schedule = ptx_sim::Schedule::Random(seed);
        }
        let fault = rig.fault(1, threads);
        assert_eq!(fault.kind, kind, "{fault}\n{body}");
        last = last.or(Some(fault));
    }
    last.expect("at least one schedule")
}

/// A warp and a thread.
type Side = (u32, Option<[u32; 3]>);

/// The other side of a race has to be there.
fn sides(fault: &Fault) -> (Side, Side) {
    let other = fault.other.as_ref().unwrap_or_else(|| panic!("{fault}: one side only"));
    ((fault.warp, fault.thread), (other.warp, other.thread))
}

#[test]
fn lanes_of_a_warp_are_ordered_by_bar_warp_sync_and_by_nothing_less() {
    let swap = |sync: &str| {
        format!(
            "st.shared.u32 [%r3], %r0;\n{sync}\nxor.b32 %r4, %r2, 4;\nadd.u32 %r4, %r1, %r4;\nld.shared.u32 %r5, [%r4];"
        )
    };
    clean(&swap("bar.warp.sync -1;"), 32);
    clean(&swap("bar.sync 0;"), 32);
    // Each pair of lanes with its own mask: all that the exchange needs.
    let pairs = "and.b32 %r6, %r0, -2;\nmov.u32 %r7, 3;\nshl.b32 %r7, %r7, %r6;\nbar.warp.sync %r7;";
    clean(&swap(pairs), 32);
    for nothing in ["", "vote.sync.any.pred %p1, 1, -1;", "shfl.sync.bfly.b32 %r8, %r0, 1, 31, -1;", "membar.cta;"] {
        let fault = finds(&swap(nothing), 32, FaultKind::SharedRace);
        assert_eq!(fault.instruction, "ld.shared.u32 %r5, [%r4];", "{fault}");
        let (one, two) = sides(&fault);
        assert_eq!((one, two), ((0, Some([0, 0, 0])), (0, Some([1, 0, 0]))), "{fault}");
        assert!(fault.explanation.contains("bar.warp.sync"), "{fault}");
    }
    // A mask that leaves out the partner orders the wrong lanes.
    let wrong = "setp.gt.u32 %p2, %r0, 15;\nselp.b32 %r7, 0xffff0000, 0x0000ffff, %p2;\nbar.warp.sync %r7;";
    let far = swap(wrong).replace("xor.b32 %r4, %r2, 4", "xor.b32 %r4, %r2, 64");
    let fault = finds(&far, 32, FaultKind::SharedRace);
    assert_eq!(sides(&fault), ((0, Some([0, 0, 0])), (0, Some([16, 0, 0]))), "{fault}");
}

/// Warp 0 does `make`, warp 1 does `take`, after both have written zeros and met.
fn pair(make: &str, take: &str) -> String {
    format!(
        "st.shared.u32 [%r3], 0;\nbar.sync 0;\nsetp.gt.u32 %p1, %r0, 31;\nsetp.eq.u32 %p3, %r0, 0;\n\
         setp.eq.u32 %p4, %r0, 32;\n@%p1 bra TAKE;\n{make}\nbra END;\nTAKE:\n{take}\nEND:"
    )
}

#[test]
fn named_barriers_order_their_participants_only() {
    let make = "st.shared.u32 [%r3], 7;\nbar.arrive 1, 64;";
    let take = "bar.sync 1, 64;\nld.shared.u32 %r5, [%r1];";
    clean(&pair(make, take), 64);
    // Whoever only arrives knows nothing of the others.
    let back = pair(&format!("{make}\nld.shared.u32 %r6, [%r1+128];"), &format!("st.shared.u32 [%r3], 8;\n{take}"));
    let fault = finds(&back, 64, FaultKind::SharedRace);
    assert_ne!(sides(&fault).0.0, sides(&fault).1.0, "{fault}");
    // What comes behind the arrival is not released by it.
    let late = pair("bar.arrive 1, 64;\nst.shared.u32 [%r3], 7;", take);
    finds(&late, 64, FaultKind::SharedRace);
    // Three warps: the third one does not take part in the barrier of the two others.
    let three = "mov.u32 %r9, 0;\nst.shared.u32 [%r1], 0;\nbar.sync 0;\nsetp.eq.u32 %p1, %r0, 0;\n@%p1 st.shared.u32 [%r1], 1;\n\
        setp.gt.u32 %p2, %r0, 63;\n@%p2 bra READ;\nbar.sync 1, 64;\nREAD:\nld.shared.u32 %r5, [%r1];";
    let fault = finds(three, 96, FaultKind::SharedRace);
    let warps = [sides(&fault).0.0, sides(&fault).1.0];
    assert!(warps.contains(&0) && warps.contains(&2), "{fault}");
    clean(&three.replace("READ:", "READ:\nbar.sync 2;"), 96);
    clean(
        &pair(
            "st.shared.u32 [%r3], 7;\nbar.red.popc.u32 %r6, 3, %p1;",
            "bar.red.popc.u32 %r6, 3, %p1;\nld.shared.u32 %r5, [%r1];",
        ),
        64,
    );
}

#[test]
fn flags_order_with_a_fence_or_with_release_and_acquire() {
    let spin = |load: &str| format!("SPIN:\n{load} %r6, [%r1+4];\nsetp.ne.u32 %p2, %r6, 1;\n@%p2 bra SPIN;");
    let take = |load: &str, fence: &str| format!("{}\n{fence}\nld.shared.u32 %r5, [%r1];", spin(load));
    let make = |fence: &str, store: &str| format!("@%p3 st.shared.u32 [%r1], 7;\n{fence}\n@%p3 {store} [%r1+4], 1;");
    let (volatile_load, volatile_store) = ("ld.volatile.shared.u32", "st.volatile.shared.u32");
    let (acquire, release) = ("ld.acquire.cta.shared.u32", "st.release.cta.shared.u32");
    let relaxed = ("ld.relaxed.cta.shared.u32", "st.relaxed.cta.shared.u32");
    clean(&pair(&make("", release), &take(acquire, "")), 64);
    clean(&pair(&make("membar.cta;", volatile_store), &take(volatile_load, "membar.cta;")), 64);
    clean(&pair(&make("fence.acq_rel.cta;", relaxed.1), &take(acquire, "")), 64);
    clean(&pair(&make("", release), &take(relaxed.0, "fence.acq_rel.cta;")), 64);
    clean(
        &pair(
            "@%p3 st.shared.u32 [%r1], 7;\n@%p3 atom.release.cta.shared.exch.b32 %r6, [%r1+4], 1;",
            &take(acquire, ""),
        ),
        64,
    );
    // One half of the pattern is not enough, and neither is the order of an atomic operation.
    for (make, take) in [
        (make("", relaxed.1), take(acquire, "")),
        (make("", release), take(relaxed.0, "")),
        (make("membar.cta;", volatile_store), take(volatile_load, "")),
        (make("", volatile_store), take(volatile_load, "membar.cta;")),
    ] {
        let fault = finds(&pair(&make, &take), 64, FaultKind::SharedRace);
        assert!(fault.instruction.starts_with("ld.shared") || fault.instruction.contains("st.shared"), "{fault}");
    }
    // A weak access to the flag races with the strong ones.
    finds(&pair(&make("", "st.shared.u32"), &take(acquire, "")), 64, FaultKind::SharedRace);
}

#[test]
fn atomics_do_not_race_with_each_other_but_with_everything_weak() {
    let add = "atom.shared.add.u32 %r6, [%r1], 1;";
    clean(&pair(add, add), 64);
    clean(&pair(add, "ld.relaxed.cta.shared.u32 %r5, [%r1];"), 64);
    finds(&pair(add, "ld.shared.u32 %r5, [%r1];"), 64, FaultKind::SharedRace);
    finds(&pair(add, "@%p4 st.shared.u32 [%r1], 5;"), 64, FaultKind::SharedRace);
    // Accesses of another size do not overlap completely.
    finds(&pair(add, "ld.relaxed.cta.shared.u16 %r5, [%r1];"), 64, FaultKind::SharedRace);
    finds("atom.shared.add.u32 %r6, [%r1], 1;", 32, FaultKind::Uninitialised);
}

#[test]
fn one_instruction_may_not_write_two_values_to_one_byte() {
    let fault = finds("st.shared.u32 [%r1], %r0;", 32, FaultKind::SharedRace);
    assert_eq!(sides(&fault), ((0, Some([1, 0, 0])), (0, Some([0, 0, 0]))), "{fault}");
    assert!(fault.explanation.contains("one instruction"), "{fault}");
    clean("add.u32 %r4, %r1, %r0;\nst.shared.u8 [%r4], %r0;", 64);
}

#[test]
fn stores_of_one_value_are_noted() {
    let rig =
        rig("mov.u32 %r4, 9;\nst.shared.u32 [%r1], %r4;\nst.shared.u32 [%r1+8], %r4;\nst.shared.u32 [%r1+8], %r4;");
    let params = rig.out.to_le_bytes();
    let request = Launch::new(rig.module.kernel("k").unwrap(), [40, 1, 1], [64, 1, 1], &params);
    let notes = launch(&rig.instance, &rig.memory, &request).unwrap_or_else(|fault| panic!("{fault}")).notes;
    let lines: Vec<(u32, u32)> =
        notes.iter().map(|note| (note.ptx_line, note.other.as_ref().map_or(0, |other| other.ptx_line))).collect();
    let first = notes[0].ptx_line;
    assert!(lines.contains(&(first, first)) && lines.contains(&(first + 2, first + 1)), "{lines:?}");
    for note in &notes {
        assert_eq!(
            (note.severity, note.kind, note.block),
            (Severity::Info, FaultKind::SharedRace, [0, 0, 0]),
            "{note}"
        );
    }
    // Each kind and pair of lines once, whatever the number of blocks and threads.
    let mut unique = lines.clone();
    unique.dedup();
    assert_eq!((lines.len(), unique.len()), (lines.len(), lines.len()));
    let mut quiet = request;
    quiet.checks = Checks { races: false, ..Checks::ALL };
    assert!(launch(&rig.instance, &rig.memory, &quiet).unwrap().notes.is_empty());
}

const COPY: &str = "mov.u64 %l3, table;\ncp.async.ca.shared.global [%r3], [%l3], 4;\ncp.async.commit_group;";

#[test]
fn a_landed_copy_is_its_threads_write() {
    let others = "xor.b32 %r4, %r2, 4;\nadd.u32 %r4, %r1, %r4;\nld.shared.u32 %r5, [%r4];";
    clean(&format!("{COPY}\ncp.async.wait_group 0;\nld.shared.u32 %r5, [%r3];"), 32);
    clean(&format!("{COPY}\ncp.async.wait_group 0;\nbar.warp.sync -1;\n{others}"), 32);
    // Its own wait says nothing to other threads, in whatever order wait and barrier come.
    let fault = finds(&format!("{COPY}\ncp.async.wait_group 0;\n{others}"), 32, FaultKind::SharedRace);
    assert!(fault.other.as_ref().is_some_and(|other| other.instruction.starts_with("cp.async")), "{fault}");
    let early = finds(&format!("{COPY}\nbar.sync 0;\n{others}\ncp.async.wait_all;"), 32, FaultKind::CopyInFlight);
    assert!(early.other.as_ref().is_some_and(|other| other.instruction.starts_with("cp.async")), "{early}");
    finds(&format!("{COPY}\nst.shared.u32 [%r3], 1;\ncp.async.wait_all;"), 32, FaultKind::CopyInFlight);
    finds(&format!("{COPY}\n{COPY}\ncp.async.wait_all;"), 32, FaultKind::CopyInFlight);
}

#[test]
fn sources_of_copies_stay_as_they_are_until_these_have_landed() {
    let fault = finds(&format!("{COPY}\nst.global.u32 [%l3], 5;\ncp.async.wait_all;"), 1, FaultKind::CopyInFlight);
    assert!(fault.explanation.contains("global memory") && fault.instruction.starts_with("st.global"), "{fault}");
    assert!(fault.other.as_ref().is_some_and(|other| other.instruction.starts_with("cp.async")), "{fault}");
    finds(&format!("{COPY}\natom.global.add.u32 %r5, [%l3], 5;\ncp.async.wait_all;"), 1, FaultKind::CopyInFlight);
    clean(&format!("{COPY}\nst.global.u32 [%l3+4], 5;\ncp.async.wait_all;\nst.global.u32 [%l3], 5;"), 1);
}

#[test]
fn no_thread_exits_before_its_copies_have_landed() {
    let fault = finds(COPY, 32, FaultKind::PendingAtExit);
    assert_eq!(fault.thread, Some([0, 0, 0]), "{fault}");
    assert!(fault.instruction.starts_with("cp.async"), "{fault}");
    let one = format!("{COPY}\nsetp.eq.u32 %p1, %r0, 7;\n@%p1 ret;\ncp.async.wait_all;");
    assert_eq!(finds(&one, 32, FaultKind::PendingAtExit).thread, Some([7, 0, 0]));
    clean(&format!("{COPY}\ncp.async.wait_all;"), 32);
}

#[test]
fn every_check_can_be_switched_off() {
    let without = |body: &str, threads: u32, checks: Checks| {
        let mut rig = rig(body);
        rig.checks = checks;
        rig.run(1, threads).unwrap_or_else(|fault| panic!("{fault}\n{body}"));
    };
    without("st.shared.u32 [%r1], %r0;", 64, Checks { races: false, ..Checks::ALL });
    without("ld.shared.u32 %r5, [%r3];", 64, Checks { init: false, ..Checks::ALL });
    let lax = Checks { asynchrony: false, ..Checks::ALL };
    without(COPY, 32, lax);
    without(&format!("{COPY}\nst.shared.u32 [%r3], 1;\nst.global.u32 [%l3], 2;"), 1, lax);
    let lax = Checks { sync: false, ..Checks::ALL };
    without("shfl.sync.bfly.b32 %r4, %r0, 1, 31, 0xFFFF;", 32, Checks { sync: false, ..Checks::ALL });
    without("setp.lt.u32 %p1, %r0, 16;\n@%p1 bar.sync 0;", 32, lax);
    without("setp.lt.u32 %p1, %r0, 32;\nselp.b32 %r4, 64, 96, %p1;\nbar.sync 1, %r4;", 64, lax);
}

#[test]
fn a_deadlock_says_how_many_have_arrived() {
    let body = "setp.gt.u32 %p1, %r0, 31;\n@%p1 bra L;\nbar.arrive 1, 128;\nbra M;\nL:\nbar.sync 1, 128;\nM:";
    let fault = finds(body, 64, FaultKind::Deadlock);
    assert!(fault.explanation.contains("warp 1 waits at barrier 1 for 128 threads (line"), "{fault}");
    assert!(fault.explanation.contains("2 of 4 warps have arrived"), "{fault}");
    assert!(fault.explanation.contains("warp 0 has exited"), "{fault}");
}

#[test]
fn threads_that_have_exited_count_as_arrived_at_a_barrier_of_all() {
    // Each thread stores; all but the first ten return; these read what everybody has stored.
    let body = |wait: &str| {
        format!(
            "st.shared.u32 [%r3], %r0;\nsetp.gt.u32 %p1, %r0, 9;\n@%p1 ret;\n{wait}\nsub.u32 %r4, 63, %r0;\nshl.b32 %r4, %r4, 2;\n\
             add.u32 %r4, %r1, %r4;\nld.shared.u32 %r5, [%r4];\nmul.lo.u32 %r6, %r0, 3;\nshl.b32 %r6, %r6, 2;\n\
             add.u32 %r6, %r1, %r6;\nld.shared.u32 %r7, [%r6];"
        )
    };
    clean(&body("bar.sync 0;"), 64);
    clean(&body("barrier.sync 0;"), 64);
    // A barrier of the one warp that is left does not wait for the other one's exit.
    let early = body("bar.sync 1, 32;");
    assert!(rig(&early).run(1, 64).is_err(), "{early}");
    // Nor does one of the warp; among its own lanes it does.
    let near = body("bar.warp.sync -1;").replace("63, %r0", "31, %r0");
    clean(&near, 32);
    assert!(rig(&body("bar.warp.sync -1;")).run(1, 64).is_err());
}
