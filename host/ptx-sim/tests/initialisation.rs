//! Reads of what nobody has written: the fault, and the clean twin of each.

mod common;
use common::Rig;
use ptx_sim::{Checks, Fault, FaultKind};

/// The fault of a body that reads its output too early; it runs clean once `mend` was done, or the check is off.
fn uninitialised(body: &str, bytes: usize, threads: u32, mend: impl Fn(&Rig)) -> Fault {
    let rig = Rig::new("", body, bytes);
    let fault = rig.fault(1, threads);
    assert_eq!(fault.kind, FaultKind::Uninitialised, "{fault}");
    mend(&rig);
    rig.run(1, threads).unwrap_or_else(|fault| panic!("{fault}"));
    let mut lax = Rig::new("", body, bytes);
    lax.checks = Checks { init: false, ..Checks::ALL };
    lax.run(1, threads).unwrap_or_else(|fault| panic!("{fault}"));
    fault
}

#[test]
fn a_read_of_bytes_never_written_names_the_allocation_and_the_byte() {
    let rig = Rig::new("", "ld.global.u32 %r1, [%l0+8];", 12);
    rig.memory.write(rig.out + 8, &[0; 2]).unwrap();
    let fault = rig.fault(1, 1);
    assert_eq!((fault.kind, fault.thread), (FaultKind::Uninitialised, Some([0, 0, 0])));
    assert_eq!((fault.address, fault.size), (Some(rig.out + 8), Some(4)));
    assert!(fault.explanation.contains("byte 10 of the allocation of 12 bytes"), "{fault}");
    rig.memory.write(rig.out + 10, &[0; 2]).unwrap();
    rig.run(1, 1).unwrap();
}

#[test]
fn contiguous_uniform_and_scattered_loads_blame_the_lane_that_reads_too_early() {
    let fill = |bytes: u64| move |rig: &Rig| rig.memory.fill(rig.out, bytes, &[1]).unwrap();
    let each = "mul.wide.u32 %l1, %r0, 16;\nadd.u64 %l1, %l0, %l1;\nld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%l1];";
    let rig = Rig::new("", each, 16 * 32);
    rig.memory.fill(rig.out, 16 * 20 + 3, &[1]).unwrap();
    let fault = rig.fault(1, 32);
    assert_eq!((fault.kind, fault.thread), (FaultKind::Uninitialised, Some([20, 0, 0])), "{fault}");
    assert_eq!((fault.address, fault.size), (Some(rig.out + 320), Some(16)), "{fault}");
    assert!(fault.explanation.contains("byte 323"), "{fault}");
    let fault = uninitialised(each, 16 * 32, 32, fill(512));
    assert_eq!(fault.thread, Some([0, 0, 0]));
    uninitialised("ld.global.u16 %h1, [%l0+2];", 4, 32, fill(4));
    let apart = "mul.wide.u32 %l1, %r0, 24;\nadd.u64 %l1, %l0, %l1;\nld.global.u64 %l2, [%l1];";
    let rig = Rig::new("", apart, 24 * 32);
    rig.memory.fill(rig.out, 24 * 7, &[1]).unwrap();
    assert_eq!(rig.fault(1, 32).thread, Some([7, 0, 0]));
    rig.memory.fill(rig.out, 24 * 32, &[1]).unwrap();
    rig.run(1, 32).unwrap();
}

#[test]
fn atomics_and_copies_read_too() {
    let zero = |rig: &Rig| rig.memory.fill(rig.out, 16, &[0]).unwrap();
    uninitialised("red.global.add.u32 [%l0+4], 1;", 16, 32, zero);
    uninitialised("atom.global.exch.b64 %l1, [%l0+8], %l0;", 16, 1, zero);
    let copy = "mov.u32 %r1, own;\ncp.async.ca.shared.global [%r1], [%l0], 8;\ncp.async.wait_all;";
    let rig = Rig::new(".shared .align 8 .b8 own[8];", copy, 8);
    assert_eq!(rig.fault(1, 1).kind, FaultKind::Uninitialised);
    rig.memory.fill(rig.out, 8, &[0]).unwrap();
    rig.run(1, 1).unwrap();
    // Bytes that the copy fills with zeros are not read.
    let part = copy.replace("[%l0], 8;", "[%l0], 8, 4;");
    let rig = Rig::new(".shared .align 8 .b8 own[8];", &part, 8);
    rig.memory.fill(rig.out, 4, &[0]).unwrap();
    rig.run(1, 1).unwrap();
}

