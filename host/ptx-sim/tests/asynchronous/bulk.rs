//! `cp.async.bulk` without tensor maps.

use ptx_sim::{FaultKind, Module};

use crate::rig::{Rig, numbers, text, zeros};

const SHARED: &str = ".shared .align 8 .b64 bar;\n.shared .align 128 .b8 tile[2048];";

const INIT: &str = "setp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\nmbarrier.init.shared::cta.b64 [bar], 1;\n\
                    fence.mbarrier_init.release.cluster;\nREADY:\nbar.sync 0;\n";
const LOAD: &str = "@%p1 bra SENT;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 2048;\n\
                    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [tile], [%l1], 2048, [bar];\nSENT:\n";
const WAIT: &str = "W:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, [bar], 0;\n@!%p2 bra W;\n";
/// Each of 128 threads moves its four words to the output.
const COPY_OUT: &str = "mov.u32 %r1, tile;\nshl.b32 %r2, %r0, 4;\nadd.u32 %r3, %r1, %r2;\n\
                        ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r3];\ncvt.u64.u32 %l4, %r2;\nadd.u64 %l5, %l0, %l4;\n\
                        st.global.v4.u32 [%l5], {%r4, %r5, %r6, %r7};\n";

fn load(body: &str) -> Rig {
    Rig::new(SHARED, &[&zeros(2048), &numbers(512)], body)
}

#[test]
fn a_load_lands_before_its_phase_is_seen() {
    for to in ["shared::cluster", "shared::cta"] {
        let body = format!("{INIT}{LOAD}{WAIT}{COPY_OUT}").replace("shared::cluster.global", &format!("{to}.global"));
        let rig = load(&body);
        assert_eq!(rig.clean(), []);
        assert_eq!(rig.bytes(0), numbers(512));
    }
}

#[test]
fn hazards_of_a_load_are_found_under_every_schedule() {
    let sound = format!("{INIT}{LOAD}{WAIT}{COPY_OUT}");
    for (what, body, kind) in [
        ("no wait", format!("{INIT}{LOAD}{COPY_OUT}"), FaultKind::CopyInFlight),
        ("wrong parity", sound.replace("[bar], 0;\n@!", "[bar], 1;\n@!"), FaultKind::CopyInFlight),
        ("too few bytes expected", sound.replace("_, [bar], 2048;", "_, [bar], 1024;"), FaultKind::Deadlock),
        ("too many bytes expected", sound.replace("_, [bar], 2048;", "_, [bar], 4096;"), FaultKind::Deadlock),
        ("nobody waits", format!("{INIT}{LOAD}"), FaultKind::PendingAtExit),
        (
            "a store meanwhile",
            format!("{INIT}{LOAD}@%p1 bra S;\nst.shared.u32 [tile+64], %r0;\nS:\n{WAIT}{COPY_OUT}"),
            FaultKind::CopyInFlight,
        ),
        ("no init", sound.replace("mbarrier.init.shared::cta.b64 [bar], 1;", ""), FaultKind::Mbarrier),
        ("size", sound.replace("[%l1], 2048,", "[%l1], 2040,"), FaultKind::Undefined),
        ("past the end", sound.replace("[%l1], 2048,", "[%l1], 4096,"), FaultKind::OutOfBounds),
        ("unaligned", sound.replace("[tile], [%l1], 2048", "[tile+8], [%l1], 1024"), FaultKind::Misaligned),
    ] {
        let fault = load(&body).fault();
        // A thread that reads before the copy is even sent finds bytes that nobody has written.
        let early = kind == FaultKind::CopyInFlight && fault.kind == FaultKind::Uninitialised;
        assert!(fault.kind == kind || early, "{what}: {fault}");
    }
    // The store hits what the copy is to write: both parties are named.
    let store = format!("{INIT}{LOAD}@%p1 bra S;\nst.shared.u32 [tile+64], %r0;\nS:\n{WAIT}{COPY_OUT}");
    let fault = load(&store).fault();
    assert!(fault.other.is_some_and(|other| other.instruction.starts_with("cp.async.bulk")), "{}", fault.explanation);
}

#[test]
fn an_init_without_its_fence_is_noted() {
    let body = format!("{INIT}{LOAD}{WAIT}{COPY_OUT}").replace("fence.mbarrier_init.release.cluster;\n", "");
    let notes = load(&body).clean();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].kind, FaultKind::Proxy);
    let fenced = body.replace("[bar], 1;\nREADY", "[bar], 1;\nfence.proxy.async;\nREADY");
    assert_eq!(load(&fenced).clean(), []);
}

