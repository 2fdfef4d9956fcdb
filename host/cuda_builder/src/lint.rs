//! Refuses PTX that assembles, and runs wrongly or slowly.
//!
//! Rust's passes and LLVM's may copy a barrier or a shuffle into both arms of a divergent branch (rust-lang/rust#137086):
//! the program still assembles, and hangs or lies on the GPU. Hence the count of collectives, which each kernel declares.

use crate::{
    marker::Marker,
    ptx::{self, Function, Item},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The families of collective instructions, and the opcodes that belong to each.
///
/// A name that ends at a dot boundary: `bar.sync` is also `bar.sync.aligned`, and not `bar.synced`.
pub const FAMILIES: &[(&str, &[&str])] = &[
    ("bar.sync", &["bar.sync", "bar.cta.sync", "barrier.sync", "barrier.cta.sync"]),
    ("bar.arrive", &["bar.arrive", "bar.cta.arrive", "barrier.arrive", "barrier.cta.arrive"]),
    ("bar.red", &["bar.red", "bar.cta.red", "barrier.red", "barrier.cta.red"]),
    ("barrier.cluster", &["barrier.cluster"]),
    ("bar.warp.sync", &["bar.warp.sync"]),
    ("shfl.sync", &["shfl.sync"]),
    ("vote.sync", &["vote.sync"]),
    ("redux.sync", &["redux.sync"]),
    ("match.sync", &["match.any.sync", "match.all.sync"]),
    ("elect.sync", &["elect.sync"]),
    ("mma.sync", &["mma.sync", "mma.sp.sync", "wmma.mma.sync"]),
    ("ldmatrix", &["ldmatrix.sync"]),
    ("stmatrix", &["stmatrix.sync"]),
    ("movmatrix", &["movmatrix.sync"]),
    ("wgmma", &["wgmma.mma_async"]),
    ("wgmma.sync", &["wgmma.fence", "wgmma.commit_group", "wgmma.wait_group"]),
    ("setmaxnreg", &["setmaxnreg"]),
];

/// One reason to refuse a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry, or the symbol where no entry is to blame.
    pub entry: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// The rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The entry was not made by `#[kernel]`.
    NoMarker,
    /// Registers indexed at run time, or an address taken: the array lives in (slow) local memory.
    LocalMemory(String),
    /// A call remains after inlining.
    Call(String),
    /// The text of a panic: an index, an overflow or an `unwrap` that may fail.
    PanicText(String),
    /// Another number of collectives than declared.
    Collectives {
        /// The family.
        family: &'static str,
        /// How many the kernel declares.
        declared: u32,
        /// How many its PTX has.
        found: u32,
    },
    /// A function that no code here defines.
    ExternFunction,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry `{}`: ", self.entry)?;
        match &self.problem {
            Problem::NoMarker => f.write_str("no //@kernel marker: declare it with #[kernel]"),
            Problem::LocalMemory(what) => write!(
                f,
                "uses local memory ({what}): index register arrays with constants only (unroll the loop), and take no addresses of locals"
            ),
            Problem::Call(callee) => write!(
                f,
                "calls `{callee}`: mark it #[inline(always)], or remove the panic, slice copy or division that brings it in"
            ),
            Problem::PanicText(text) => {
                write!(f, "can panic ({text:?}): use unchecked or wrapping operations after a check")
            }
            Problem::Collectives { family, declared, found } => write!(
                f,
                "has {found} {family} and declares {declared}: the compiler copied or dropped some, or `collectives(..)` is out of date"
            ),
            Problem::ExternFunction => f.write_str("declared .extern .func: nothing defines it"),
        }
    }
}

/// Checks a module after the text pass. Gives every finding, in the order of the text.
pub fn check(ptx: &str, markers: &BTreeMap<String, Marker>) -> Vec<Finding> {
    let items = ptx::items(ptx);
    let texts = panic_texts(&items);
    let mut findings = Vec::new();
    for item in &items {
        let Item::Function(function) = item else { continue };
        let problems = if function.is_entry {
            entry(function, markers.get(function.name), &texts)
        } else if function.is_extern {
            vec![Problem::ExternFunction]
        } else {
            Vec::new()
        };
        findings.extend(problems.into_iter().map(|problem| Finding { entry: function.name.to_owned(), problem }));
    }
    findings
}