#[test]
fn what_a_kernel_writes_is_initialised_for_later_launches_and_copies_of_it() {
    let body = "add.u64 %l1, %l0, 3;\nst.global.u8 [%l1], %r0;\nld.global.u8 %r1, [%l1];";
    let rig = Rig::new("", body, 8);
    rig.run(1, 1).unwrap();
    let reader = Rig::new("", "ld.global.u8 %r1, [%l0+3];\nld.global.u8 %r1, [%l0+4];", 8);
    reader.memory.write(reader.out + 4, &[1]).unwrap();
    let source = reader.memory.alloc(8).unwrap();
    reader.memory.write(source + 3, &[7]).unwrap();
    reader.memory.copy(reader.out, source, 4).unwrap();
    reader.run(1, 1).unwrap();
    // A copy of what was never written takes that along.
    reader.memory.copy(reader.out, source, 5).unwrap();
    let fault = reader.fault(1, 1);
    assert!(fault.explanation.contains("byte 4 of the allocation of 8"), "{fault}");
}

#[test]
fn variables_of_a_module_are_initialised() {
    let body = "mov.u64 %l1, table;\nld.global.u32 %r1, [%l1+12];\nst.global.u32 [%l0], %r1;";
    assert_eq!(Rig::new(".global .align 4 .b32 table[4] = {1, 2};", body, 4).result(1, 1), [0]);
}

#[test]
fn each_thread_has_local_memory_of_its_own_to_write() {
    let body = |mask: u32, offset: u32| {
        format!(
            ".local .align 8 .b8 mine[72];\nmov.u64 %l1, mine;\nand.b32 %r1, %r0, {mask};\nsetp.eq.u32 %p1, %r1, 0;\n\
             @%p1 st.local.u16 [%l1+70], 5;\n@%p1 st.local.u64 [%l1+56], 7;\nld.local.u16 %h1, [%l1+{offset}];\n\
             cvta.local.u64 %l1, %l1;\nld.u64 %l2, [%l1+56];"
        )
    };
    Rig::new("", &body(0, 70), 4).run(1, 64).unwrap();
    let fault = Rig::new("", &body(3, 70), 4).fault(1, 64);
    assert_eq!((fault.kind, fault.thread), (FaultKind::Uninitialised, Some([1, 0, 0])), "{fault}");
    let fault = Rig::new("", &body(0, 68), 4).fault(1, 64);
    assert!(fault.explanation.contains("byte 68 of this thread's local memory"), "{fault}");
    // What lies past the last variable is no thread's.
    let over = ".local .align 8 .b8 mine[16];\nmov.u64 %l1, mine;\nst.local.u64 [%l1+16], %l1;";
    assert_eq!(Rig::new("", over, 4).fault(1, 32).kind, FaultKind::OutOfBounds);
    Rig::new("", &over.replace("+16", "+8"), 4).run(1, 32).unwrap();
}

/// The register that a body reads too early, and the thread.
fn undefined(body: &str) -> (String, Option<[u32; 3]>) {
    let fault = Rig::new("", body, 256).fault(1, 64);
    assert_eq!(fault.kind, FaultKind::Uninitialised, "{fault}");
    let mut lax = Rig::new("", body, 256);
    // Some bodies store to one place by all threads.
    lax.checks = Checks { init: false, races: false, ..Checks::ALL };
    lax.run(1, 64).unwrap_or_else(|fault| panic!("{fault}"));
    let name = fault.explanation.split_once("register ").unwrap().1.split_once(',').unwrap().0.to_owned();
    (name, fault.thread)
}

fn clean(body: &str) {
    Rig::new("", body, 256).run(1, 64).unwrap_or_else(|fault| panic!("{fault}\n{body}"));
}

#[test]
fn registers_read_before_they_are_written_are_named() {
    let first = Some([0, 0, 0]);
    for (body, name) in [
        ("add.u32 %r1, %r2, 1;", "%r2"),
        ("add.u64 %l1, %l2, 1;", "%l2"),
        ("cvt.u32.u16 %r1, %h3;", "%h3"),
        ("st.global.v2.u32 [%l0], {%r0, %r7};", "%r7"),
        ("cvta.to.global.u64 %l1, %l9;", "%l9"),
        ("@%p3 add.u32 %r1, %r0, 1;", "%p3"),
        ("@!%p3 bra END;\nEND:", "%p3"),
        ("selp.u32 %r1, 1, 2, %p4;", "%p4"),
        ("and.pred %p1, %p5, %p5;", "%p5"),
        ("shfl.sync.idx.b32 %r1, %r8, 0, 31, -1;\nadd.u32 %r2, %r1, 1;", "%r1"),
        ("shfl.sync.idx.b32 %r1, %r0, %r8, 31, -1;", "%r8"),
        (".reg .f32 %sum;\nadd.f32 %sum, %sum, 0f3F800000;", "%sum"),
        // Moves hand on what they have; the read of the copy is what counts.
        ("mov.u32 %r1, %r2;\nmov.u32 %r3, %r1;\nadd.u32 %r4, %r3, 1;", "%r3"),
        ("mov.b64 %l1, {%r0, %r2};\nadd.u64 %l2, %l1, 1;", "%l1"),
    ] {
        assert_eq!(undefined(body), (name.to_owned(), first), "{body}");
    }
    let address = Rig::new("", "ld.global.u32 %r1, [%l9];", 4).fault(1, 1);
    assert!(address.kind == FaultKind::Uninitialised && address.explanation.contains("%l9"), "{address}");
}