/// Each thread stores four words of its own, then thread 0 sends the tile to global memory.
const FILL: &str = "mov.u32 %r1, tile;\nshl.b32 %r2, %r0, 4;\nadd.u32 %r3, %r1, %r2;\nmul.lo.u32 %r4, %r0, 5;\n\
                    add.u32 %r5, %r4, 1;\nadd.u32 %r6, %r4, 2;\nadd.u32 %r7, %r4, 3;\n\
                    st.shared.v4.u32 [%r3], {%r4, %r5, %r6, %r7};\n";
const FENCE: &str = "fence.proxy.async.shared::cta;\nbar.sync 0;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra SENT;\n";
const STORE: &str = "cp.async.bulk.global.shared::cta.bulk_group [%l0], [tile], 2048;\n";
const COMMIT: &str = "cp.async.bulk.commit_group;\n";

fn store(body: &str) -> Rig {
    Rig::new(SHARED, &[&zeros(2048)], body)
}

#[test]
fn a_store_writes_what_threads_had_stored() {
    let wait = "cp.async.bulk.wait_group 0;\nSENT:\n";
    let rig = store(&format!("{FILL}{FENCE}{STORE}{COMMIT}{wait}"));
    assert_eq!(rig.clean(), []);
    let expected: Vec<u32> = (0..128_u32).flat_map(|thread| (0..4).map(move |word| thread * 5 + word)).collect();
    assert_eq!(rig.words(0), expected);
    // With .read the source can be overwritten, and what was sent is the old data.
    let again = format!(
        "{FILL}{FENCE}{STORE}{COMMIT}cp.async.bulk.wait_group.read 0;\nSENT:\nbar.sync 0;\n{}",
        FILL.replace("5;", "9;")
    );
    let rig = store(&again);
    rig.clean();
    assert_eq!(rig.words(0), expected);
}

#[test]
fn hazards_of_a_store_are_found_under_every_schedule() {
    let wait = "cp.async.bulk.wait_group.read 0;\nSENT:\n";
    let again = format!("bar.sync 0;\n{FILL}");
    let sound = format!("{FILL}{FENCE}{STORE}{COMMIT}{wait}{again}");
    store(&sound).clean();
    for (what, body, kind) in [
        ("no fence", sound.replace("fence.proxy.async.shared::cta;\n", ""), FaultKind::Proxy),
        ("fence of another memory", sound.replace("async.shared::cta;\nbar", "async.global;\nbar"), FaultKind::Proxy),
        (
            "fence behind the barrier, by others than the writers",
            sound.replace("fence.proxy.async.shared::cta;\nbar.sync 0;\n", "bar.sync 0;\nfence.proxy.async;\n"),
            FaultKind::Proxy,
        ),
        ("no barrier", sound.replacen("bar.sync 0;\n", "", 1), FaultKind::SharedRace),
        ("no wait", sound.replace("cp.async.bulk.wait_group.read 0;\n", ""), FaultKind::CopyInFlight),
        ("one group may pend", sound.replace("wait_group.read 0", "wait_group.read 1"), FaultKind::CopyInFlight),
        ("no commit", sound.replace(COMMIT, ""), FaultKind::CopyInFlight),
        (
            "no barrier behind the wait",
            sound.replace(&format!("SENT:\n{again}"), &format!("SENT:\n{FILL}")),
            FaultKind::SharedRace,
        ),
        ("exit", format!("{FILL}{FENCE}{STORE}{COMMIT}SENT:\n"), FaultKind::PendingAtExit),
        ("exit with an open group", format!("{FILL}{FENCE}{STORE}SENT:\n"), FaultKind::PendingAtExit),
    ] {
        let fault = store(&body).fault();
        let also = kind == FaultKind::SharedRace && fault.kind == FaultKind::CopyInFlight;
        assert!(fault.kind == kind || also, "{what}: {fault}");
    }
}

