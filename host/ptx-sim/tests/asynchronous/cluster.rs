//! Clusters: ranks, distributed shared memory, their barrier.

use ptx_sim::{FaultKind, Schedule};

use crate::rig::{Rig, numbers, zeros};

const SHARED: &str = ".shared .align 16 .b8 own[512];\n.shared .align 8 .b64 bar;";
const SYNC: &str = "barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;\n";
/// Each thread stores a number of its own: %r10 is the block's rank, %r2 the byte, %r3 the shared address.
const FILL: &str = "mov.u32 %r10, %cluster_ctarank;\nmov.u32 %r1, own;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r3, %r1, %r2;\n\
                    mad.lo.u32 %r4, %r10, 1000, %r0;\nst.shared.u32 [%r3], %r4;\n";
/// Reads the same word of the next block and stores it to the output, block after block.
const NEXT: &str = "add.u32 %r11, %r10, 1;\nand.b32 %r11, %r11, 3;\nmapa.shared::cluster.u32 %r5, %r3, %r11;\n\
                    ld.shared::cluster.u32 %r6, [%r5];\nmad.lo.u32 %r7, %r10, 512, %r2;\ncvt.u64.u32 %l4, %r7;\n\
                    add.u64 %l5, %l0, %l4;\nst.global.u32 [%l5], %r6;\n";

fn four(body: &str) -> Rig {
    Rig::new(SHARED, &[&zeros(2048)], body).shape(4, 128, 4)
}

fn neighbours() -> Vec<u32> {
    (0..4).flat_map(|block| (0..128).map(move |thread| (block + 1) % 4 * 1000 + thread)).collect()
}

#[test]
fn blocks_of_a_cluster_read_each_other() {
    let rig = four(&format!("{FILL}{SYNC}{NEXT}{SYNC}"));
    assert_eq!(rig.clean(), []);
    assert_eq!(rig.words(0), neighbours());
    // The same through generic addresses, and by stores to the peer instead of loads.
    let generic = NEXT.replace(
        "mapa.shared::cluster.u32 %r5, %r3, %r11;\nld.shared::cluster.u32 %r6, [%r5];",
        "cvt.u64.u32 %l6, %r3;\ncvta.shared.u64 %l6, %l6;\nmapa.u64 %l7, %l6, %r11;\nld.u32 %r6, [%l7];",
    );
    let rig = four(&format!("{FILL}{SYNC}{generic}{SYNC}"));
    rig.clean();
    assert_eq!(rig.words(0), neighbours());
    let push = "add.u32 %r11, %r10, 3;\nand.b32 %r11, %r11, 3;\nmapa.shared::cluster.u32 %r5, %r3, %r11;\n\
                st.shared::cluster.u32 [%r5], %r4;\n";
    let out = "ld.shared.u32 %r6, [%r3];\nmad.lo.u32 %r7, %r10, 512, %r2;\ncvt.u64.u32 %l4, %r7;\nadd.u64 %l5, %l0, %l4;\n\
               st.global.u32 [%l5], %r6;\n";
    let own = FILL.replace("st.shared.u32 [%r3], %r4;\n", "");
    let rig = four(&format!("{own}{SYNC}{push}{SYNC}{out}"));
    rig.clean();
    assert_eq!(rig.words(0), neighbours());
}

#[test]
fn a_split_barrier_and_one_whose_arrival_is_relaxed_behind_a_fence() {
    for arrive in ["barrier.cluster.arrive;", "fence.acq_rel.cluster;\nbarrier.cluster.arrive.relaxed;"] {
        let rig = four(&format!("{FILL}{arrive}\nbarrier.cluster.wait;\n{NEXT}{SYNC}"));
        rig.clean();
        assert_eq!(rig.words(0), neighbours());
    }
    let relaxed = four(&format!("{FILL}barrier.cluster.arrive.relaxed;\nbarrier.cluster.wait;\n{NEXT}{SYNC}"));
    assert_eq!(relaxed.fault().kind, FaultKind::SharedRace);
}

