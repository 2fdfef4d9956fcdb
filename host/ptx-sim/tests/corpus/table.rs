//! The table of the corpus in the README.

use std::fmt::Write as _;

use ptx_sim::{FaultKind, Schedule};

use super::case::Case;
use super::run::run;

/// Around the table in the README.
pub(crate) const MARKS: [&str; 2] =
    ["<!-- corpus: cargo run -p ptx-sim --example corpus_table -- --write -->\n", "<!-- /corpus -->"];

/// What stands between the marks of `readme`.
pub(crate) fn between_marks(readme: &str) -> Option<&str> {
    let (_, behind) = readme.split_once(MARKS[0])?;
    Some(behind.split_once(MARKS[1])?.0)
}

/// One row for each case: the finding as the simulator gave it, and what the twin took.
pub(crate) fn markdown(cases: &[Case]) -> String {
    let mut out = "| planted bug | what is wrong | finding | line | other party | twin: instructions |\n|---|---|---|---|---|---|\n".to_owned();
    for case in cases {
        let bug = run(case, &case.bug, Schedule::Late).unwrap_or_else(|error| panic!("{error}"));
        let found = bug.findings().first().map(|fault| (*fault).clone());
        let (kind, line) = found.as_ref().map_or(("none", 0), |fault| (FaultKind::name(fault.kind), fault.ptx_line));
        let line = if line == 0 {
            "launch".to_owned()
        } else {
            format!("{line} `{}`", text(found.as_ref().map_or("", |fault| &fault.instruction)))
        };
        let other = found
            .and_then(|fault| fault.other)
            .map_or(String::new(), |other| format!("{} `{}`", other.ptx_line, text(&other.instruction)));
        let twin = run(case, &case.ok, Schedule::Late).unwrap_or_else(|error| panic!("{error}"));
        let instructions =
            twin.end.map_or("faulted".to_owned(), |report| report.counters.warp_instructions.to_string());
        let (name, what) = (&case.name, text(&case.what));
        let _ = writeln!(out, "| {name} | {what} | {kind} | {line} | {other} | {instructions} |");
    }
    out
}

/// `|` would end a cell.
fn text(words: &str) -> String {
    words.replace('|', "\\|")
}
