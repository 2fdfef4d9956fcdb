//! `setmaxnreg`: registers that warpgroups give back and take.

mod common;

use common::{load, load_error};
use ptx_sim::{Fault, FaultKind, Launch, Memory, Report, Schedule, Severity, launch};

fn text(tuning: &str, body: &str) -> String {
    format!(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{tuning}\n{{\n.reg .pred %p<4>;\n\
         .reg .b32 %r<8>;\nmov.u32 %r0, %tid.x;\nsetp.lt.u32 %p1, %r0, 128;\n{body}\nret;\n}}\n"
    )
}

/// A block of two warpgroups of a kernel that starts with 128 registers a thread.
fn run(body: &str, schedule: Schedule) -> Result<Report, Box<Fault>> {
    let module = load(&text(".maxnreg 128", body));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let kernel = module.kernel("k").unwrap();
    launch(&instance, &memory, &Launch::new(kernel, [2, 1, 1], [256, 1, 1], &[]).with_schedule(schedule))
}

/// The first warpgroup executes `one`, the second `two`.
fn split(one: &str, two: &str) -> String {
    format!("@%p1 bra ONE;\n{two}bra END;\nONE:\n{one}END:\n")
}

const SCHEDULES: [Schedule; 4] = [Schedule::Late, Schedule::Eager, Schedule::Random(3), Schedule::Random(8)];

#[test]
fn one_warpgroup_takes_what_the_other_gives_back() {
    for schedule in SCHEDULES {
        let give = "setmaxnreg.dec.sync.aligned.u32 40;\n";
        let take = "setmaxnreg.inc.sync.aligned.u32 216;\n";
        // Whichever of them comes first.
        for (one, two) in [(give, take), (take, give)] {
            let report = run(&split(one, two), schedule).unwrap_or_else(|fault| panic!("{fault}"));
            assert!(report.notes.is_empty(), "{:?}", report.notes);
        }
    }
}

#[test]
fn more_than_there_is_never_comes() {
    for schedule in SCHEDULES {
        let body = split("setmaxnreg.dec.sync.aligned.u32 40;\n", "setmaxnreg.inc.sync.aligned.u32 224;\n");
        let fault = run(&body, schedule).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Deadlock, "{fault}");
        assert!(fault.explanation.contains("waits for 96 registers a thread"), "{fault}");
        assert!(fault.explanation.contains("exited"), "{fault}");
    }
}

#[test]
fn the_numbers_have_to_fit_what_the_warp_owns() {
    for body in ["setmaxnreg.inc.sync.aligned.u32 120;\n", "setmaxnreg.dec.sync.aligned.u32 136;\n"] {
        let fault = run(body, Schedule::Late).unwrap_err();
        assert!(fault.kind == FaultKind::Undefined && fault.explanation.contains("128"), "{fault}");
    }
    // Staying is allowed both ways.
    for body in ["setmaxnreg.inc.sync.aligned.u32 128;\n", "setmaxnreg.dec.sync.aligned.u32 128;\n"] {
        run(body, Schedule::Late).unwrap();
    }
}

#[test]
fn a_warpgroup_executes_it_as_one() {
    let body = "setp.lt.u32 %p2, %r0, 32;\n@%p2 bra END;\nsetmaxnreg.dec.sync.aligned.u32 40;\nEND:\n";
    let fault = run(body, Schedule::Late).unwrap_err();
    assert!(fault.kind == FaultKind::Wgmma && fault.explanation.contains("four warps"), "{fault}");
    let body = "setp.lt.u32 %p2, %r0, 16;\n@%p2 bra END;\nsetmaxnreg.dec.sync.aligned.u32 40;\nEND:\n";
    assert_eq!(run(body, Schedule::Late).unwrap_err().kind, FaultKind::Divergence);
}

#[test]
fn it_has_no_effect_where_the_start_is_not_known() {
    let start = |tuning: &str| {
        let module = load(&text(tuning, "setmaxnreg.inc.sync.aligned.u32 256;\n"));
        let memory = Memory::new();
        let instance = module.instantiate(&memory).unwrap();
        launch(&instance, &memory, &Launch::new(module.kernel("k").unwrap(), [1; 3], [256, 1, 1], &[]))
    };
    for tuning in ["", ".maxntid 256"] {
        let report = start(tuning).unwrap();
        assert_eq!(report.notes.len(), 1);
        assert!(report.notes[0].severity == Severity::Warning && report.notes[0].ptx_line != 0, "{}", report.notes[0]);
    }
    // 65,536 registers for two blocks of 256 threads are 128 for each: nobody gives the others back.
    assert_eq!(start(".maxntid 256\n.minnctapersm 2").unwrap_err().kind, FaultKind::Deadlock);
    // One block can have them all at once.
    assert!(start(".maxntid 256\n.minnctapersm 1").unwrap().notes.is_empty());
}

#[test]
fn other_numbers_and_targets_are_refused() {
    for statement in [
        "setmaxnreg.inc.sync.aligned.u32 16;",
        "setmaxnreg.inc.sync.aligned.u32 28;",
        "setmaxnreg.inc.sync.aligned.u32 264;",
        "setmaxnreg.inc.sync.aligned.u32 %r1;",
        "setmaxnreg.sync.aligned.u32 64;",
        "setmaxnreg.inc.aligned.u32 64;",
        "setmaxnreg.inc.sync.aligned.b32 64;",
    ] {
        load_error(&text("", statement));
    }
    let statement = "setmaxnreg.dec.sync.aligned.u32 64;";
    load_error(&text("", statement).replace("sm_90a", "sm_90"));
    load(&text("", statement).replace("sm_90a", "sm_100a"));
}