#[test]
fn mistakes_between_blocks_are_found_under_every_schedule() {
    for (what, body, kinds) in [
        ("no barrier before", format!("{FILL}{NEXT}{SYNC}"), &[FaultKind::SharedRace][..]),
        ("no barrier behind", format!("{FILL}{SYNC}{NEXT}"), &[FaultKind::PendingAtExit]),
        (
            "written while the peer reads",
            format!("{FILL}{SYNC}{NEXT}st.shared.u32 [%r3], %r0;\n{SYNC}"),
            &[FaultKind::SharedRace],
        ),
        (
            "a block's barrier is not the cluster's",
            format!("{FILL}{SYNC}{NEXT}bar.sync 0;\nst.shared.u32 [%r3], %r0;\n{SYNC}"),
            &[FaultKind::SharedRace],
        ),
        (
            "the own block only",
            format!("{FILL}{SYNC}{NEXT}{SYNC}").replace("ld.shared::cluster", "ld.shared"),
            &[FaultKind::OutOfBounds],
        ),
        (
            "no such rank",
            format!("{FILL}{SYNC}{NEXT}{SYNC}").replace("and.b32 %r11, %r11, 3;", ""),
            &[FaultKind::Undefined],
        ),
        ("twice", format!("{SYNC}barrier.cluster.arrive;\nbarrier.cluster.arrive;"), &[FaultKind::BadBarrier]),
        ("wait alone", "barrier.cluster.wait;".to_owned(), &[FaultKind::BadBarrier]),
        (
            "one block less",
            format!(
                "mov.u32 %r10, %cluster_ctarank;\nsetp.eq.u32 %p1, %r10, 2;\n@%p1 bra W;\n{SYNC}W:\nbar.sync 1, 256;"
            ),
            &[FaultKind::Deadlock, FaultKind::BadBarrier],
        ),
    ] {
        let fault = four(&body).fault();
        assert!(kinds.contains(&fault.kind), "{what}: {fault}");
    }
}

#[test]
fn a_deadlock_of_a_cluster_names_blocks() {
    let body = format!(
        "mov.u32 %r10, %cluster_ctarank;\nsetp.ne.u32 %p1, %r10, 0;\n@%p1 bra W;\nW0:\nbar.sync 1, 256;\nW:\n{SYNC}"
    );
    let fault = Rig::new(SHARED, &[], &body).shape(2, 128, 2).fault();
    assert_eq!(fault.kind, FaultKind::Deadlock);
    for words in [
        "warps 0 to 3 of block (1, 0, 0) wait at barrier.cluster",
        "4 of 8 warps",
        "warps 0 to 3 of block (0, 0, 0) wait at barrier 1",
    ] {
        assert!(fault.explanation.contains(words), "{words}: {fault}");
    }
}

#[test]
fn special_registers_say_where_a_block_is() {
    let names = [
        "%cluster_ctaid.x",
        "%cluster_nctaid.x",
        "%cluster_ctarank",
        "%cluster_nctarank",
        "%clusterid.x",
        "%nclusterid.x",
        "%cluster_ctaid.y",
        "%nclusterid.z",
    ];
    let mut body = "mov.u32 %r1, %ctaid.x;\nmul.wide.u32 %l1, %r1, 40;\nadd.u64 %l1, %l0, %l1;\n".to_owned();
    for (index, name) in names.iter().enumerate() {
        body += &format!("mov.u32 %r2, {name};\nst.global.u32 [%l1+{}], %r2;\n", index * 4);
    }
    body += "mov.pred %p1, %is_explicit_cluster;\nselp.u32 %r2, 1, 0, %p1;\nst.global.u32 [%l1+32], %r2;\n\
             mapa.shared::cluster.u32 %r3, own, %r1;\n";
    let with_rank = body.replace(
        "mapa.shared::cluster.u32 %r3, own, %r1;\n",
        "mov.u32 %r4, %cluster_ctarank;\n\
             xor.b32 %r4, %r4, 1;\nmapa.shared::cluster.u32 %r3, own, %r4;\ngetctarank.shared::cluster.u32 %r5, %r3;\n\
             st.global.u32 [%l1+36], %r5;\n",
    );
    let rig = Rig::new(SHARED, &[&zeros(160)], &with_rank).shape(4, 1, 2);
    rig.clean();
    let words = rig.words(0);
    for block in 0..4_u32 {
        let row = &words[block as usize * 10..][..10];
        assert_eq!(row, [block % 2, 2, block % 2, 2, block / 2, 2, 0, 1, 1, 1 - block % 2], "block {block}");
    }
}

