//! Two blocks, two stages: each loads half of every tile into both, and refills only when both have consumed it.

use ptx_sim::{FaultKind, TensorElement, TensorMap};

use crate::rig::{Rig, numbers, text, zeros};

const TILES: usize = 6;
const SHARED: &str =
    ".shared .align 1024 .b8 stages[2048];\n.shared .align 8 .b64 full[2];\n.shared .align 8 .b64 empty[2];";

/// Threads 0 to 63 consume four words of each tile, thread 64 sends its block's half of it to both blocks.
fn body() -> String {
    let init: String = (0..2)
        .map(|stage| {
            format!(
                "mbarrier.init.shared::cta.b64 [full+{at}], 1;\nmbarrier.init.shared::cta.b64 [empty+{at}], 128;\n",
                at = stage * 8
            )
        })
        .collect();
    format!(
        "mov.u32 %r0, %tid.x;\nld.param.u64 %l0, [out];\nmov.b64 %l1, source;\ncvta.param.u64 %l1, %l1;\n\
         mov.u32 %r9, %cluster_ctarank;\nsetp.ne.u32 %p1, %r0, 64;\n@%p1 bra READY;\n{init}\
         fence.mbarrier_init.release.cluster;\nREADY:\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n\
         mov.u32 %r10, 0;\nmov.u32 %r11, 0;\nmov.u32 %r12, 0;\nmov.u32 %r20, full;\nmov.u32 %r21, empty;\nmov.u32 %r22, stages;\n\
         mov.u32 %r23, 0;\nmov.u32 %r24, 1;\nmov.u16 %h1, 3;\n\
         setp.lt.u32 %p2, %r0, 64;\n@%p2 bra CONSUME;\n@%p1 bra DONE;\n\
         PRODUCE:\nshl.b32 %r13, %r11, 3;\nadd.u32 %r14, %r20, %r13;\nadd.u32 %r15, %r21, %r13;\nxor.b32 %r16, %r12, 1;\n\
         WAIT_EMPTY:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p3, [%r15], %r16;\n@!%p3 bra WAIT_EMPTY;\n\
         mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r14], 1024;\n\
         shl.b32 %r17, %r11, 10;\nadd.u32 %r17, %r22, %r17;\nshl.b32 %r18, %r9, 9;\nadd.u32 %r17, %r17, %r18;\n\
         mov.u32 %r18, 0;\nshl.b32 %r19, %r10, 3;\nshl.b32 %r8, %r9, 2;\nadd.u32 %r19, %r19, %r8;\n\
         cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r17], \
         [%l1, {{%r18, %r19}}], [%r14], %h1;\n\
         add.u32 %r11, %r11, 1;\nsetp.eq.u32 %p4, %r11, 2;\n@%p4 mov.u32 %r11, 0;\n@%p4 xor.b32 %r12, %r12, 1;\n\
         add.u32 %r10, %r10, 1;\nsetp.lt.u32 %p4, %r10, {TILES};\n@%p4 bra PRODUCE;\nbra DONE;\n\
         CONSUME:\nmov.u32 %r30, 0;\n\
         NEXT:\nshl.b32 %r13, %r11, 3;\nadd.u32 %r14, %r20, %r13;\nadd.u32 %r15, %r21, %r13;\n\
         WAIT_FULL:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [%r14], %r12;\n@!%p3 bra WAIT_FULL;\n\
         shl.b32 %r17, %r11, 10;\nadd.u32 %r17, %r22, %r17;\nshl.b32 %r18, %r0, 4;\nadd.u32 %r17, %r17, %r18;\n\
         ld.shared.v4.u32 {{%r32, %r33, %r34, %r35}}, [%r17];\nadd.u32 %r30, %r30, %r32;\nadd.u32 %r30, %r30, %r33;\n\
         add.u32 %r30, %r30, %r34;\nadd.u32 %r30, %r30, %r35;\n\
         mapa.shared::cluster.u32 %r36, %r15, %r23;\nmbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r36];\n\
         mapa.shared::cluster.u32 %r36, %r15, %r24;\nmbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r36];\n\
         add.u32 %r11, %r11, 1;\nsetp.eq.u32 %p4, %r11, 2;\n@%p4 mov.u32 %r11, 0;\n@%p4 xor.b32 %r12, %r12, 1;\n\
         add.u32 %r10, %r10, 1;\nsetp.lt.u32 %p4, %r10, {TILES};\n@%p4 bra NEXT;\n\
         mad.lo.u32 %r37, %r9, 64, %r0;\nmul.wide.u32 %l4, %r37, 4;\nadd.u64 %l4, %l0, %l4;\nst.global.u32 [%l4], %r30;\n\
         DONE:\nbarrier.cluster.arrive;\nbarrier.cluster.wait;"
    )
}