#[test]
fn reductions_combine_element_by_element() {
    let start: Vec<u8> = (0..512_u32).flat_map(|word| (word * 1000).to_le_bytes()).collect();
    type Rule = fn(u32, u32) -> u32;
    let cases: [(&str, Rule); 8] = [
        ("add.u32", |old, new| old.wrapping_add(new)),
        ("min.u32", |old, new| old.min(new)),
        ("max.s32", |old, new| (old as i32).max(new as i32) as u32),
        ("and.b32", |old, new| old & new),
        ("or.b32", |old, new| old | new),
        ("xor.b32", |old, new| old ^ new),
        ("inc.u32", |old, new| if old >= new { 0 } else { old + 1 }),
        ("dec.u32", |old, new| if old == 0 || old > new { new } else { old - 1 }),
    ];
    for (op, rule) in cases {
        let send = format!("cp.reduce.async.bulk.global.shared::cta.bulk_group.{op} [%l0], [tile], 2048;\n");
        let body = format!("{FILL}{FENCE}{send}{COMMIT}cp.async.bulk.wait_group 0;\nSENT:\n");
        let rig = Rig::new(SHARED, &[&start], &body);
        rig.run(ptx_sim::Schedule::Late).unwrap_or_else(|fault| panic!("{fault}"));
        let added = (0..128_u32).flat_map(|thread| (0..4).map(move |word| thread * 5 + word));
        let expected: Vec<u32> = added.enumerate().map(|(at, new)| rule(at as u32 * 1000, new)).collect();
        assert_eq!(rig.words(0), expected, "{op}");
    }
}

#[test]
fn sums_of_small_floats_round_once() {
    for (ty, one, two, sum) in [("f16", 0x3C00_u16, 0x1400_u16, 0x3C01_u16), ("bf16", 0x3F80, 0x3C00, 0x3F81)] {
        let start: Vec<u8> = std::iter::repeat_n(one.to_le_bytes(), 1024).flatten().collect();
        let fill = format!(
            "mov.u32 %r1, tile;\nshl.b32 %r2, %r0, 4;\nadd.u32 %r3, %r1, %r2;\nmov.u32 %r4, {};\n\
             st.shared.v4.u32 [%r3], {{%r4, %r4, %r4, %r4}};\n",
            u32::from(two) * 0x1_0001
        );
        let send = format!("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.noftz.{ty} [%l0], [tile], 2048;\n");
        let rig =
            Rig::new(SHARED, &[&start], &format!("{fill}{FENCE}{send}{COMMIT}cp.async.bulk.wait_group 0;\nSENT:\n"));
        rig.run(ptx_sim::Schedule::Late).unwrap_or_else(|fault| panic!("{fault}"));
        assert!(rig.bytes(0).chunks_exact(2).all(|half| half == sum.to_le_bytes()), "{ty}");
    }
}

#[test]
fn forms_that_do_not_exist_are_refused() {
    for (line, words) in [
        ("cp.async.bulk.global.global.bulk_group [%l0], [%l1], 16;", "pair of state spaces"),
        ("cp.async.bulk.shared::cta.global.bulk_group [%r1], [%l1], 16;", "mbarrier::complete_tx"),
        ("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%l1], 16;", "operands"),
        (
            "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%l1], 16, [%r2], %h1;",
            "operands",
        ),
        ("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f16 [%l0], [%r1], 16;", ".noftz"),
        (
            "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.f32 [%r1], [%r2], 16, [%r3];",
            "does not go",
        ),
        (
            "cp.async.bulk.tensor.2d.shared::cta.global.im2col.mbarrier::complete_tx::bytes [%r1], [%l1, {%r2, %r3}], [%r4];",
            "im2col",
        ),
        (
            "cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes [%r1], [%l1, {%r2}], [%r4];",
            "2 registers",
        ),
        ("mbarrier.try_wait.parity.acquire.shared::cta.b64 %p1, [%r1], 0;", "come together"),
        ("mbarrier.test_wait.shared::cluster.b64 %p1, [%r1], %l1;", "another block"),
        ("mbarrier.arrive.shared::cluster.b64 %l1, [%r1];", "write _"),
        ("mbarrier.arrive.noComplete.shared::cta.b64 _, [%r1];", "operands"),
        ("mbarrier.init.shared::cta.u64 [%r1], 1;", ".b64"),
        ("tensormap.replace.tile.rank.shared::cta.b1024.b64 [%r1], %l1;", ".b32"),
        ("tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [%r1], %r2;", "constant"),
        ("tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [%r1], 5, %r2;", "0 to 4"),
        ("barrier.cluster.wait.release;", "release"),
        ("fence.proxy.sideways;", "missing"),
        ("griddepcontrol.later;", "has to follow"),
    ] {
        match Module::load(&text("", "", line), "test.ptx") {
            Ok(_) => panic!("{line} should be refused"),
            Err(error) => assert!(error.message.contains(words), "{line}: {error}"),
        }
    }
}