#[test]
fn which_addresses_lie_in_which_window() {
    let body = "mov.u32 %r10, %cluster_ctarank;\nxor.b32 %r11, %r10, 1;\nmov.u32 %r1, own;\ncvt.u64.u32 %l1, %r1;\n\
                cvta.shared.u64 %l1, %l1;\nmapa.u64 %l2, %l1, %r11;\nmapa.u64 %l3, %l1, %r10;\ngetctarank.u64 %r9, %l2;\n\
                mov.u32 %r8, 0;\nisspacep.shared::cluster %p1, %l2;\n@%p1 add.u32 %r8, %r8, 1;\n\
                isspacep.shared::cta %p1, %l2;\n@%p1 add.u32 %r8, %r8, 2;\nisspacep.shared::cta %p1, %l3;\n\
                @%p1 add.u32 %r8, %r8, 4;\nisspacep.shared::cluster %p1, %l0;\n@%p1 add.u32 %r8, %r8, 8;\n\
                mul.wide.u32 %l4, %r10, 8;\nadd.u64 %l4, %l0, %l4;\nst.global.u32 [%l4], %r8;\nst.global.u32 [%l4+4], %r9;";
    let rig = Rig::new(SHARED, &[&zeros(16)], body).shape(2, 1, 2);
    rig.clean();
    assert_eq!(rig.words(0), [5, 1, 5, 0]);
}

#[test]
fn blocks_arrive_at_and_send_to_each_others_mbarriers() {
    // Block 1 sends each of its threads' numbers to block 0, which waits for 128 words.
    for send in [
        "st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r5], %r4, [%r6];",
        "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r5], [%r3], 512, [%r6];",
    ] {
        let one = if send.starts_with("cp") { "setp.ne.u32 %p3, %r0, 0;\n@%p3 bra DONE;\n" } else { "" };
        let fence = if send.starts_with("cp") { "fence.proxy.async;\nbar.sync 0;\n" } else { "" };
        let body = format!(
            "setp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\nmbarrier.init.shared::cta.b64 [bar], 1;\n\
             fence.mbarrier_init.release.cluster;\nREADY:\n{}{fence}\
             barrier.cluster.arrive;\nbarrier.cluster.wait;\nsetp.eq.u32 %p2, %r10, 0;\n@%p2 bra RECEIVE;\n{one}\
             mov.u32 %r9, 0;\nmapa.shared::cluster.u32 %r5, %r3, %r9;\nmapa.shared::cluster.u32 %r6, bar, %r9;\n{send}\n\
             bra DONE;\nRECEIVE:\n@%p1 bra W;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 512;\n\
             W:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [bar], 0;\n@!%p3 bra W;\nld.shared.u32 %r6, [%r3];\n\
             cvt.u64.u32 %l4, %r2;\nadd.u64 %l5, %l0, %l4;\nst.global.u32 [%l5], %r6;\nDONE:\n\
             barrier.cluster.arrive;\nbarrier.cluster.wait;",
            // Only block 1 fills its memory: block 0's belongs to the sender.
            FILL.replace("st.shared.u32", "setp.eq.u32 %p4, %r10, 1;\n@%p4 st.shared.u32")
        );
        let rig = Rig::new(SHARED, &[&zeros(512)], &body).shape(2, 128, 2);
        rig.clean();
        assert_eq!(rig.words(0), (1000..1128).collect::<Vec<u32>>(), "{send}");
    }
}

