//! Divergence, collectives, copies, matrix products and atomics.

mod common;
use common::Rig;
use ptx_sim::{Class, FaultKind, Schedule};
use std::collections::BTreeSet;

/// Stores %r4 of each thread.
const STORE: &str = "mul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\nst.global.u32 [%l1], %r4;\n";

fn per_thread(body: &str) -> Vec<u32> {
    Rig::new("", &format!("{body}\n{STORE}"), 128).result(1, 32)
}

fn fault_of(body: &str) -> ptx_sim::Fault {
    Rig::new("", &format!("{body}\n{STORE}"), 128).fault(1, 32)
}

#[test]
fn lanes_with_different_trip_counts_meet_behind_the_loop() {
    // Lane i adds i+1 numbers; the barrier and the shuffle behind the loop need all of them together.
    let body = "mov.u32 %r1, 0;\nmov.u32 %r2, 0;\nLOOP:\nadd.u32 %r2, %r2, %r1;\nadd.u32 %r1, %r1, 1;\n\
                setp.le.u32 %p1, %r1, %r0;\n@%p1 bra LOOP;\nbar.sync 0;\nshfl.sync.bfly.b32 %r4, %r2, 1, 31, -1;";
    let expected: Vec<u32> = (0..32_u32).map(|lane| lane ^ 1).map(|lane| lane * (lane + 1) / 2).collect();
    assert_eq!(per_thread(body), expected);
}

#[test]
fn which_lane_is_elected_is_drawn_but_stays_the_same() {
    // Lanes 4 to 15 elect twice; lane i tells the leader, and 100 more where it is told that it is the leader.
    let body = "sub.u32 %r1, %r0, 4;\nsetp.lt.u32 %p1, %r1, 12;\nmov.u32 %r4, 77;\n@!%p1 bra END;\n\
                elect.sync %r4|%p2, 0xFFF0;\nelect.sync %r5|%p3, 0xFFF0;\n@%p3 add.u32 %r4, %r5, 100;\nEND:";
    let leader = |schedule: Schedule| {
        let mut rig = Rig::new("", &format!("{body}\n{STORE}"), 128);
        rig.schedule = schedule;
        let told = rig.result(1, 32);
        let leader = told[4..16].iter().find(|told| **told < 100).copied().unwrap();
        let wanted = |lane: u32| match lane {
            4..16 if lane == leader => leader + 100,
            4..16 => leader,
            _ => 77,
        };
        assert_eq!(told, (0..32).map(wanted).collect::<Vec<u32>>(), "{schedule}");
        leader
    };
    assert_eq!((leader(Schedule::Late), leader(Schedule::Eager)), (4, 4));
    let drawn: BTreeSet<u32> = (0..100).map(|seed| leader(Schedule::Random(seed))).collect();
    assert_eq!(drawn, (4..16).collect());
}

#[test]
fn an_exit_block_in_the_middle_of_the_text_does_not_part_a_warp() {
    // The text has the loop's exit before its body, as a compiler may lay it out.
    let body = "mov.u32 %r1, 0;\nbra TEST;\nOUT:\nbar.sync 0;\nmov.u32 %r4, %r1;\nbra END;\nTEST:\n\
                setp.ge.u32 %p1, %r1, %r0;\n@%p1 bra OUT;\nadd.u32 %r1, %r1, 1;\nbra TEST;\nEND:";
    assert_eq!(per_thread(body), (0..32).collect::<Vec<u32>>());
}

#[test]
fn nested_branches_tables_and_early_exits() {
    let body = "and.b32 %r1, %r0, 3;\nbrx.idx %r1, TABLE;\nTABLE:\n.branchtargets A, B, C, D;\n\
                A:\nmov.u32 %r4, 10;\nbra END;\nB:\nmov.u32 %r4, 20;\nbra END;\n\
                C:\nsetp.gt.u32 %p1, %r0, 15;\n@%p1 exit;\nmov.u32 %r4, 30;\nbra END;\nD:\nmov.u32 %r4, 40;\nEND:";
    let rig = Rig::new(
        "",
        &format!(
            "{}\n{STORE}",
            body.replace("TABLE:\n.branchtargets A, B, C, D;\n", "")
                .replace("brx.idx", "TABLE: .branchtargets A, B, C, D;\nbrx.idx")
        ),
        128,
    );
    let counters = rig.run(1, 32).unwrap();
    let expected: Vec<u32> =
        (0..32_u32).map(|lane| if lane % 4 == 2 && lane > 15 { 0xA5A5_A5A5 } else { 10 * (lane % 4 + 1) }).collect();
    assert_eq!(rig.words(), expected);
    assert!(counters.divergent_branches >= 1);
}

