//! The corpus of planted bugs: each is found, at its line, and its mended twin is clean.

mod case;
mod formula;
mod run;
mod table;

use case::{Case, Wanted};
use formula::Formula;
use ptx_sim::{Fault, Module, Schedule, Severity};
use run::run;

/// Under which a twin has to be clean and to give the same, right result.
const SCHEDULES: [Schedule; 7] = [
    Schedule::Late,
    Schedule::Eager,
    Schedule::Random(1),
    Schedule::Random(2),
    Schedule::Random(3),
    Schedule::Random(4),
    Schedule::Random(5),
];

fn as_wanted(fault: &Fault) -> Wanted {
    Wanted {
        kind: format!("{:?}", fault.kind),
        severity: match fault.severity {
            Severity::Info => "Info",
            Severity::Warning => "Warning",
            Severity::Error => "Error",
        },
        line: fault.ptx_line,
        other: fault.other.as_ref().map(|other| other.ptx_line),
    }
}

/// What is wrong with how `case` is reported, if anything is.
fn misreported(case: &Case) -> Option<String> {
    for schedule in SCHEDULES {
        let bug = match run(case, &case.bug, schedule) {
            Ok(bug) => bug,
            Err(error) => return Some(error.to_string()),
        };
        let findings = bug.findings();
        let found: Vec<Wanted> = findings.iter().map(|fault| as_wanted(fault)).collect();
        // In another order another party comes second, or a reader comes before what it should read is there.
        let right = if schedule == Schedule::Late { found == [case.wanted.clone()] } else { !found.is_empty() };
        if !right {
            let said = findings.first().map_or("nothing".to_owned(), ToString::to_string);
            return Some(format!("under {schedule:?}, {:?} was wanted, {found:?} was found: {said}", case.wanted));
        }
    }
    None
}

/// What is wrong with the twin of `case`, if anything is.
fn unclean(case: &Case) -> Option<String> {
    for schedule in SCHEDULES {
        let twin = match run(case, &case.ok, schedule) {
            Ok(twin) => twin,
            Err(error) => return Some(error.to_string()),
        };
        if let Some(fault) = twin.findings().first() {
            return Some(format!("the twin under {schedule:?}: {fault}"));
        }
        if twin.results.is_empty() {
            return Some("no buffer of the twin has a result".to_owned());
        }
        if let Some((name, found, wanted)) = twin.results.iter().find(|(_, found, wanted)| found != wanted) {
            let at = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
            return Some(format!("the twin under {schedule:?}: byte {at:?} of {name} is wrong"));
        }
    }
    None
}

fn complaints(check: fn(&Case) -> Option<String>) -> String {
    let cases = case::all();
    assert!(cases.len() >= 90, "only {} cases: is this the whole corpus?", cases.len());
    let only = |case: &&Case| std::env::var("PTX_SIM_CORPUS").map_or(true, |part| case.name.contains(&part));
    let lines = cases.iter().filter(only).filter_map(|case| Some(format!("{}: {}\n", case.name, check(case)?)));
    lines.collect()
}

#[test]
fn every_bug_is_found_at_its_line() {
    let complaints = complaints(misreported);
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn every_twin_is_clean_and_right_under_every_schedule() {
    let complaints = complaints(unclean);
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// What ptxas rejects; the assembly tests see that it does.
#[test]
fn what_no_assembler_takes_is_refused_when_it_is_loaded() {
    let texts = case::texts(&case::folder().join("reject"));
    assert!(texts.len() >= 5, "only {} texts", texts.len());
    let mut complaints = String::new();
    for (name, text) in texts {
        let marked = (1..).zip(text.lines()).find(|(_, line)| line.contains("//@found")).map(|(number, _)| number);
        match Module::load(&text, &name) {
            Ok(_) => complaints += &format!("reject/{name} is loaded\n"),
            Err(error) if Some(error.line) == marked => {}
            Err(error) => complaints += &format!("reject/{name} is refused elsewhere: {error}\n"),
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn a_formula_is_read_as_rust_reads_it() {
    for (text, index, value) in [
        ("i", 7, 7),
        ("i * 3 + 1", 4, 13),
        ("1 + i * 3", 4, 13),
        ("(i ^ 32) - 2 - 1", 1, 30),
        ("i & 3 | 8", 6, 10),
        ("1 << i % 4 + 1", 6, 8),
        ("100 / (i + 1) / 2", 4, 10),
    ] {
        assert_eq!(Formula::parse(text).map(|formula| formula.at(index)), Ok(value), "{text}");
    }
    for text in ["", "i +", "(i", "i)", "x", "2 i"] {
        assert!(Formula::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_twin_is_the_bug_but_for_the_marked_lines() {
    let file = "//! Wrong.\n//! launch: grid=2,3 block=64\n//!- arg: x u8[4] = i freed\n//!+ arg: x u8[4] = i\n\
                //! arg: n u32 = 9\n//! finds: SharedRace info\na\n\t//+b\nc //@other //-\nd //@found\n";
    let case = Case::parse("one", file).unwrap();
    assert_eq!((case.what.as_str(), case.bug.grid, case.ok.block), ("Wrong.", [2, 3, 1], [64, 1, 1]));
    assert_eq!(case.wanted, Wanted { kind: "SharedRace".to_owned(), severity: "Info", line: 10, other: Some(9) });
    assert!(case.ok.text.ends_with("\na\nb\n\nd //@found\n") && case.bug.text == file);
    assert_eq!((case.bug.args[0].freed, case.ok.args[0].freed, case.ok.args.len()), (true, false, 2));
    assert!(
        Case::parse("none", &file.replace("//+", "").replace("//-", "").replace("//!+", "//!").replace("//!-", "//!"))
            .is_err()
    );
}

/// `cargo run -p ptx-sim --example corpus_table` makes it.
#[test]
fn the_table_of_the_readme_is_of_this_corpus() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let in_readme = table::between_marks(&readme).expect("README.md has the marks of the table");
    let is_new = in_readme == table::markdown(&case::all());
    assert!(is_new, "the corpus has changed: run `cargo run -p ptx-sim --example corpus_table -- --write`");
}