#[test]
fn reductions_go_to_other_blocks_too() {
    let body = format!(
        "setp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\nmbarrier.init.shared::cta.b64 [bar], 1;\n\
         fence.mbarrier_init.release.cluster;\nREADY:\n{FILL}fence.proxy.async;\nbar.sync 0;\nbarrier.cluster.arrive;\n\
         barrier.cluster.wait;\n@%p1 bra WAIT;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 256;\n\
         xor.b32 %r9, %r10, 1;\nmapa.shared::cluster.u32 %r5, own, %r9;\nmapa.shared::cluster.u32 %r6, bar, %r9;\n\
         cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 [%r5+256], [%r1], 256, [%r6];\n\
         WAIT:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [bar], 0;\n@!%p3 bra WAIT;\nld.shared.u32 %r6, [%r3];\n\
         mad.lo.u32 %r7, %r10, 512, %r2;\ncvt.u64.u32 %l4, %r7;\nadd.u64 %l5, %l0, %l4;\nst.global.u32 [%l5], %r6;\n\
         barrier.cluster.arrive;\nbarrier.cluster.wait;"
    );
    let rig = Rig::new(SHARED, &[&zeros(1024)], &body).shape(2, 128, 2);
    rig.clean();
    let expected = (0..2_u32).flat_map(|block| {
        let sent = move |word: u32| if word < 64 { 0 } else { (1 - block) * 1000 + word - 64 };
        (0..128).map(move |word| block * 1000 + word + sent(word))
    });
    assert_eq!(rig.words(0), expected.collect::<Vec<_>>());
}

#[test]
fn clusters_that_cannot_be_are_refused() {
    let body = format!("griddepcontrol.wait;\n{SYNC}griddepcontrol.launch_dependents;");
    Rig::new("", &[&numbers(1)], &body).shape(8, 32, 8).clean();
    for (grid, cluster, words) in [(6, 4, "whole number"), (17, 17, "1 to 16"), (4, 0, "1 to 16")] {
        let rig = Rig::new("", &[&numbers(1)], &body).shape(grid, 32, cluster);
        let fault = rig.run(Schedule::Late).unwrap_err();
        assert!(fault.kind == FaultKind::BadLaunch && fault.explanation.contains(words), "{fault}");
    }
}

/// An address of a block's own memory has the block's rank in it, which a matrix descriptor has no room for.
#[test]
fn a_descriptor_is_made_of_the_place_in_the_own_block_alone() {
    let fill: String =
        (0..4).map(|i| format!("st.shared.v4.b32 [%r2+{}], {{%r4, %r5, %r6, %r7}};\n", 16 * i)).collect();
    let body = |cut: &str| {
        format!(
            "mov.u32 %r1, tile;\nmad.lo.u32 %r2, %r0, 64, %r1;\nmov.b32 %r4, 0;\nmov.b32 %r5, 0;\nmov.b32 %r6, 0;\n\
             mov.b32 %r7, 0;\n{fill}fence.proxy.async;\nbar.sync 0;\n{cut}shr.u32 %r1, %r1, 4;\ncvt.u64.u32 %l1, %r1;\n\
             or.b64 %l1, %l1, {};\nwgmma.fence.sync.aligned;\n\
             wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {{%r4, %r5, %r6, %r7}}, %l1, %l1, 1;\n\
             wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;",
            1_u64 << 62 | (1024 >> 4) << 32
        )
    };
    let rig = |cut: &str, cluster: u32| {
        Rig::new(".shared .align 1024 .b8 tile[8192];", &[&zeros(4)], &body(cut)).shape(2, 128, cluster)
    };
    rig("and.b32 %r1, %r1, 0x3ffff;\n", 2).clean();
    rig("", 1).clean();
    let fault = rig("", 2).fault();
    assert_eq!(fault.kind, FaultKind::Wgmma, "{fault}");
    assert!(fault.explanation.contains("18 bits"), "{fault}");
}