fn rig(body: &str) -> Rig {
    let params = ".param .align 64 .b8 source[128], .param .u64 out";
    let mut rig = Rig::with_params(&text(SHARED, params, body)).shape(2, 96, 2);
    let source = rig.buffer(&numbers(TILES * 256));
    let out = rig.buffer(&zeros(512));
    let map = TensorMap::packed(TensorElement::U32, source, &[32, TILES as u64 * 8], &[32, 4]).unwrap();
    rig.params.extend(map.encode().unwrap());
    rig.params.extend(out.to_le_bytes());
    rig
}

#[test]
fn both_blocks_get_both_halves_under_every_schedule() {
    let rig = rig(&body());
    assert_eq!(rig.clean(), []);
    let words: Vec<u32> =
        numbers(TILES * 256).chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    let sum = |thread: usize| {
        let places = (0..TILES).flat_map(|tile| (0..4).map(move |word| tile * 256 + thread * 4 + word));
        places.fold(0_u32, |sum, place| sum.wrapping_add(words[place]))
    };
    let one: Vec<u32> = (0..64).map(sum).collect();
    assert_eq!(rig.words(1), [one.clone(), one].concat());
}

#[test]
fn planted_bugs_are_found_under_every_schedule() {
    let sound = body();
    let replace = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}");
        sound.replace(from, to)
    };
    let to_peer = "mapa.shared::cluster.u32 %r36, %r15, %r23;\nmbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r36];\n\
                   mapa.shared::cluster.u32 %r36, %r15, %r24;\nmbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r36];\n";
    let to_own = "mbarrier.arrive.shared::cta.b64 _, [%r15];\n";
    for (what, body, kinds) in [
        (
            "a stage is refilled while the peer still reads it",
            replace(to_peer, to_own)
                .replace("[empty+0], 128;", "[empty+0], 64;")
                .replace("[empty+8], 128;", "[empty+8], 64;"),
            &[FaultKind::SharedRace, FaultKind::CopyInFlight][..],
        ),
        (
            "only half of the bytes are expected",
            replace("[%r14], 1024;", "[%r14], 512;"),
            &[FaultKind::CopyInFlight, FaultKind::Uninitialised, FaultKind::SharedRace, FaultKind::Deadlock],
        ),
        ("one block's half goes to itself only", replace("mov.u16 %h1, 3;", "mov.u16 %h1, 1;"), &[FaultKind::Deadlock]),
        (
            "a mask with a block that is not there",
            replace("mov.u16 %h1, 3;", "mov.u16 %h1, 7;"),
            &[FaultKind::Undefined],
        ),
        (
            "the block exits while the peer still arrives",
            replace("DONE:\nbarrier.cluster.arrive;\nbarrier.cluster.wait;", "DONE:\n"),
            &[FaultKind::PendingAtExit],
        ),
        (
            "the cluster does not meet behind the inits",
            replace("READY:\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n", "READY:\nbar.sync 0;\n"),
            &[FaultKind::Mbarrier],
        ),
        (
            "the inits are not released by a fence before a relaxed arrival",
            replace(
                "fence.mbarrier_init.release.cluster;\nREADY:\nbarrier.cluster.arrive;",
                "READY:\nbarrier.cluster.arrive.relaxed;",
            ),
            &[FaultKind::Mbarrier],
        ),
    ] {
        let fault = rig(&body).fault();
        assert!(kinds.contains(&fault.kind), "{what}: {fault}");
    }
    // With the fence of the inits a relaxed arrival is enough.
    rig(&replace("READY:\nbarrier.cluster.arrive;", "READY:\nbar.sync 0;\nbarrier.cluster.arrive.relaxed;")).clean();
}
