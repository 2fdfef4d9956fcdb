//! Reductions (`red`) and the order of blocks: they release, they acquire nothing, and what one lane tells in many
//! places is what it knew at its fence.

mod common;
use common::Rig;
use ptx_sim::FaultKind;

/// %l1 is the address of this thread's word, %r10 the block, %r1 the thread's index in the grid. The atomic with a
/// result makes blocks run in turn.
const IN_TURN: &str = "mov.u32 %r10, %ctaid.x;\nmov.u32 %r11, %ntid.x;\nmad.lo.u32 %r1, %r10, %r11, %r0;\n\
                       mul.wide.u32 %l1, %r1, 4;\nadd.u64 %l1, %l0, %l1;\natom.global.add.u32 %r3, [%l0+1024], 1;\n";

const FENCE: &str = "fence.acq_rel.gpu;";
const FLAG: &str = "red.relaxed.gpu.global.add.u32 [%l0+512], 1;";
const SEEN: &str = "ld.relaxed.gpu.global.u32 %r4, [%l0+512];\nfence.acq_rel.gpu;";

fn rig(body: &str) -> Rig {
    let rig = Rig::new("", &format!("{IN_TURN}{body}"), 4096);
    rig.memory.fill(rig.out, 4096, &[0]).unwrap();
    rig
}

/// What each block does, in turn, one thread each.
fn blocks(parts: &[&str]) -> String {
    let jump = |i: usize| format!("setp.eq.u32 %p1, %r10, {i};\n@%p1 bra B{i};\n");
    let part = |(i, part): (usize, &&str)| format!("B{i}:\n{part}\nret;\n");
    (1..parts.len()).map(jump).chain(["bra B0;\n".to_owned()]).chain(parts.iter().enumerate().map(part)).collect()
}

#[track_caller]
fn clean(parts: &[&str]) {
    let body = blocks(parts);
    rig(&body).run(parts.len() as u32, 1).unwrap_or_else(|fault| panic!("{fault}\n{body}"));
}

#[track_caller]
fn race(parts: &[&str]) {
    let fault = rig(&blocks(parts)).fault(parts.len() as u32, 1);
    assert_eq!(fault.kind, FaultKind::GlobalRace, "{fault}");
    assert!(fault.instruction.starts_with("ld."), "{fault}");
}

#[test]
fn a_reduction_releases_as_a_store_does() {
    let (set, get) = ("st.global.u32 [%l0], 5;", "ld.global.u32 %r5, [%l0];");
    clean(&[&format!("{set}\n{FENCE}\n{FLAG}"), &format!("{SEEN}\n{get}")]);
    clean(&[&format!("{set}\n{}", FLAG.replace("relaxed", "release")), &format!("{SEEN}\n{get}")]);
    // What comes behind the fence, without one, or one that does not reach, is not released.
    race(&[&format!("{FENCE}\n{set}\n{FLAG}"), &format!("{SEEN}\n{get}")]);
    race(&[&format!("{set}\n{FLAG}"), &format!("{SEEN}\n{get}")]);
    race(&[&format!("{set}\nfence.acq_rel.cta;\n{FLAG}"), &format!("{SEEN}\n{get}")]);
    race(&[&format!("{set}\n{FENCE}\n{FLAG}"), &format!("{}\n{get}", SEEN.replace(FENCE, ""))]);
    race(&[&format!("{set}\n{FENCE}\n{}", FLAG.replace("gpu", "cta")), &format!("{SEEN}\n{get}")]);
}

#[test]
fn what_gives_no_value_acquires_nothing() {
    let (set, get) = (format!("st.global.u32 [%l0], 5;\n{FENCE}\n{FLAG}"), "ld.global.u32 %r5, [%l0];");
    // The one that reduces does not know whether the flag was set.
    race(&[&set, &format!("{FLAG}\n{FENCE}\n{get}")]);
    race(&[&set, &format!("{}\n{FENCE}\n{get}", FLAG.replace("relaxed", "release"))]);
    // An atomic with a result does; what is acquired with an order of its own is acquired whatever becomes of the value.
    clean(&[&set, &format!("atom.relaxed.gpu.global.add.u32 %r4, [%l0+512], 1;\n{FENCE}\n{get}")]);
    clean(&[&set, &format!("atom.acquire.gpu.global.add.u32 _, [%l0+512], 1;\n{get}")]);
    for order in ["acquire", "acq_rel"] {
        common::load_error(&common::module("", ".param .u64 out", &FLAG.replace("relaxed", order)));
    }
}

