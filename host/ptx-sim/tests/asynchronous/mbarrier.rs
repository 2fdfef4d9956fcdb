//! Mbarrier objects by threads alone.

use ptx_sim::{FaultKind, Severity};

use crate::rig::{Rig, zeros};

const BAR: &str = ".shared .align 8 .b64 bar[2];\n.shared .align 4 .b8 data[512];";

/// Thread 0 initialises the mbarrier with `count` and all wait at a barrier.
fn init(count: u32) -> String {
    format!(
        "setp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\nmbarrier.init.shared::cta.b64 [bar], {count};\n\
         READY:\nbar.sync 0;\n"
    )
}

/// A loop until the phase of that parity is complete.
fn wait(label: &str, parity: &str) -> String {
    format!("{label}:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, [bar], {parity};\n@!%p2 bra {label};\n")
}

/// Each thread stores, arrives, waits and reads its neighbour's word.
fn exchange(arrive: &str, wait: &str) -> Rig {
    let body = format!(
        "{}mov.u32 %r1, data;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r3, %r1, %r2;\nst.shared.u32 [%r3], %r0;\n{arrive}\n{wait}\n\
         xor.b32 %r4, %r2, 256;\nadd.u32 %r4, %r1, %r4;\nld.shared.u32 %r5, [%r4];\ncvt.u64.u32 %l1, %r2;\n\
         add.u64 %l1, %l0, %l1;\nst.global.u32 [%l1], %r5;",
        init(128)
    );
    Rig::new(BAR, &[&zeros(512)], &body)
}

#[test]
fn arrivals_and_waits_order_what_threads_do() {
    let expected: Vec<u32> = (0..128).map(|thread| thread ^ 64).collect();
    let by_state = "W:\nmbarrier.test_wait.shared::cta.b64 %p2, [bar], %l5;\n@!%p2 bra W;";
    for (arrive, wait) in [
        ("mbarrier.arrive.shared::cta.b64 _, [bar];", wait("W", "0").as_str()),
        ("mbarrier.arrive.release.cluster.shared.b64 %l5, [bar];", by_state),
        ("cvta.shared.u64 %l6, bar;\nmbarrier.arrive.b64 %l5, [%l6];", by_state),
    ] {
        let rig = exchange(arrive, wait);
        assert_eq!(rig.clean(), []);
        assert_eq!(rig.words(0), expected);
    }
}

#[test]
fn a_wait_that_is_missing_relaxed_or_for_the_wrong_parity_orders_nothing() {
    let arrive = "mbarrier.arrive.shared::cta.b64 _, [bar];";
    let relaxed = "W:\nmbarrier.try_wait.parity.relaxed.cta.shared::cta.b64 %p2, [bar], 0;\n@!%p2 bra W;";
    for (arrive, wait) in [
        (arrive, ""),
        (arrive, wait("W", "1").as_str()),
        (arrive, relaxed),
        ("mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [bar];", wait("W", "0").as_str()),
    ] {
        let fault = exchange(arrive, wait).fault();
        assert!(matches!(fault.kind, FaultKind::SharedRace | FaultKind::Uninitialised), "{fault}");
    }
}

#[test]
fn phases_counts_and_drops() {
    // 4 threads arrive by a count; thread 0 drops out, so that the second phase waits for 3 of them.
    let body = format!(
        "{}setp.ge.u32 %p3, %r0, 1;\n@%p3 bra END;\nmbarrier.arrive.noComplete.shared::cta.b64 %l5, [bar], 3;\n\
         mbarrier.pending_count.b64 %r6, %l5;\nst.global.u32 [%l0], %r6;\n\
         mbarrier.arrive_drop.shared::cta.b64 _, [bar];\n{}\
         mbarrier.arrive.shared::cta.b64 %l6, [bar], 3;\n\
         mbarrier.test_wait.shared::cta.b64 %p4, [bar], %l6;\nselp.u32 %r7, 1, 0, %p4;\nst.global.u32 [%l0+4], %r7;\n\
         mbarrier.inval.shared::cta.b64 [bar];\nmbarrier.init.shared::cta.b64 [bar], 1;\n\
         mbarrier.test_wait.parity.shared::cta.b64 %p4, [bar], 1;\nselp.u32 %r7, 1, 0, %p4;\nst.global.u32 [%l0+8], %r7;\n\
         mbarrier.test_wait.parity.shared::cta.b64 %p4, [bar], 0;\nselp.u32 %r7, 1, 0, %p4;\nst.global.u32 [%l0+12], %r7;\n\
         END:",
        init(4),
        wait("W", "0")
    );
    let rig = Rig::new(BAR, &[&zeros(16)], &body);
    rig.clean();
    assert_eq!(rig.words(0), [4, 1, 1, 0]);
}