#[test]
fn calls_are_inlined_with_their_parameters() {
    let globals = ".func (.param .b32 result) twice(.param .b32 value) {\n.reg .b32 %r<3>;\n.reg .pred %p;\n\
                   ld.param.u32 %r1, [value];\nsetp.gt.u32 %p, %r1, 15;\n@%p bra BIG;\nadd.u32 %r2, %r1, %r1;\n\
                   st.param.u32 [result], %r2;\nret;\nBIG:\nst.param.u32 [result], 99;\nret;\n}";
    let body =
        "{ .param .b32 a; .param .b32 b; st.param.u32 [a], %r0; call.uni (b), twice, (a); ld.param.u32 %r4, [b]; }";
    let rig = Rig::new(globals, &format!("{body}\nbar.sync 0;\n{STORE}"), 128);
    let expected: Vec<u32> = (0..32_u32).map(|lane| if lane > 15 { 99 } else { 2 * lane }).collect();
    assert_eq!(rig.result(1, 32), expected);
}

#[test]
fn shuffles_follow_the_formula_of_the_document() {
    for mode in ["up", "down", "bfly", "idx"] {
        for c in [31_u32, 0, 0x1C03, 0x181F, 0x1E00] {
            for b in [0_u32, 1, 3, 17, 31] {
                let body = format!(
                    "shfl.sync.{mode}.b32 %r4|%p1, %r0, {b}, {c}, -1;\nselp.b32 %r5, 256, 0, %p1;\nor.b32 %r4, %r4, %r5;"
                );
                let expected: Vec<u32> = (0..32_u32)
                    .map(|lane| {
                        let (clamp, segment) = (c & 31, c >> 8 & 31);
                        let most = (lane & segment) | (clamp & !segment);
                        let least = lane & segment;
                        let (from, fits) = match mode {
                            "up" => (i64::from(lane) - i64::from(b), i64::from(lane) - i64::from(b) >= i64::from(most)),
                            "down" => (i64::from(lane + b), lane + b <= most),
                            "bfly" => (i64::from(lane ^ b), lane ^ b <= most),
                            _ => (i64::from(least | (b & !segment)), (least | (b & !segment)) <= most),
                        };
                        if fits { from as u32 | 256 } else { lane }
                    })
                    .collect();
                assert_eq!(per_thread(&body), expected, "{mode} {b} {c:#x}");
            }
        }
    }
}

#[test]
fn votes_matches_and_reductions() {
    let odd = "and.b32 %r1, %r0, 1;\nsetp.eq.u32 %p1, %r1, 1;\n";
    assert_eq!(per_thread(&format!("{odd}vote.sync.ballot.b32 %r4, %p1, -1;")), [0xAAAA_AAAA; 32]);
    let all = per_thread(&format!(
        "{odd}vote.sync.all.pred %p2, %p1, -1;\nvote.sync.any.pred %p3, !%p1, -1;\n\
                                   selp.b32 %r4, 1, 0, %p2;\nselp.b32 %r5, 2, 0, %p3;\nor.b32 %r4, %r4, %r5;"
    ));
    assert_eq!(all, [2; 32]);
    let same = per_thread("shr.u32 %r1, %r0, 3;\nmatch.any.sync.b32 %r4, %r1, -1;");
    assert_eq!(same, (0..32_u32).map(|lane| 0xFF << (lane / 8 * 8)).collect::<Vec<_>>());
    assert_eq!(per_thread("redux.sync.add.u32 %r4, %r0, -1;"), [496; 32]);
    assert_eq!(per_thread("neg.s32 %r1, %r0;\nredux.sync.min.s32 %r4, %r1, -1;"), [-31_i32 as u32; 32]);
    // Half of the lanes among themselves, inside a branch.
    let half = "setp.lt.u32 %p1, %r0, 16;\nmov.u32 %r4, 0;\n@!%p1 bra END;\nredux.sync.max.u32 %r4, %r0, 0xFFFF;\nactivemask.b32 %r5;\n\
                add.u32 %r4, %r4, %r5;\nEND:";
    let expected: Vec<u32> = (0..32).map(|lane| if lane < 16 { 15 + 0xFFFF } else { 0 }).collect();
    assert_eq!(per_thread(half), expected);
}