#[test]
fn a_register_is_defined_in_the_lanes_that_wrote_it() {
    // Under a guard, on one side of a branch, in a loop that some threads never enter.
    let guarded =
        |guard: &str| format!("setp.lt.u32 %p1, %r0, 40;\n@%p1 mov.u32 %r1, 5;\n{guard} add.u32 %r2, %r1, 1;");
    clean(&guarded("@%p1"));
    assert_eq!(undefined(&guarded("")), ("%r1".to_owned(), Some([40, 0, 0])));
    let branch = |fix: &str| {
        format!(
            "setp.lt.u32 %p1, %r0, 7;\n{fix}\n@%p1 bra SKIP;\nmov.u32 %r1, 5;\nSKIP:\n@%p1 bra END;\nadd.u32 %r2, %r1, 1;\nEND:\n\
             {}",
            if fix.is_empty() { "" } else { "add.u32 %r3, %r1, %r1;" }
        )
    };
    clean(&branch(""));
    clean(&branch("mov.u32 %r1, 0;"));
    assert_eq!(undefined(&branch("mov.pred %p1, %p1;")), ("%r1".to_owned(), Some([0, 0, 0])));
    let round = "mov.u32 %r2, %r0;\nAGAIN:\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 bra END;\nmov.u32 %r1, %r2;\nsub.u32 %r2, %r2, 1;\n\
                 bra AGAIN;\nEND:\nsetp.ne.u32 %p2, %r0, 0;";
    clean(&format!("{round}\n@%p2 add.u32 %r3, %r1, 1;"));
    assert_eq!(undefined(&format!("{round}\nadd.u32 %r3, %r1, 1;")), ("%r1".to_owned(), Some([0, 0, 0])));
}

#[test]
fn values_that_nobody_looks_at_may_stay_undefined() {
    clean("mov.u32 %r1, %r2;\nmov.b64 %l1, {%r0, %r3};\nmov.b64 {%r4, %r5}, %l2;");
    // A selection takes one of the two.
    let select = |p: &str| format!("setp.{p}.u32 %p1, %r0, 0;\nselp.u32 %r1, %r0, %r2, %p1;\nadd.u32 %r3, %r1, 1;");
    clean(&select("ge"));
    assert_eq!(undefined(&select("ne")), ("%r1".to_owned(), Some([0, 0, 0])));
    // A shuffle hands on what its source lane has: one lane has a value for all, the others nothing.
    let shuffle = |from: u32| {
        format!(
            "and.b32 %r9, %r0, 31;\nsetp.eq.u32 %p1, %r9, 5;\n@%p1 mov.u32 %r1, 7;\nshfl.sync.idx.b32 %r1|%p2, %r1, {from}, 31, -1;\n\
             add.u32 %r2, %r1, 1;\n@%p2 add.u32 %r3, %r2, %r2;"
        )
    };
    clean(&shuffle(5));
    assert_eq!(undefined(&shuffle(6)), ("%r1".to_owned(), Some([0, 0, 0])));
    // The lanes below the first get their own.
    let up = "and.b32 %r9, %r0, 31;\nsetp.ne.u32 %p1, %r9, 0;\n@%p1 mov.u32 %r1, 7;\nshfl.sync.up.b32 %r2, %r1, 1, 0, -1;\n@%p1 mov.u32 %r3, %r2;";
    assert_eq!(undefined(&format!("{up}\nadd.u32 %r4, %r2, 1;")), ("%r2".to_owned(), Some([0, 0, 0])));
    clean(&format!("{up}\nsetp.gt.u32 %p1, %r9, 1;\n@%p1 add.u32 %r4, %r2, 1;"));
    // Overwritten before it is read.
    clean("mov.u32 %r1, %r2;\nmov.u32 %r1, 7;\nadd.u32 %r3, %r1, 1;");
}