fn entry(entry: &Function<'_>, marker: Option<&Marker>, texts: &BTreeMap<&str, String>) -> Vec<Problem> {
    let code = ptx::instructions(entry.body);
    let mut problems = Vec::new();
    let Some(marker) = marker else { return vec![Problem::NoMarker] };

    if entry.body.contains("__local_depot") {
        problems.push(Problem::LocalMemory("__local_depot".into()));
    } else if let Some(line) = entry.body.lines().find(|line| line.split_whitespace().next() == Some(".local")) {
        problems.push(Problem::LocalMemory(line.trim().into()));
    } else if let Some(access) = code.iter().find(|code| is_local_access(code)) {
        problems.push(Problem::LocalMemory(access.clone()));
    }

    let callees: BTreeSet<&str> = code.iter().filter_map(|code| callee(code)).collect();
    problems.extend(callees.into_iter().map(|callee| Problem::Call(callee.into())));

    let named: BTreeSet<&str> = entry.body.split(|c: char| !is_name(c)).collect();
    problems.extend(texts.iter().filter(|(name, _)| named.contains(*name)).map(|(_, t)| Problem::PanicText(t.clone())));

    for (family, opcodes) in FAMILIES {
        let found = code.iter().filter(|code| opcodes.iter().any(|opcode| is_opcode(code, opcode))).count() as u32;
        let declared = marker.collectives.get(*family).copied().unwrap_or(0);
        if found != declared {
            problems.push(Problem::Collectives { family, declared, found });
        }
    }
    problems
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_$".contains(c)
}

fn is_opcode(code: &str, opcode: &str) -> bool {
    code.strip_prefix(opcode).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
}

fn is_local_access(code: &str) -> bool {
    let opcode = code.split_whitespace().next().unwrap_or("");
    let mut parts = opcode.split('.');
    matches!(parts.next(), Some("ld" | "st" | "cvta")) && parts.any(|part| part == "local")
}

/// The called name, if the instruction is a call: `call.uni (ret), name, (args)`.
fn callee(code: &str) -> Option<&str> {
    let (opcode, operands) = code.split_once(' ')?;
    if !is_opcode(opcode, "call") {
        return None;
    }
    let operands = match operands.strip_prefix('(') {
        Some(returned) => returned.split_once(')')?.1.trim_start_matches([',', ' ']),
        None => operands,
    };
    Some(operands.split([',', ' ', ';']).next().unwrap_or(operands))
}

/// Variables that hold a text, or the address of one (a panic's location): name → text.
fn panic_texts<'a>(items: &[Item<'a>]) -> BTreeMap<&'a str, String> {
    let variables: Vec<(&str, &str)> = items
        .iter()
        .filter_map(|item| if let Item::Variable { name, text } = item { Some((*name, *text)) } else { None })
        .collect();
    let mut texts: BTreeMap<&str, String> =
        variables.iter().filter_map(|(name, text)| Some((*name, string_data(text)?))).collect();
    // A location holds the address of its file's name; one round each until nothing is added.
    loop {
        let pointing: Vec<(&str, String)> = variables
            .iter()
            .filter(|(name, _)| !texts.contains_key(name))
            .filter_map(|(name, text)| {
                let initialiser = text.split_once('=')?.1;
                let mut words = initialiser.split(|c: char| !is_name(c));
                words.find_map(|word| texts.get(word)).map(|text| (*name, text.clone()))
            })
            .collect();
        if pointing.is_empty() {
            return texts;
        }
        texts.extend(pointing);
    }
}

/// The text of a `.b8` array that is readable throughout: a message or a file name, not a table of numbers.
fn string_data(declaration: &str) -> Option<String> {
    let (declared, initialiser) = declaration.split_once('=')?;
    if !declared.contains(".b8") {
        return None;
    }
    let numbers = initialiser.trim().trim_start_matches('{').trim_end_matches(['}', ';', ' ', '\n']);
    let bytes: Vec<u8> = numbers.split(',').map(|n| n.trim().parse()).collect::<Result<_, _>>().ok()?;
    let text = std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(&bytes)).ok()?;
    let readable = text.len() >= 4 && text.chars().all(|c| c == '\n' || !c.is_control());
    readable.then(|| text.to_owned())
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