#[test]
fn masks_without_their_callers_are_faults() {
    // Two copies of one shuffle: what a compiler makes that duplicates it into both arms of a branch.
    let shuffle = "shfl.sync.bfly.b32 %r4, %r0, 1, 31, -1;";
    let body = format!("setp.lt.u32 %p1, %r0, 16;\n@!%p1 bra OTHER;\n{shuffle}\nbra END;\nOTHER:\n{shuffle}\nEND:");
    let missing = fault_of(&body);
    assert_eq!(missing.kind, FaultKind::BadMask, "{missing}");
    let stranger = fault_of("shfl.sync.bfly.b32 %r4, %r0, 1, 31, 0xFFFF;");
    assert_eq!((stranger.kind, stranger.thread), (FaultKind::BadMask, Some([16, 0, 0])));
    let inactive =
        fault_of("setp.lt.u32 %p1, %r0, 16;\n@!%p1 bra END;\nshfl.sync.idx.b32 %r4, %r0, 20, 31, 0xFFFF;\nEND:");
    assert_eq!(inactive.kind, FaultKind::Undefined);
}

#[test]
fn warp_barriers_meet_at_different_places() {
    let body = "setp.lt.u32 %p1, %r0, 16;\n@%p1 bra LOW;\nbar.warp.sync -1;\nmov.u32 %r4, 2;\nbra END;\n\
                LOW:\nbar.warp.sync -1;\nmov.u32 %r4, 1;\nEND:";
    assert_eq!(per_thread(body), (0..32).map(|lane| if lane < 16 { 1 } else { 2 }).collect::<Vec<u32>>());
}

#[test]
fn barrier_reductions_and_arrivals() {
    let body = "setp.gt.u32 %p1, %r0, 40;\nbar.red.popc.u32 %r4, 0, %p1;\nbar.red.or.pred %p2, 0, %p1;\n\
                bar.red.and.pred %p3, 0, %p1;\n@%p2 add.u32 %r4, %r4, 100;\n@%p3 add.u32 %r4, %r4, 1000;\n";
    assert_eq!(Rig::new("", &format!("{body}{STORE}"), 256).result(1, 64), [123; 64]);
    // Producer and consumer: one warp arrives and goes on, the other waits.
    let pair = "setp.lt.u32 %p1, %r0, 32;\n@%p1 bra MAKE;\nbar.sync 1, 64;\nmov.u32 %r2, own;\nld.shared.u32 %r4, [%r2];\nbra END;\n\
                MAKE:\nmov.u32 %r2, own;\nmov.u32 %r4, 77;\nst.shared.u32 [%r2], %r4;\nbar.arrive 1, 64;\nEND:\n";
    assert_eq!(Rig::new(".shared .align 4 .b8 own[4];", &format!("{pair}{STORE}"), 256).result(1, 64), [77; 64]);
}

/// Copies 4 words, waits as told, then stores what shared memory holds.
fn copy(wait: &str) -> Rig {
    let body = format!(
        "mov.u32 %r1, own;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r1, %r1, %r2;\ncvt.u64.u32 %l2, %r2;\nmov.u64 %l3, table;\n\
         add.u64 %l3, %l3, %l2;\ncp.async.ca.shared.global [%r1], [%l3], 4;\ncp.async.commit_group;\n\
         cp.async.ca.shared.global [%r1+128], [%l3], 4, 2;\ncp.async.commit_group;\n{wait}\n\
         ld.shared.u32 %r4, [%r1];\n{STORE}ld.shared.u32 %r5, [%r1+128];\nst.global.u32 [%l1+128], %r5;"
    );
    let values: Vec<String> = (0..32).map(|i| (0x0101_0000 + i).to_string()).collect();
    let globals =
        format!(".shared .align 16 .b8 own[256];\n.global .align 4 .u32 table[32] = {{{}}};", values.join(", "));
    Rig::new(&globals, &body, 256)
}

#[test]
fn copies_land_when_they_are_waited_for_and_not_before() {
    let expected: Vec<u32> = (0..32).map(|i| 0x0101_0000 + i).chain(0..32).collect();
    assert_eq!(copy("cp.async.wait_group 0;").result(1, 32), expected);
    assert_eq!(copy("cp.async.wait_all;").result(1, 32), expected);
    for wait in ["", "cp.async.wait_group 2;", "cp.async.wait_group 1;"] {
        let fault = copy(wait).fault(1, 32);
        assert_eq!(fault.kind, FaultKind::CopyInFlight, "{wait}: {fault}");
        let second = wait.ends_with("1;");
        assert_eq!(fault.instruction.contains("+128"), second, "{wait}: {fault}");
    }
}

