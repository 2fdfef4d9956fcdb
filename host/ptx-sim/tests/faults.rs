//! What is caught, and where the report points.

mod common;
use common::Rig;
use ptx_sim::{FaultKind, Schedule, Severity};

#[test]
fn an_overrun_names_the_line_the_thread_and_the_allocation() {
    let body = ".loc 1 42 5\nmul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\nst.global.u32 [%l1], %r0;";
    let rig = Rig::new(".file 1 \"kernel.rs\"", body, 4 * 40);
    let fault = rig.fault(2, 64);
    assert_eq!((fault.kind, fault.block, fault.thread), (FaultKind::OutOfBounds, [0, 0, 0], Some([40, 0, 0])));
    assert_eq!((fault.address, fault.size), (Some(rig.out + 160), Some(4)));
    assert_eq!(fault.source, Some(("kernel.rs".to_owned(), 42)));
    let text = fault.to_string();
    for part in [
        "kernel k",
        "test.ptx:16",
        "kernel.rs:42",
        "thread (40, 0, 0)",
        "right after the allocation of 160",
        "st.global.u32",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn null_freed_and_misaligned_addresses_are_told_apart() {
    let null = Rig::new("", "mov.u64 %l1, 8;\nld.global.u32 %r1, [%l1];\nst.global.u32 [%l0], %r1;", 4);
    assert!(null.fault(1, 1).explanation.contains("null"));
    let odd = Rig::new("", "ld.global.u32 %r1, [%l0+2];", 8).fault(1, 32);
    assert_eq!((odd.kind, odd.size), (FaultKind::Misaligned, Some(4)));
    let vector = Rig::new("", "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%l0+8];", 64).fault(1, 1);
    assert_eq!((vector.kind, vector.size), (FaultKind::Misaligned, Some(16)));
    let freed = Rig::new("", "ld.global.u32 %r1, [%l0];", 8);
    freed.memory.fill(freed.out, 8, &[0]).unwrap();
    freed.run(1, 1).unwrap();
    freed.memory.free(freed.out).unwrap();
    // Whatever is allocated meanwhile never takes its place.
    freed.memory.alloc(8).unwrap();
    assert!(freed.fault(1, 1).explanation.contains("8 bytes at 0x10000000100 that were freed (use after free)"));
    let other = Rig::new("", "ld.global.u32 %r1, [%l0+-4];", 8).fault(1, 1);
    assert!(other.explanation.contains("4 bytes before"), "{other}");
}

#[test]
fn shared_memory_ends_where_it_was_asked_to_end() {
    let body = "mov.u32 %r1, pool;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r1, %r1, %r2;\nst.shared.u32 [%r1], %r0;";
    let mut rig = Rig::new(".extern .shared .align 16 .b8 pool[];", body, 4);
    rig.dynamic_shared = 128;
    rig.run(1, 32).unwrap();
    let fault = rig.fault(1, 33);
    assert_eq!((fault.kind, fault.thread, fault.size), (FaultKind::OutOfBounds, Some([32, 0, 0]), Some(4)));
    let null =
        Rig::new(".shared .b8 own[8];", "mov.u32 %r3, own;\nmov.u32 %r1, 0;\nld.shared.u32 %r2, [%r1];", 4).fault(1, 1);
    assert!(null.explanation.contains("null"), "{null}");
}

/// Each thread stores its index, then reads its neighbour's from the other warp, then writes again.
fn exchange(first: &str, second: &str) -> Rig {
    let body = format!(
        "mov.u32 %r1, own;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r3, %r1, %r2;\nst.shared.u32 [%r3], 0;\nbar.sync 0;\n\
         st.shared.u32 [%r3], %r0;\n{first}\n\
         xor.b32 %r4, %r2, 128;\nadd.u32 %r4, %r1, %r4;\nld.shared.u32 %r5, [%r4];\n{second}\nst.shared.u32 [%r3], %r5;\n\
         cvt.u64.u32 %l1, %r2;\nadd.u64 %l1, %l0, %l1;\nst.global.u32 [%l1], %r5;"
    );
    Rig::new(".shared .align 4 .b8 own[256];", &body, 256)
}

#[test]
fn a_dropped_barrier_is_a_race_under_every_schedule() {
    let sound = exchange("bar.sync 0;", "bar.sync 0;");
    let expected: Vec<u32> = (0..64).map(|thread| thread ^ 32).collect();
    assert_eq!(sound.result(1, 64), expected);
    for seed in 0..8 {
        for (first, second, words) in
            [("", "bar.sync 0;", ["written", "read"]), ("bar.sync 0;", "", ["read", "written"])]
        {
            let mut rig = exchange(first, second);
            rig.schedule = if seed == 0 { Schedule::Late } else { Schedule::Random(seed) };
            let fault = rig.fault(1, 64);
            assert_eq!(fault.kind, FaultKind::SharedRace, "{fault}");
            assert!(words.iter().any(|word| fault.explanation.contains(word)), "{fault}");
            let other = fault.other.as_ref().expect("a race has two sides");
            assert_ne!(other.warp, fault.warp, "{fault}");
            assert!(other.instruction.contains(".shared.u32"), "{fault}");
        }
        let mut rig = exchange("bar.sync 0;", "bar.sync 0;");
        rig.schedule = Schedule::Random(seed);
        assert_eq!(rig.result(3, 64), expected);
    }
}

#[test]
fn bytes_of_one_word_do_not_race_and_equal_stores_are_harmless() {
    let body = "mov.u32 %r1, own;\nadd.u32 %r1, %r1, %r0;\nst.shared.u8 [%r1], %r0;";
    Rig::new(".shared .b8 own[128];", body, 4).run(1, 128).unwrap();
    let same = "mov.u32 %r1, own;\nmov.u32 %r2, 7;\nst.shared.u32 [%r1], %r2;";
    Rig::new(".shared .align 4 .b8 own[4];", same, 4).run(1, 128).unwrap();
    let different = "mov.u32 %r1, own;\nshr.u32 %r2, %r0, 5;\nst.shared.u32 [%r1], %r2;";
    let fault = Rig::new(".shared .align 4 .b8 own[4];", different, 4).fault(1, 128);
    assert_eq!(fault.kind, FaultKind::SharedRace);
}

#[test]
fn shared_memory_starts_as_poison_that_nobody_may_read() {
    let body = "mov.u32 %r1, own;\nst.shared.u16 [%r1], 1;\nld.shared.u32 %r2, [%r1];\nst.global.u32 [%l0], %r2;";
    let mut rig = Rig::new(".shared .align 4 .b8 own[4];", body, 4);
    let fault = rig.fault(1, 1);
    assert_eq!((fault.kind, fault.size, fault.ptx_line), (FaultKind::Uninitialised, Some(4), 15), "{fault}");
    assert!(fault.explanation.contains("byte 2 of this block's shared memory"), "{fault}");
    rig.checks.init = false;
    assert_eq!(rig.result(1, 1), [0xA5A5_0001]);
}

#[test]
fn a_barrier_that_not_all_lanes_reach_is_divergence() {
    let body = "setp.lt.u32 %p1, %r0, 16;\n@%p1 bra SKIP;\nbar.sync 0;\nSKIP:";
    // The other half goes around the barrier and exits: it does not wait for them.
    let report = Rig::new("", body, 4).report(1, 32).unwrap();
    let note = &report.notes[0];
    assert_eq!((note.kind, note.severity, note.ptx_line), (FaultKind::Divergence, Severity::Info, 15), "{note}");
    assert!(note.explanation.contains("exited"), "{note}");
    // There they wait for what the others never do.
    let fault = Rig::new("", &format!("{body}\nbar.warp.sync -1;"), 4).fault(1, 32);
    assert_eq!((fault.kind, fault.ptx_line), (FaultKind::BadMask, 17), "{fault}");
    // Without .aligned, the threads that are left are enough; and so are the threads of a partial last warp.
    Rig::new("", &body.replace("bar.sync", "barrier.sync"), 4).run(1, 32).unwrap();
    Rig::new("", "bar.sync 0;", 4).run(1, 40).unwrap();
    let guarded = Rig::new("", "setp.lt.u32 %p1, %r0, 16;\n@%p1 bar.sync 0;", 4).fault(1, 32);
    assert_eq!(guarded.kind, FaultKind::Divergence);
    assert!(guarded.explanation.contains("guard"), "{guarded}");
}

#[test]
fn a_deadlock_tells_where_each_warp_is() {
    let body = "setp.lt.u32 %p1, %r0, 32;\n@%p1 bra ONE;\nbar.sync 1, 64;\nbra END;\nONE:\nbar.sync 2, 64;\nEND:";
    let fault = Rig::new("", body, 4).fault(1, 64);
    assert_eq!(fault.kind, FaultKind::Deadlock);
    assert!(fault.explanation.contains("warp 0 waits at barrier 2 for 64 threads (line 18)"), "{fault}");
    assert!(fault.explanation.contains("warp 1 waits at barrier 1"), "{fault}");
    let counts = "setp.lt.u32 %p1, %r0, 32;\n@%p1 bra ONE;\nbar.sync 1, 64;\nbra END;\nONE:\nbar.sync 1, 96;\nEND:";
    assert_eq!(Rig::new("", counts, 4).fault(1, 64).kind, FaultKind::BadBarrier);
    let odd = Rig::new("", "mov.u32 %r1, 40;\nbar.sync 0, %r1;", 4).fault(1, 64);
    assert!(odd.explanation.contains("multiple of 32"), "{odd}");
}

#[test]
fn a_loop_without_end_stops_at_the_limit_and_a_trap_is_told() {
    let mut rig = Rig::new("", "mov.u32 %r1, 0;\nAGAIN:\nadd.u32 %r1, %r1, 1;\nbra AGAIN;", 4);
    rig.instruction_limit = 10_000;
    assert_eq!(rig.fault(1, 32).kind, FaultKind::InstructionLimit);
    let trap = Rig::new("", "setp.eq.u32 %p1, %r0, 7;\n@%p1 trap;", 4).fault(1, 32);
    assert_eq!((trap.kind, trap.thread), (FaultKind::Trap, Some([7, 0, 0])));
}

#[test]
fn the_lowest_block_is_reported_whichever_runs_first() {
    let body = "mov.u32 %r1, %ctaid.x;\nsetp.lt.u32 %p1, %r1, 37;\n@%p1 ret;\ntrap;";
    for _ in 0..5 {
        assert_eq!(Rig::new("", body, 4).fault(500, 64).block, [37, 0, 0]);
    }
}

#[test]
fn launches_that_no_gpu_takes_are_refused() {
    let rig = Rig::new("", "", 4);
    assert_eq!(rig.fault(0, 32).kind, FaultKind::BadLaunch);
    assert!(rig.fault(1, 1025).explanation.contains("1025"));
}

#[test]
fn a_block_that_spins_on_a_faulty_one_is_not_blamed() {
    // Block 1 traps before it sets the flag that block 0 polls.
    let body = "mov.u32 %r1, %ctaid.x;\nsetp.eq.u32 %p1, %r1, 1;\n@%p1 bra SECOND;\nSPIN:\n\
                ld.volatile.global.u32 %r2, [%l0];\nsetp.ne.u32 %p2, %r2, 1;\n@%p2 bra SPIN;\nbra END;\n\
                SECOND:\ntrap;\nEND:";
    let mut rig = Rig::new("", body, 4);
    rig.memory.write(rig.out, &[0; 4]).unwrap();
    // Long enough for the other core to begin.
    rig.instruction_limit = 1 << 22;
    let fault = rig.fault(2, 1);
    assert_eq!((fault.kind, fault.block), (FaultKind::Trap, [1, 0, 0]), "{fault}");
}