#[test]
fn what_a_lane_tells_in_many_places_is_what_it_knew_then() {
    let flag = |place: u32| FLAG.replace("512", &place.to_string());
    let seen = |place: u32| SEEN.replace("512", &place.to_string());
    let (set, get) = ("st.global.u32 [%l0], 5;", "ld.global.u32 %r5, [%l0];");
    let (again, get_again) = ("st.global.u32 [%l0+4], 6;", "ld.global.u32 %r5, [%l0+4];");
    // Three places after one fence tell of the first store, and of the second one after another fence only.
    let without = format!("{set}\n{FENCE}\n{}\n{}\n{again}\n{}", flag(512), flag(516), flag(520));
    for place in [512, 516, 520] {
        clean(&[&without, &format!("{}\n{get}", seen(place))]);
        race(&[&without, &format!("{}\n{get_again}", seen(place))]);
    }
    let with = without.replace(again, &format!("{again}\n{FENCE}"));
    clean(&[&with, &format!("{}\n{get}\n{get_again}", seen(520))]);
    race(&[&with, &format!("{}\n{get_again}", seen(516))]);
    // A narrow fence behind the wide one tells other blocks nothing new.
    let narrow = without.replace(again, &format!("{again}\nfence.acq_rel.cta;"));
    clean(&[&narrow, &format!("{}\n{get}", seen(520))]);
    race(&[&narrow, &format!("{}\n{get_again}", seen(520))]);
    // What another block released in a place stays there, and there only.
    let (first, second) = (format!("{set}\n{FENCE}\n{}", flag(512)), format!("{FENCE}\n{}\n{}", flag(512), flag(516)));
    clean(&[&first, &second, &format!("{}\n{get}", seen(512))]);
    race(&[&first, &second, &format!("{}\n{get}", seen(516))]);
}

const TILES: u32 = 12;
const BLOCKS: u32 = 32;

/// Blocks add their parts to the sums of tile after tile, fence and count; the last to come reads the sums.
fn shared_sums(meeting: &str) -> String {
    let add = (0..32).map(|i| format!("red.relaxed.gpu.global.add.u32 [%l2+{}], 1;\n", 128 * i)).collect::<String>();
    let take = (0..32).map(|i| format!("ld.global.u32 %r5, [%l2+{}];\n", 128 * i)).collect::<String>();
    format!(
        "mov.u32 %r7, %nctaid.x;\nmov.u32 %r8, 0;\nmul.wide.u32 %l4, %r0, 4;\nTILE:\nmul.wide.u32 %l2, %r8, 4096;\nadd.u64 %l2, %l0, %l2;\n\
         add.u64 %l2, %l2, 4096;\nadd.u64 %l2, %l2, %l4;\n{add}bar.sync 0;\nmul.wide.u32 %l3, %r8, 4;\nadd.u64 %l3, %l0, %l3;\n\
         setp.eq.u32 %p1, %r0, 0;\nmov.u32 %r4, 0;\n@!%p1 bra MET;\n{meeting}\nMET:\nadd.u32 %r4, %r4, 1;\nsetp.eq.u32 %p2, %r4, %r7;\n\
         barrier.cta.red.or.pred %p3, 0, %p2;\n@!%p3 bra NEXT;\n{take}NEXT:\nadd.u32 %r8, %r8, 1;\nsetp.lt.u32 %p4, %r8, {TILES};\n@%p4 bra TILE;"
    )
}

fn sums_rig(meeting: &str) -> Rig {
    let bytes = 4096 * (1 + TILES as usize);
    let rig = Rig::new("", &shared_sums(meeting), bytes);
    rig.memory.fill(rig.out, bytes as u64, &[0]).unwrap();
    rig
}

/// Split sums: each block's leader adds to many places behind each of its fences.
#[test]
fn sums_that_many_blocks_share_are_ordered_by_the_meeting() {
    let count = "atom.relaxed.gpu.global.add.u32 %r4, [%l3], 1;";
    let rig = sums_rig(&format!("{FENCE}\n{count}\n{FENCE}"));
    rig.run(BLOCKS, 32).unwrap_or_else(|fault| panic!("{fault}"));
    let words = rig.words();
    assert!(words[..TILES as usize].iter().chain(&words[1024..]).all(|word| *word == BLOCKS), "{:?}", &words[..32]);
    for meeting in [format!("{FENCE}\n{count}"), format!("{count}\n{FENCE}"), count.to_owned()] {
        let fault = sums_rig(&meeting).fault(BLOCKS, 32);
        assert_eq!(fault.kind, FaultKind::GlobalRace, "{fault}\n{meeting}");
    }
}