#[test]
fn a_copy_into_what_others_still_read_is_a_race() {
    let body = "mov.u32 %r1, own;\nst.shared.u32 [%r1], 0;\nbar.sync 0;\nld.shared.u32 %r2, [%r1];\nmov.u64 %l3, table;\nsetp.ne.u32 %p1, %r0, 32;\n\
                @%p1 bra END;\ncp.async.ca.shared.global [%r1], [%l3], 4;\nEND:\ncp.async.wait_all;";
    let rig = Rig::new(".shared .align 16 .b8 own[16];\n.global .align 4 .u32 table[1] = {5};", body, 4);
    assert_eq!(rig.fault(1, 64).kind, FaultKind::SharedRace);
}

fn byte(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 56) as u8
}

/// D = A B + C through ldmatrix-free loads of fragments by the document's formulas.
fn mma(shape: &str, k: usize, a_type: &str, b_type: &str, expected: impl Fn(u8, u8) -> i32) {
    let (mut a, mut b, mut state) = (vec![0_u8; 16 * k], vec![0_u8; 8 * k], 5);
    a.iter_mut().chain(&mut b).for_each(|value| *value = byte(&mut state));
    let (a_regs, b_regs) = (k / 8, k / 16);
    let mut data = Vec::new();
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for q in 0..a_regs {
            data.extend((0..4).map(|e| a[(g + 8 * (q % 2)) * k + 4 * t + e + 16 * (q / 2)]));
        }
        for q in 0..b_regs {
            data.extend((0..4).map(|e| b[g * k + 4 * t + e + 16 * q]));
        }
    }
    let per_lane = 4 * (a_regs + b_regs);
    let list =
        |first: usize, count: usize| (first..first + count).map(|i| format!("%r{i}")).collect::<Vec<_>>().join(", ");
    let loads: String =
        (0..a_regs + b_regs).map(|i| format!("ld.global.b32 %r{}, [%l3+{}];\n", 20 + i, 4 * i)).collect();
    let body = format!(
        "mov.u64 %l3, data;\nmul.wide.u32 %l4, %r0, {per_lane};\nadd.u64 %l3, %l3, %l4;\n{loads}\
         mov.u32 %r1, 1;\nmov.u32 %r2, 2;\nmov.u32 %r3, 3;\nmov.u32 %r4, 4;\n\
         mma.sync.aligned.{shape}.row.col.s32.{a_type}.{b_type}.s32 {{%r1, %r2, %r3, %r4}}, {{{}}}, {{{}}}, {{%r1, %r2, %r3, %r4}};\n\
         mul.wide.u32 %l1, %r0, 16;\nadd.u64 %l1, %l0, %l1;\nst.global.v4.b32 [%l1], {{%r1, %r2, %r3, %r4}};",
        list(20, a_regs),
        list(20 + a_regs, b_regs)
    );
    let bytes: Vec<String> = data.iter().map(u8::to_string).collect();
    let rig = Rig::new(&format!(".global .align 16 .b8 data[{}] = {{{}}};", data.len(), bytes.join(", ")), &body, 512);
    let counters = rig.run(1, 32).unwrap();
    assert_eq!((counters.mma, counters.macs, counters.class(Class::Matrix)), (1, (16 * 8 * k) as u64, 1));
    for (index, found) in rig.words().into_iter().enumerate() {
        let (lane, i) = (index / 4, index % 4);
        let (row, col) = (lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2);
        let sum: i32 = (0..k).map(|at| expected(a[row * k + at], b[col * k + at])).sum();
        assert_eq!(found as i32, sum + i as i32 + 1, "row {row}, column {col}");
    }
}

#[test]
fn matrix_products_follow_the_fragment_maps() {
    mma("m16n8k32", 32, "s8", "s8", |a, b| i32::from(a as i8) * i32::from(b as i8));
    mma("m16n8k32", 32, "u8", "s8", |a, b| i32::from(a) * i32::from(b as i8));
    mma("m16n8k32", 32, "u8", "u8", |a, b| i32::from(a) * i32::from(b));
    mma("m16n8k16", 16, "s8", "u8", |a, b| i32::from(a as i8) * i32::from(b));
}

