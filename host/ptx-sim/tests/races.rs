//! Races in global memory: what is found, who is named, and the clean twin of each.

mod common;
use common::Rig;
use ptx_sim::{Checks, Fault, FaultKind, Report, Schedule, Severity};

/// %l1 is the address of this thread's word (of its own in the grid), %r1 its index in the grid.
const OWN: &str = "mov.u32 %r10, %ctaid.x;\nmov.u32 %r11, %ntid.x;\nmad.lo.u32 %r1, %r10, %r11, %r0;\n\
                   mul.wide.u32 %l1, %r1, 4;\nadd.u64 %l1, %l0, %l1;\n";

fn rig(body: &str) -> Rig {
    let rig = Rig::new("", &format!("{OWN}{body}"), 4096);
    rig.memory.fill(rig.out, 4096, &[0]).unwrap();
    rig
}

fn clean(body: &str, blocks: u32, threads: u32) -> Report {
    let report = rig(body).report(blocks, threads).unwrap_or_else(|fault| panic!("{fault}\n{body}"));
    assert!(report.notes.is_empty(), "{}", report.notes[0]);
    report
}

fn race(body: &str, blocks: u32, threads: u32) -> Fault {
    let fault = rig(body).fault(blocks, threads);
    assert_eq!((fault.kind, fault.severity), (FaultKind::GlobalRace, Severity::Error), "{fault}");
    assert!(fault.other.is_some(), "{fault}");
    let mut lax = rig(body);
    lax.checks = Checks { races: false, ..Checks::ALL };
    lax.run(blocks, threads).unwrap_or_else(|fault| panic!("{fault}"));
    fault
}

/// Each thread stores its word, then loads that of the thread whose index differs in `bits`.
fn exchange(bits: u32, between: &str) -> String {
    format!(
        "st.global.u32 [%l1], %r1;\n{between}\nxor.b32 %r2, %r1, {bits};\nmul.wide.u32 %l2, %r2, 4;\n\
         add.u64 %l2, %l0, %l2;\nld.global.u32 %r3, [%l2];"
    )
}

#[test]
fn lanes_of_a_warp_need_a_warp_barrier() {
    clean(&exchange(1, "bar.warp.sync -1;"), 2, 64);
    clean(&exchange(1, "bar.sync 0;"), 2, 64);
    clean(&exchange(0, ""), 2, 64);
    let fault = race(&exchange(1, ""), 1, 32);
    assert!(fault.explanation.contains("bar.warp.sync"), "{fault}");
    assert_eq!((fault.thread, fault.size), (Some([0, 0, 0]), Some(4)));
    let other = fault.other.unwrap();
    assert_eq!((other.thread, other.ptx_line + 5), (Some([1, 0, 0]), fault.ptx_line));
    assert!(other.instruction.starts_with("st.global.u32") && fault.instruction.starts_with("ld.global.u32"));
    // Pairs of lanes that wait for each other only: enough for one's partner, not for the lane behind it.
    let pairs = "and.b32 %r4, %r0, 30;\nmov.u32 %r5, 3;\nshl.b32 %r5, %r5, %r4;\nsetp.eq.u32 %p1, %r4, 6;\n\
                 @!%p1 bra END;\nbar.warp.sync %r5;";
    clean(&format!("{}\nEND:", exchange(1, pairs)), 1, 32);
    race(&format!("{}\nEND:", exchange(2, pairs)), 1, 32);
}

#[test]
fn warps_of_a_block_need_a_barrier() {
    clean(&exchange(32, "bar.sync 0;"), 3, 64);
    for between in ["", "bar.warp.sync -1;"] {
        let fault = race(&exchange(32, between), 1, 64);
        assert!(fault.explanation.contains("another warp of the block"), "{fault}");
        assert_eq!(fault.address, Some(fault.address.unwrap() / 4 * 4));
    }
    // Reads first: the write comes too early.
    let before = |between: &str| {
        format!(
            "xor.b32 %r2, %r1, 32;\nmul.wide.u32 %l2, %r2, 4;\nadd.u64 %l2, %l0, %l2;\nld.global.u32 %r3, [%l2];\n{between}\nst.global.u32 [%l1], %r1;"
        )
    };
    clean(&before("bar.sync 0;"), 2, 64);
    // The first warp has stored when the second one reads.
    let fault = race(&before(""), 1, 64);
    assert!(fault.explanation.contains("read here and written by another warp"), "{fault}");
    let fault = race(&before("").replace("xor.b32 %r2, %r1, 32", "xor.b32 %r2, %r1, 1"), 1, 32);
    assert!(fault.explanation.contains("written here and read by"), "{fault}");
}

