//! Figures that are committed: a Markdown file under `bench/figures/` for each test that makes some. They are machine code's, so
//! that they are held to the letter where compiler and assembler are those that the file names, and not at all elsewhere:
//! there the absolute limits of the tests apply alone.

use outerscale::ptx;
use std::{fmt::Display, fs, io::Write, path::PathBuf};

/// Set to 1, the files are written instead of compared.
pub const WRITE: &str = "OUTERSCALE_WRITE_FIGURES";

/// What the line of versions begins with.
const MADE_WITH: &str = "Made with ";

/// A file of figures.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its name under `bench/figures/`.
    pub name: &'static str,
    /// The heading.
    pub title: &'static str,
    /// The test that makes it, as cargo is given it: `assembly`.
    pub test: &'static str,
    /// What the columns are, for a reader.
    pub about: &'static str,
}

/// A table in Markdown.
#[derive(Clone, Debug)]
pub struct Table(String);

impl Table {
    /// With this header.
    pub fn new(header: &[&str]) -> Table {
        let rule = "|---".repeat(header.len());
        Table(format!("| {} |\n{rule}|\n", header.join(" | ")))
    }

    /// One row more.
    pub fn row(&mut self, cells: &[&dyn Display]) {
        let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
        self.0 += &format!("| {} |\n", cells.join(" | "));
    }

    /// As text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What a comparison came to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Equal,
    /// Recorded with these versions, which are not those here.
    Other(String),
    /// The first difference.
    Differs(String),
}

impl File {
    /// Holds the recorded file to `body`, its tables as they are now, made with `ptxas` of that version; or writes it.
    ///
    /// # Panics
    /// If the versions are the recorded ones and the text is not; if there is no such file.
    pub fn hold(&self, ptxas: &str, body: &str) {
        let now = self.text(ptxas, body);
        let (path, what) = (path(self.name), format!("bench/figures/{}", self.name));
        if std::env::var(WRITE).is_ok_and(|value| value != "0") {
            fs::write(&path, now).unwrap_or_else(|e| panic!("{what}: {e}"));
            return;
        }
        let mend = format!("if that is meant, `{}` writes it anew", self.command());
        let recorded = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{what}: {e}; {mend}"));
        match compare(&recorded, &now) {
            Verdict::Equal => {}
            Verdict::Differs(difference) => panic!("{what}: {difference}; {mend}"),
            Verdict::Other(versions) => {
                let here = versions_of(&now).unwrap_or_default();
                // Past the capture of test output, as what is skipped is told.
                let _ = writeln!(std::io::stderr(), "NOT COMPARED {what}: recorded with {versions}, here {here}");
            }
        }
    }

    fn command(&self) -> String {
        format!("{WRITE}=1 cargo test -p outerscale-tests --test {}", self.test)
    }

    fn text(&self, ptxas: &str, body: &str) -> String {
        let File { title, about, .. } = self;
        let versions = format!("{MADE_WITH}{} and ptxas {ptxas}", ptx::COMPILER);
        format!("# {title}\n\n{versions}, by `{}`.\n\n{about}\n\n{}\n", self.command(), body.trim_end())
    }
}

/// The rows of the tables that are recorded in a file under `bench/figures/`, headers left out, each as its cells.
///
/// # Panics
/// If there is no such file.
pub fn recorded(name: &str) -> Vec<Vec<String>> {
    rows(&fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("bench/figures/{name}: {e}")))
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bench/figures").join(name)
}

/// What a text was made with.
fn versions_of(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.strip_prefix(MADE_WITH))?;
    line.split_once(", by ").map(|(versions, _)| versions)
}

fn compare(recorded: &str, now: &str) -> Verdict {
    let Some(versions) = versions_of(recorded) else {
        return Verdict::Differs(format!("no line tells what it was made with ({MADE_WITH}..)"));
    };
    if Some(versions) != versions_of(now) {
        return Verdict::Other(versions.to_owned());
    }
    if recorded == now {
        return Verdict::Equal;
    }
    let (mut old, mut new) = (recorded.lines(), now.lines());
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (old, new) if old == new => {}
            (old, new) => {
                let [old, new] = [old, new].map(|line| line.unwrap_or("nothing"));
                return Verdict::Differs(format!("line {number}: recorded {old:?}, now {new:?}"));
            }
        }
    }
    Verdict::Differs("the ends of the lines differ".to_owned())
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            // The rule below a header.
            if line.starts_with("|---") {
                rows.pop();
            }
            continue;
        };
        rows.push(cells.split(" | ").map(str::to_owned).collect());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: File = File { name: "x.md", title: "X", test: "x", about: "What is." };

    fn body(value: u32) -> String {
        let mut table = Table::new(&["kernel", "registers"]);
        table.row(&[&"`a`", &1]);
        table.row(&[&"`b`", &value]);
        table.text().to_owned()
    }

    #[test]
    fn another_number_is_found_and_other_versions_are_not_compared() {
        let recorded = FILE.text("13.0.88", &body(2));
        assert_eq!(compare(&recorded, &recorded), Verdict::Equal);
        let now = FILE.text("13.0.88", &body(3));
        let difference = "line 10: recorded \"| `b` | 2 |\", now \"| `b` | 3 |\"";
        assert_eq!(compare(&recorded, &now), Verdict::Differs(difference.to_owned()));
        let now = FILE.text("13.1.2", &body(3));
        assert_eq!(compare(&recorded, &now), Verdict::Other(format!("{} and ptxas 13.0.88", ptx::COMPILER)));
        assert!(matches!(compare("# X\n", &now), Verdict::Differs(_)));
        assert!(matches!(compare(&recorded, recorded.trim_end()), Verdict::Differs(_)));
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        assert_eq!(rows(&FILE.text("13.0.88", &body(2))), [["`a`", "1"], ["`b`", "2"]]);
    }
}
