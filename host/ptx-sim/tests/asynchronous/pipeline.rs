//! A producer warp, four consumer warps and three stages: TMA loads, full and empty mbarriers, a TMA store at the end.

use ptx_sim::{FaultKind, TensorElement, TensorMap};

use crate::rig::{Rig, numbers, text, zeros};

/// Tiles of 32x8 words, loaded one after the other and summed up.
const TILES: usize = 8;
const SHARED: &str = ".shared .align 1024 .b8 stages[3072];\n.shared .align 1024 .b8 result[1024];\n\
                      .shared .align 8 .b64 full[3];\n.shared .align 8 .b64 empty[3];";

/// Threads 0 to 127 consume two words of each tile, thread 128 produces.
fn body() -> String {
    let init: String = (0..3)
        .map(|stage| {
            format!(
                "mbarrier.init.shared::cta.b64 [full+{at}], 1;\nmbarrier.init.shared::cta.b64 [empty+{at}], 128;\n",
                at = stage * 8
            )
        })
        .collect();
    format!(
        "mov.u32 %r0, %tid.x;\nmov.b64 %l1, source;\ncvta.param.u64 %l1, %l1;\nmov.b64 %l2, target;\n\
         cvta.param.u64 %l2, %l2;\nsetp.ne.u32 %p1, %r0, 128;\n@%p1 bra READY;\n{init}\
         fence.mbarrier_init.release.cluster;\nfence.proxy.async;\nREADY:\nbar.sync 0;\n\
         mov.u32 %r10, 0;\nmov.u32 %r11, 0;\nmov.u32 %r12, 0;\nmov.u32 %r20, full;\nmov.u32 %r21, empty;\nmov.u32 %r22, stages;\n\
         setp.lt.u32 %p2, %r0, 128;\n@%p2 bra CONSUME;\n@%p1 bra END;\n\
         PRODUCE:\nshl.b32 %r13, %r11, 3;\nadd.u32 %r14, %r20, %r13;\nadd.u32 %r15, %r21, %r13;\nxor.b32 %r16, %r12, 1;\n\
         WAIT_EMPTY:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [%r15], %r16;\n@!%p3 bra WAIT_EMPTY;\n\
         mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r14], 1024;\n\
         shl.b32 %r17, %r11, 10;\nadd.u32 %r17, %r22, %r17;\nmov.u32 %r18, 0;\nshl.b32 %r19, %r10, 3;\n\
         cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r17], [%l1, {{%r18, %r19}}], [%r14];\n\
         add.u32 %r11, %r11, 1;\nsetp.eq.u32 %p4, %r11, 3;\n@%p4 mov.u32 %r11, 0;\n@%p4 xor.b32 %r12, %r12, 1;\n\
         add.u32 %r10, %r10, 1;\nsetp.lt.u32 %p4, %r10, {TILES};\n@%p4 bra PRODUCE;\nbra END;\n\
         CONSUME:\nmov.u32 %r30, 0;\nmov.u32 %r31, 0;\n\
         NEXT:\nshl.b32 %r13, %r11, 3;\nadd.u32 %r14, %r20, %r13;\nadd.u32 %r15, %r21, %r13;\n\
         WAIT_FULL:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [%r14], %r12;\n@!%p3 bra WAIT_FULL;\n\
         shl.b32 %r17, %r11, 10;\nadd.u32 %r17, %r22, %r17;\nshl.b32 %r18, %r0, 3;\nadd.u32 %r17, %r17, %r18;\n\
         ld.shared.v2.u32 {{%r32, %r33}}, [%r17];\nadd.u32 %r30, %r30, %r32;\nadd.u32 %r31, %r31, %r33;\n\
         mbarrier.arrive.shared::cta.b64 _, [%r15];\n\
         add.u32 %r11, %r11, 1;\nsetp.eq.u32 %p4, %r11, 3;\n@%p4 mov.u32 %r11, 0;\n@%p4 xor.b32 %r12, %r12, 1;\n\
         add.u32 %r10, %r10, 1;\nsetp.lt.u32 %p4, %r10, {TILES};\n@%p4 bra NEXT;\n\
         mov.u32 %r17, result;\nadd.u32 %r17, %r17, %r18;\nst.shared.v2.u32 [%r17], {{%r30, %r31}};\n\
         fence.proxy.async.shared::cta;\nbar.sync 1, 128;\nsetp.ne.u32 %p4, %r0, 0;\n@%p4 bra END;\nmov.u32 %r18, 0;\n\
         cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%l2, {{%r18, %r18}}], [result];\n\
         cp.async.bulk.commit_group;\ncp.async.bulk.wait_group.read 0;\nEND:"
    )
}