#[test]
fn transactions_hold_a_phase_back() {
    let body = format!(
        "{}setp.ge.u32 %p3, %r0, 1;\n@%p3 bra END;\nmbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], 64;\n\
         mbarrier.arrive.shared::cta.b64 %l5, [bar];\n\
         mbarrier.test_wait.shared::cta.b64 %p4, [bar], %l5;\nselp.u32 %r7, 1, 0, %p4;\nst.global.u32 [%l0], %r7;\n\
         mbarrier.complete_tx.shared::cta.b64 [bar], 64;\n\
         mbarrier.test_wait.shared::cta.b64 %p4, [bar], %l5;\nselp.u32 %r7, 1, 0, %p4;\nst.global.u32 [%l0+4], %r7;\nEND:",
        init(1)
    );
    let rig = Rig::new(BAR, &[&zeros(8)], &body);
    rig.clean();
    assert_eq!(rig.words(0), [0, 1]);
}

#[test]
fn misuse_is_named() {
    let one = |body: &str| format!("setp.ne.u32 %p1, %r0, 0;\n@%p1 bra END;\n{body}\nEND:");
    let init = "mbarrier.init.shared::cta.b64 [bar], 2;\n";
    for (body, words) in [
        ("mbarrier.arrive.shared::cta.b64 _, [bar];".to_owned(), "no live mbarrier"),
        ("mbarrier.init.shared::cta.b64 [bar], 0;".to_owned(), "count of 0"),
        (format!("{init}{init}"), "initialised again"),
        (format!("{init}mbarrier.arrive.shared::cta.b64 _, [bar], 3;"), "too many threads"),
        (format!("{init}mbarrier.arrive.noComplete.shared::cta.b64 _, [bar], 2;"), ".noComplete"),
        (format!("{init}mbarrier.expect_tx.shared::cta.b64 [bar], 1048576;"), "transaction count"),
        (format!("{init}ld.shared.u32 %r2, [bar];"), "live mbarrier"),
        (format!("{init}mov.u32 %r2, 0;\nst.shared.u32 [bar+4], %r2;"), "live mbarrier"),
        (format!("{init}mbarrier.inval.shared::cta.b64 [bar];\nmbarrier.arrive.shared::cta.b64 _, [bar];"), "no live"),
        (
            format!(
                "{init}mbarrier.arrive.shared::cta.b64 %l5, [bar], 2;\nmbarrier.arrive.shared::cta.b64 _, [bar], 2;\n\
                 mbarrier.test_wait.shared::cta.b64 %p2, [bar], %l5;"
            ),
            "a wait for phase 0",
        ),
        (format!("{init}mbarrier.test_wait.parity.shared::cta.b64 %p2, [bar], 2;"), "parity 2"),
    ] {
        let fault = Rig::new(BAR, &[], &one(&body)).shape(1, 32, 1).fault();
        assert_eq!(fault.kind, FaultKind::Mbarrier, "{fault}");
        assert!(fault.explanation.contains(words), "{words}: {fault}");
    }
    let odd = Rig::new(BAR, &[], &one("mov.u32 %r2, bar;\nmbarrier.init.shared::cta.b64 [%r2+4], 1;")).fault();
    assert_eq!(odd.kind, FaultKind::Misaligned);
}

#[test]
fn an_object_is_initialised_before_it_is_used_and_done_with_before_it_is_invalidated() {
    let early = Rig::new(
        BAR,
        &[],
        "setp.ne.u32 %p1, %r0, 0;\n@%p1 bra USE;\nmbarrier.init.shared::cta.b64 [bar], 1;\nUSE:\n\
         mov.u32 %r1, 0;\nL:\nadd.u32 %r1, %r1, 1;\nsetp.lt.u32 %p2, %r1, 9;\n@%p2 bra L;\nsetp.ne.u32 %p1, %r0, 64;\n\
         @%p1 bra END;\nmbarrier.arrive.shared::cta.b64 _, [bar];\nEND:",
    );
    let fault = early.fault();
    assert_eq!(fault.kind, FaultKind::Mbarrier, "{fault}");
    let body = format!(
        "{}mbarrier.arrive.shared::cta.b64 _, [bar];\n{}setp.ne.u32 %p3, %r0, 0;\n@%p3 bra END;\n\
         mbarrier.inval.shared::cta.b64 [bar];\nEND:",
        init(128),
        wait("W", "0")
    );
    let fault = Rig::new(BAR, &[], &body).fault();
    assert_eq!(fault.kind, FaultKind::Mbarrier, "{fault}");
    let sound = body.replace("setp.ne.u32 %p3", "bar.sync 0;\nsetp.ne.u32 %p3");
    Rig::new(BAR, &[], &sound).clean();
}

