//! Prints the table of planted bugs for the README as Markdown; with `--write`, puts it there.

// The corpus is a test's; what the example does not use is used there.
#[allow(dead_code, reason = "the test uses the rest")]
#[path = "../tests/corpus/case.rs"]
mod case;
#[path = "../tests/corpus/formula.rs"]
mod formula;
#[path = "../tests/corpus/run.rs"]
mod run;
#[path = "../tests/corpus/table.rs"]
mod table;

use std::fs;

fn main() {
    let table = table::markdown(&case::all());
    if std::env::args().nth(1).as_deref() != Some("--write") {
        print!("{table}");
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let old =
        table::between_marks(&readme).unwrap_or_else(|| panic!("{path} has no line `{}`", table::MARKS[0].trim()));
    let new = readme.replacen(&format!("{}{old}", table::MARKS[0]), &format!("{}{table}", table::MARKS[0]), 1);
    fs::write(path, new).unwrap_or_else(|error| panic!("{path}: {error}"));
}