#[test]
fn blocks_are_not_ordered_by_barriers_and_the_higher_one_is_blamed() {
    for _ in 0..20 {
        let fault = race(&exchange(64, "bar.sync 0;"), 2, 64);
        assert!(fault.explanation.contains("another block"), "{fault}");
        assert_eq!((fault.block, fault.other.unwrap().block), ([1, 0, 0], [0, 0, 0]));
    }
    // The end of a launch orders everything.
    let store = rig("st.global.u32 [%l1], %r1;");
    store.run(2, 64).unwrap();
    let text = format!("{OWN}{}", exchange(64, "").split_once('\n').unwrap().1);
    let load = Rig::new("", &text, 4096);
    load.memory.fill(load.out, 512, &[1]).unwrap();
    load.run(2, 64).unwrap();
    load.run(2, 64).unwrap();
}

#[test]
fn bytes_of_one_word_do_not_race() {
    let bytes = "cvt.u64.u32 %l1, %r1;\nadd.u64 %l1, %l0, %l1;\nst.global.u8 [%l1], %r1;\nld.global.u8 %r2, [%l1];";
    clean(bytes, 4, 40);
    let fault =
        race(&bytes.replace("ld.global.u8 %r2, [%l1]", "and.b64 %l1, %l1, -4;\nld.global.u32 %r2, [%l1]"), 1, 4);
    assert_eq!(fault.size, Some(4));
    // Permuted within a warp, every third byte of its own for the others.
    let apart = "xor.b32 %r1, %r1, 5;\nmul.lo.u32 %r1, %r1, 3;\ncvt.u64.u32 %l1, %r1;\nadd.u64 %l1, %l0, %l1;\n\
                 st.global.u8 [%l1], %r0;\nst.global.u8 [%l1+1], %r0;\nst.global.u8 [%l1+2], %r0;\n";
    clean(apart, 8, 96);
    race(&format!("{apart}st.global.u8 [%l1+3], %r0;"), 8, 96);
}

#[test]
fn threads_that_store_to_one_place_are_told_apart_by_what_they_store() {
    let fault = race("st.global.u32 [%l0], %r1;", 1, 32);
    assert!(fault.explanation.contains("two threads of one instruction"), "{fault}");
    for (body, blocks, threads) in [("st.global.u32 [%l0], 7;", 1, 32), ("st.global.u32 [%l0], 7;", 50, 64)] {
        let report = rig(body).report(blocks, threads).unwrap();
        let [note] = &report.notes[..] else { panic!("{} notes", report.notes.len()) };
        assert_eq!((note.kind, note.severity), (FaultKind::GlobalRace, Severity::Info), "{note}");
        assert!(note.explanation.contains("same value"), "{note}");
    }
    // One thread of each block, one value each.
    race("setp.eq.u32 %p1, %r0, 0;\n@%p1 st.global.u32 [%l0], %r10;", 2, 32);
}

#[test]
fn atomics_race_with_plain_accesses_only() {
    clean("red.global.add.u32 [%l0], 1;\natom.global.max.u32 %r3, [%l0], %r1;", 20, 64);
    race("red.global.add.u32 [%l0], 1;\nld.global.u32 %r3, [%l0];", 2, 1);
    race("red.global.add.u32 [%l0], 1;\nld.global.u32 %r3, [%l0];", 1, 32);
    race("ld.global.u32 %r3, [%l0];\nred.global.add.u32 [%l0], 1;", 2, 1);
    race("setp.eq.u32 %p1, %r1, 0;\n@%p1 st.global.u32 [%l0], 5;\nred.global.add.u32 [%l0], 1;", 2, 1);
    clean("red.global.add.u32 [%l1], 1;\nld.global.u32 %r3, [%l1];", 4, 64);
    // One's own atomic does not hide those of others that came before it.
    race("red.global.add.u32 [%l0], 1;\nsetp.eq.u32 %p1, %r1, 3;\n@%p1 ld.global.u32 %r3, [%l0];", 4, 1);
    // Scopes have to reach: .cta is enough in a block only.
    clean("red.relaxed.cta.global.add.u32 [%l0], 1;", 1, 96);
    race("red.relaxed.cta.global.add.u32 [%l0], 1;", 2, 1);
    race(
        "setp.eq.u32 %p1, %r10, 0;\n@%p1 red.relaxed.cta.global.add.u32 [%l0], 1;\n@!%p1 red.global.add.u32 [%l0], 1;",
        2,
        1,
    );
    // So do sizes.
    race("setp.eq.u32 %p1, %r10, 0;\n@%p1 red.global.add.u32 [%l0], 1;\n@!%p1 red.global.add.u64 [%l0], 1;", 2, 1);
    // Strong loads and stores are to each other as atomics are.
    clean(
        "st.volatile.global.u32 [%l0], %r1;\nld.relaxed.gpu.global.u32 %r3, [%l0];\nred.global.add.u32 [%l0], 1;",
        5,
        64,
    );
    race("st.volatile.global.u32 [%l0], %r1;\nld.global.u32 %r3, [%l0];", 2, 1);
}