#[test]
fn a_phase_that_nobody_sees_complete_is_noted() {
    let body = format!(
        "{}setp.ne.u32 %p3, %r0, 0;\n@%p3 bra END;\nmbarrier.arrive.shared::cta.b64 _, [bar];\n\
         mbarrier.arrive.shared::cta.b64 _, [bar];\nEND:",
        init(1)
    );
    let notes = Rig::new(BAR, &[], &body).clean();
    assert_eq!(notes.len(), 1);
    assert_eq!((notes[0].kind, notes[0].severity), (FaultKind::Mbarrier, Severity::Warning));
    assert!(notes[0].explanation.contains("nobody has seen"), "{}", notes[0]);
}

#[test]
fn a_wait_that_never_ends_is_a_deadlock_with_the_state_of_every_warp() {
    // Only 96 of 128 threads arrive; warp 3 waits at a barrier that nobody else comes to.
    let body = format!(
        "{}setp.ge.u32 %p3, %r0, 96;\n@%p3 bra LAST;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 2;\n{}bra END;\n\
         LAST:\nbar.sync 3, 64;\nEND:",
        init(128),
        wait("W", "0")
    );
    let fault = Rig::new(BAR, &[], &body).fault();
    assert_eq!(fault.kind, FaultKind::Deadlock);
    for words in [
        "warps 0 to 2 wait for phase 0 of the mbarrier at 0x400",
        "32 of 128 arrivals are missing",
        "192 bytes are expected",
        "warp 3 waits at barrier 3 for 64 threads",
        "1 of 2 warps",
    ] {
        assert!(fault.explanation.contains(words), "{words}: {fault}");
    }
}

#[test]
fn lanes_of_one_warp_may_wait_for_each_other() {
    // Lane 0 spins until lane 1, which stands behind it, has arrived.
    let body = format!(
        "{}setp.ne.u32 %p3, %r0, 0;\n@%p3 bra OTHER;\n{}mov.u32 %r4, 7;\nst.global.u32 [%l0], %r4;\nbra END;\n\
         OTHER:\nsetp.ne.u32 %p3, %r0, 1;\n@%p3 bra END;\nmbarrier.arrive.shared::cta.b64 _, [bar];\nEND:",
        init(1),
        wait("W", "0")
    );
    let rig = Rig::new(BAR, &[&zeros(4)], &body).shape(1, 32, 1);
    rig.clean();
    assert_eq!(rig.words(0), [7]);
}

#[test]
fn cp_async_arrives_when_it_is_done() {
    // Without .noinc the arrival is added to the phase; with it the count has one for each.
    for (form, count) in [("", 128), (".noinc", 256)] {
        let body = format!(
            "{}mov.u32 %r1, data;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r3, %r1, %r2;\ncvt.u64.u32 %l4, %r2;\n\
             add.u64 %l5, %l1, %l4;\ncp.async.ca.shared.global [%r3], [%l5], 4;\n\
             cp.async.mbarrier.arrive{form}.shared::cta.b64 [bar];\nmbarrier.arrive.shared::cta.b64 _, [bar];\n{}\
             xor.b32 %r4, %r2, 256;\nadd.u32 %r4, %r1, %r4;\nld.shared.u32 %r5, [%r4];\nadd.u64 %l5, %l0, %l4;\n\
             st.global.u32 [%l5], %r5;",
            init(count),
            wait("W", "0")
        );
        let source: Vec<u8> = (0..128_u32).flat_map(|word| (word * 3).to_le_bytes()).collect();
        let rig = Rig::new(BAR, &[&zeros(512), &source], &body);
        rig.clean();
        assert_eq!(rig.words(0), (0..128_u32).map(|thread| (thread ^ 64) * 3).collect::<Vec<_>>());
        // Without the arrival of the copies the wait says nothing of them.
        let broken = body.replace(&format!("cp.async.mbarrier.arrive{form}.shared::cta.b64 [bar];"), "");
        if form.is_empty() {
            assert_eq!(Rig::new(BAR, &[&zeros(512), &source], &broken).fault().kind, FaultKind::CopyInFlight);
        }
    }
}