#[test]
fn matrix_loads_follow_the_map_and_its_transpose() {
    for (transposed, suffix) in [(false, ""), (true, ".trans")] {
        // Shared memory holds b16 element i = i; matrix j's row r starts at byte 128 j + 16 r.
        let body = format!(
            "mov.u32 %r1, own;\nshl.b32 %r2, %r0, 4;\nadd.u32 %r1, %r1, %r2;\nshl.b32 %r3, %r0, 3;\nmov.u32 %r5, 0;\nmov.u32 %r6, %r1;\n\
             FILL:\ncvt.u16.u32 %h1, %r3;\nst.shared.b16 [%r6], %h1;\nadd.u32 %r3, %r3, 1;\nadd.u32 %r6, %r6, 2;\nadd.u32 %r5, %r5, 1;\n\
             setp.lt.u32 %p1, %r5, 8;\n@%p1 bra FILL;\nbar.warp.sync -1;\n\
             ldmatrix.sync.aligned.m8n8.x4{suffix}.shared.b16 {{%r10, %r11, %r12, %r13}}, [%r1];\n\
             mul.wide.u32 %l1, %r0, 16;\nadd.u64 %l1, %l0, %l1;\nst.global.v4.b32 [%l1], {{%r10, %r11, %r12, %r13}};"
        );
        let words = Rig::new(".shared .align 16 .b8 own[512];", &body, 512).result(1, 32);
        for (index, found) in words.into_iter().enumerate() {
            let (lane, j) = (index / 4, index % 4);
            let element = |row: usize, col: usize| (64 * j + 8 * row + col) as u32;
            let (g, t) = (lane / 4, lane % 4);
            let expected = if transposed {
                element(2 * t + 1, g) << 16 | element(2 * t, g)
            } else {
                element(g, 2 * t + 1) << 16 | element(g, 2 * t)
            };
            assert_eq!(found, expected, "lane {lane}, matrix {j}, transposed: {transposed}");
        }
    }
    let partial = "mov.u32 %r1, own;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r4}, [%r1];";
    assert_eq!(Rig::new(".shared .align 16 .b8 own[512];", partial, 4).fault(1, 16).kind, FaultKind::Divergence);
}

#[test]
fn atomics_of_all_blocks_add_up() {
    let body = "atom.global.add.u32 %r1, [%l0], 1;\nred.relaxed.gpu.global.add.u64 [%l0+8], 3;\nred.global.max.s32 [%l0+4], %r0;\n\
                mov.u32 %r2, own;\nst.shared.u32 [%r2], 0;\nbar.sync 0;\natom.shared.add.u32 %r3, [%r2], 1;";
    let rig = Rig::new(".shared .align 4 .b8 own[4];", body, 16);
    rig.memory.fill(rig.out, 16, &[0]).unwrap();
    let counters = rig.run(50, 96).unwrap();
    assert_eq!(rig.words(), [4800, 95, 3 * 4800, 0]);
    assert_eq!((counters.atomics, counters.blocks), (4 * 4800, 50));
    let cas = Rig::new("", "setp.eq.u32 %p1, %r0, 0;\natom.global.cas.b32 %r4, [%l0], 7, %r0;", 4);
    cas.memory.fill(cas.out, 4, &7_u32.to_le_bytes()).unwrap();
    assert_eq!(cas.result(1, 32), [0], "the first lane wins");
}

#[test]
fn generic_addresses_reach_their_windows() {
    let body = ".local .align 4 .b8 mine[8];\nmov.u32 %r1, own;\ncvt.u64.u32 %l2, %r1;\ncvta.shared.u64 %l2, %l2;\n\
                st.u32 [%l2], 5;\nbar.warp.sync -1;\nisspacep.shared %p1, %l2;\nisspacep.global %p2, %l2;\nmov.u64 %l3, mine;\ncvta.local.u64 %l3, %l3;\n\
                st.u32 [%l3+4], %r0;\nld.u32 %r2, [%l3+4];\nld.shared.u32 %r3, [%r1];\nadd.u32 %r4, %r2, %r3;\n\
                @!%p1 add.u32 %r4, %r4, 1000;\n@%p2 add.u32 %r4, %r4, 2000;\ncvta.global.u64 %l0, %l0;";
    let body = format!("{body}\n{}", STORE.replace("st.global", "st"));
    let words = Rig::new(".shared .align 4 .b8 own[4];", &body, 128).result(1, 32);
    assert_eq!(words, (5..37).collect::<Vec<u32>>());
}

#[test]
fn lanes_and_warps_that_spin_on_each_other_get_their_turn() {
    for (threads, setter) in [(32, 31), (64, 63)] {
        let body = format!(
            "mov.u32 %r2, own;\nst.shared.u32 [%r2], 0;\nbar.sync 0;\nsetp.eq.u32 %p1, %r0, {setter};\n@%p1 bra SET;\nSPIN:\nld.volatile.shared.u32 %r4, [%r2];\n\
             setp.ne.u32 %p2, %r4, 1;\n@%p2 bra SPIN;\nbra END;\nSET:\nmov.u32 %r4, 1;\nst.volatile.shared.u32 [%r2], %r4;\nEND:\n{STORE}"
        );
        let words = Rig::new(".shared .align 4 .b8 own[4];", &body, 256).result(1, threads);
        assert_eq!(words[..threads as usize], vec![1; threads as usize]);
    }
}