/// Each block stores a word; the last one to take a ticket reads them all. `write` comes between store and
/// ticket, `read` between ticket and loads.
fn last_block(store: &str, write: &str, ticket: &str, read: &str) -> String {
    format!(
        "{store};\n{write}\nbar.sync 0;\nsetp.ne.u32 %p1, %r0, 0;\nmov.u32 %r4, 0;\nmov.u64 %l4, count;\n@%p1 bra WAIT;\n\
         {ticket}\n{read}\nWAIT:\nmov.u32 %r5, last;\n@!%p1 st.shared.u32 [%r5], %r4;\nbar.sync 0;\n\
         ld.shared.u32 %r6, [%r5];\nmov.u32 %r7, %nctaid.x;\nadd.u32 %r6, %r6, 1;\nsetp.ne.u32 %p2, %r6, %r7;\n@%p2 ret;\n\
         mul.lo.u32 %r8, %r11, %r7;\nsub.u32 %r8, %r8, %r1;\nsub.u32 %r8, %r8, 1;\nmul.wide.u32 %l2, %r8, 4;\n\
         add.u64 %l2, %l0, %l2;\nld.global.u32 %r9, [%l2];\nld.global.u32 %r9, [%l1];"
    )
}

fn last_block_rig(body: &str) -> Rig {
    let rig = Rig::new(".global .align 4 .u32 count;\n.shared .align 4 .u32 last;", &format!("{OWN}{body}"), 4096);
    rig.memory.fill(rig.out, 4096, &[0]).unwrap();
    rig
}

#[test]
fn the_last_block_may_read_what_all_have_released() {
    let (store, atom) = ("st.global.u32 [%l1], %r1", "atom.global.inc.u32 %r4, [%l4], 1000;");
    let gpu = "membar.gl;";
    let ordered = "atom.acq_rel.gpu.global.inc.u32 %r4, [%l4], 1000;";
    for (write, ticket, read) in [
        // Fences around a relaxed atomic, by the thread that takes the ticket.
        ("", &format!("{gpu}\n{atom}")[..], gpu),
        ("", &format!("fence.acq_rel.gpu;\n{atom}"), "fence.sc.sys;"),
        ("", ordered, ""),
        ("", &ordered.replace("gpu", "sys"), ""),
        // Every thread fences, they meet, and one takes the ticket.
        (gpu, atom, gpu),
        ("fence.sc.gpu;", &ordered.replace("acq_rel", "acquire"), ""),
    ] {
        let body = last_block(store, write, ticket, read);
        last_block_rig(&body).run(6, 64).unwrap_or_else(|fault| panic!("{fault}\n{ticket} {read}"));
    }
    for (write, ticket, read) in [
        ("", atom, gpu),
        ("", &format!("{gpu}\n{atom}")[..], ""),
        ("", atom, ""),
        // Scopes that do not reach the other blocks.
        ("", &format!("membar.cta;\n{atom}"), "membar.cta;"),
        ("", &format!("{gpu}\n{atom}"), "membar.cta;"),
        ("", &ordered.replace("acq_rel", "acquire"), ""),
        ("", &ordered.replace("acq_rel", "release"), ""),
        // All fence, but the reader does not, or not far enough.
        (gpu, atom, ""),
        (gpu, atom, "membar.cta;"),
        ("membar.cta;", atom, gpu),
        // The fence of one warp releases nothing that the other does.
        ("setp.lt.u32 %p5, %r0, 32;\n@%p5 membar.gl;", atom, gpu),
    ] {
        let fault = last_block_rig(&last_block(store, write, ticket, read)).fault(6, 64);
        assert_eq!(fault.kind, FaultKind::GlobalRace, "{fault}\n{write} {ticket} {read}");
        assert!(fault.explanation.contains("another block"), "{fault}");
    }
    // Strong stores and loads of one size do not race, fences or not.
    let body = last_block("st.volatile.global.u32 [%l1], %r1", "", atom, "")
        .replace("ld.global.u32 %r9", "ld.volatile.global.u32 %r9");
    last_block_rig(&body).run(6, 64).unwrap();
}