fn rig(body: &str) -> Rig {
    let params = ".param .align 64 .b8 source[128], .param .align 64 .b8 target[128]";
    let mut rig = Rig::with_params(&text(SHARED, params, body)).shape(1, 160, 1);
    let source = rig.buffer(&numbers(TILES * 256));
    let target = rig.buffer(&zeros(1024));
    let map = |at, rows| TensorMap::packed(TensorElement::U32, at, &[32, rows], &[32, 8]).unwrap().encode().unwrap();
    rig.params.extend(map(source, TILES as u64 * 8));
    rig.params.extend(map(target, 8));
    rig
}

#[test]
fn three_stages_are_clean_and_right_under_every_schedule() {
    let rig = rig(&body());
    assert_eq!(rig.clean(), []);
    let words: Vec<u32> =
        numbers(TILES * 256).chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    let sum = |place: usize| (0..TILES).fold(0_u32, |sum, tile| sum.wrapping_add(words[tile * 256 + place]));
    assert_eq!(rig.words(1), (0..256).map(sum).collect::<Vec<_>>());
}

#[test]
fn planted_bugs_are_found_under_every_schedule() {
    let sound = body();
    let replace = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}");
        sound.replace(from, to)
    };
    for (what, body, kinds) in [
        (
            "the consumer waits for the wrong parity",
            replace("%p3, [%r14], %r12;", "%p3, [%r14], %r16;").replace("CONSUME:\n", "CONSUME:\nmov.u32 %r16, 1;\n"),
            &[FaultKind::CopyInFlight, FaultKind::Uninitialised][..],
        ),
        (
            "the producer does not wait for the consumers",
            replace("@!%p3 bra WAIT_EMPTY;", ""),
            &[FaultKind::SharedRace, FaultKind::CopyInFlight, FaultKind::Mbarrier],
        ),
        (
            "the producer waits for the wrong parity",
            replace("xor.b32 %r16, %r12, 1;", "mov.u32 %r16, %r12;"),
            &[FaultKind::Deadlock],
        ),
        ("too many bytes are expected", replace("[%r14], 1024;", "[%r14], 2048;"), &[FaultKind::Deadlock]),
        (
            "too few bytes are expected",
            replace("[%r14], 1024;", "[%r14], 512;"),
            &[FaultKind::Deadlock, FaultKind::CopyInFlight],
        ),
        ("no proxy fence", replace("fence.proxy.async.shared::cta;\n", ""), &[FaultKind::Proxy]),
        (
            "the consumers release a stage before they have read it",
            replace("mbarrier.arrive.shared::cta.b64 _, [%r15];\n", "").replace(
                "ld.shared.v2.u32 {%r32, %r33}",
                "mbarrier.arrive.shared::cta.b64 _, [%r15];\nld.shared.v2.u32 {%r32, %r33}",
            ),
            &[FaultKind::SharedRace, FaultKind::CopyInFlight],
        ),
        (
            "the release orders nothing",
            replace(
                "mbarrier.arrive.shared::cta.b64 _, [%r15];",
                "mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%r15];",
            ),
            &[FaultKind::SharedRace],
        ),
        (
            "one consumer too few",
            replace("[empty+0], 128;", "[empty+0], 127;"),
            &[FaultKind::Mbarrier, FaultKind::SharedRace],
        ),
        (
            "exit before the store is read",
            replace("cp.async.bulk.wait_group.read 0;\n", ""),
            &[FaultKind::PendingAtExit],
        ),
        ("no barrier behind the inits", replace("READY:\nbar.sync 0;\n", "READY:\n"), &[FaultKind::Mbarrier]),
    ] {
        let fault = rig(&body).fault();
        assert!(kinds.contains(&fault.kind), "{what}: {fault}");
    }
}