/// The order in which blocks take their tickets, by the number of the block.
fn tickets(schedule: Schedule, blocks: u32) -> Vec<u32> {
    let body = format!("{OWN}mov.u64 %l4, count;\natom.global.add.u32 %r4, [%l4], 1;\nst.global.u32 [%l1], %r4;");
    let mut rig = Rig::new(".global .align 4 .u32 count;", &body, 4 * blocks as usize);
    rig.schedule = schedule;
    rig.run(blocks, 1).unwrap();
    rig.bytes().chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn schedules_run_blocks_in_different_orders_where_these_can_tell() {
    let upwards: Vec<u32> = (0..5000).collect();
    assert_eq!(tickets(Schedule::Late, 5000), upwards);
    assert_eq!(tickets(Schedule::Eager, 5000), upwards.iter().rev().copied().collect::<Vec<u32>>());
    for seed in 0..3 {
        let mut drawn = tickets(Schedule::Random(seed), 5000);
        assert_eq!(drawn, tickets(Schedule::Random(seed), 5000), "the same on every run");
        assert_ne!(drawn, tickets(Schedule::Random(seed + 1), 5000));
        drawn.sort_unstable();
        assert_eq!(drawn, upwards, "each block once");
    }
}

#[test]
fn who_has_the_last_number_need_not_come_last() {
    // Every block adds its share and counts itself; that of the highest number takes the sum, as if it had come last.
    let body = format!(
        "{OWN}mov.u64 %l4, count;\nmov.u64 %l5, sum;\nred.relaxed.gpu.global.add.u32 [%l5], 1;\nfence.acq_rel.gpu;\n\
         atom.relaxed.gpu.global.add.u32 %r4, [%l4], 1;\nfence.acq_rel.gpu;\nadd.u32 %r5, %r1, 1;\n\
         add.u32 %r8, %r4, 1;\nmov.u32 %r6, %nctaid.x;\nsetp.ne.u32 %p1, TESTED, %r6;\n@%p1 ret;\nld.global.u32 %r7, [%l5];\n\
         st.global.u32 [%l0], %r7;"
    );
    let rig = |tested: &str, schedule: Schedule| {
        let body = body.replace("TESTED", tested);
        let mut rig = Rig::new(".global .align 4 .u32 count;\n.global .align 4 .u32 sum;", &body, 64);
        rig.schedule = schedule;
        rig
    };
    // Upwards, the highest is the last; in no other order.
    rig("%r5", Schedule::Late).run(8, 1).unwrap();
    assert_eq!(rig("%r5", Schedule::Eager).fault(8, 1).kind, FaultKind::GlobalRace);
    let drawn = (0..8).filter(|seed| rig("%r5", Schedule::Random(*seed)).run(8, 1).is_err()).count();
    assert!(drawn > 4, "{drawn} of 8 seeds find it");
    // By its ticket a block knows.
    for schedule in Schedule::list(4) {
        let rig = rig("%r8", schedule);
        rig.run(8, 1).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(rig.bytes()[..4], 8_u32.to_le_bytes(), "{schedule}");
    }
}

#[test]
fn a_flag_orders_what_comes_before_it() {
    // Block 0 stores and sets a flag; block 1 runs after it (tickets make blocks run in turn) and looks.
    let body = |set: &str, get: &str| {
        format!(
            "atom.global.add.u32 %r3, [%l0+1024], 1;\nsetp.ne.u32 %p1, %r10, 0;\n@%p1 bra READ;\nst.global.u32 [%l0], 5;\n{set}\n\
             ret;\nREAD:\n{get}\nsetp.ne.u32 %p2, %r4, 1;\n@%p2 ret;\nld.global.u32 %r5, [%l0];\nst.global.u32 [%l0+8], %r5;"
        )
    };
    let (release, acquire) = ("st.release.gpu.global.u32 [%l0+512], 1;", "ld.acquire.gpu.global.u32 %r4, [%l0+512];");
    let set = rig(&body(release, acquire));
    set.run(2, 1).unwrap();
    assert_eq!(set.words()[2], 5);
    let (plain, seen) = ("st.relaxed.gpu.global.u32 [%l0+512], 1;", "ld.relaxed.gpu.global.u32 %r4, [%l0+512];");
    clean(&body(&format!("fence.acq_rel.gpu;\n{plain}"), &format!("{seen}\nfence.acq_rel.gpu;")), 2, 1);
    clean(&body(release, &format!("{seen}\nfence.acq_rel.gpu;")), 2, 1);
    for (set, get) in [
        (plain, acquire),
        (release, seen),
        (&release.replace("gpu", "cta")[..], acquire),
        (release, &acquire.replace("gpu", "cta")[..]),
    ] {
        race(&body(set, get), 2, 1);
    }
    // The value of a later plain or relaxed store releases nothing; a later atomic on the flag keeps it in force.
    let again = |second: &str| body(&format!("{release}\nst.global.u32 [%l0], 6;\n{second}"), acquire);
    race(&again("st.relaxed.gpu.global.u32 [%l0+512], 1;"), 2, 1);
    let kept = |second: &str| body(&format!("{release}\n{second}"), acquire);
    clean(&kept("red.relaxed.gpu.global.or.b32 [%l0+512], 1;"), 2, 1);
    race(&kept("st.relaxed.gpu.global.u32 [%l0+512], 1;"), 2, 1);
}

#[test]
fn what_is_acquired_goes_on_through_barriers_and_further_releases() {
    // Three blocks in turn: 0 releases, 1 acquires and releases another flag, 2 acquires that and reads what 0 wrote.
    let body = |first: &str, second: &str| {
        format!(
            "atom.global.add.u32 %r3, [%l0+1024], 1;\nsetp.eq.u32 %p1, %r10, 1;\nsetp.eq.u32 %p2, %r10, 2;\n@%p1 bra ONE;\n@%p2 bra TWO;\n\
             st.global.u32 [%l1], 5;\nbar.sync 0;\nsetp.eq.u32 %p3, %r0, 40;\n@%p3 st.release.gpu.global.u32 [%l0+512], 1;\nret;\n\
             ONE:\nsetp.eq.u32 %p3, %r0, 3;\n@%p3 {first}.gpu.global.u32 %r4, [%l0+512];\nbar.sync 0;\nsetp.eq.u32 %p3, %r0, 50;\n\
             @%p3 st.release.gpu.global.u32 [%l0+516], 1;\nret;\n\
             TWO:\nsetp.eq.u32 %p3, %r0, 33;\n@%p3 {second}.gpu.global.u32 %r4, [%l0+516];\nbar.sync 0;\n\
             mul.wide.u32 %l2, %r0, 4;\nadd.u64 %l2, %l0, %l2;\nld.global.u32 %r5, [%l2];"
        )
    };
    clean(&body("ld.acquire", "ld.acquire"), 3, 64);
    race(&body("ld.relaxed", "ld.acquire"), 3, 64);
    race(&body("ld.acquire", "ld.relaxed"), 3, 64);
    // Only the lane that acquired knows before the barrier.
    race(&body("ld.acquire", "ld.acquire").replace("[%l0+516];\nbar.sync 0;", "[%l0+516];"), 3, 64);
}

#[test]
fn the_source_of_a_copy_is_read() {
    let body = |between: &str| {
        format!(
            "mov.u32 %r2, own;\nmad.lo.u32 %r2, %r0, 4, %r2;\nxor.b32 %r3, %r1, 32;\nmul.wide.u32 %l2, %r3, 4;\nadd.u64 %l2, %l0, %l2;\n\
             cp.async.ca.shared.global [%r2], [%l2], 4;\ncp.async.wait_all;\n{between}\nst.global.u32 [%l1], %r1;"
        )
    };
    let make = |between: &str| {
        let rig = Rig::new(".shared .align 4 .b8 own[256];", &format!("{OWN}{}", body(between)), 512);
        rig.memory.fill(rig.out, 512, &[0]).unwrap();
        rig
    };
    make("bar.sync 0;").run(2, 64).unwrap();
    let fault = make("").fault(1, 64);
    assert_eq!(fault.kind, FaultKind::GlobalRace, "{fault}");
    assert!(fault.instruction.starts_with("cp.async"), "{fault}");
    assert!(fault.other.unwrap().instruction.starts_with("st.global"));
}
