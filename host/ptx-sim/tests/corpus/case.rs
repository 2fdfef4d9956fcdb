//! A file of the corpus: a kernel with a planted bug and, marked in the same text, what mends it.
//!
//! The file as it stands is the bug, and is PTX that every assembler takes. Its twin is the same text where
//! lines that begin with `//+` lose that mark and lines that end in `//-` are empty, so that lines keep
//! their numbers. `//@found` stands on the line that has to be reported, `//@other` on that of the other
//! party. What the kernel is and how it is launched stands in its `//!` lines; those that begin with
//! `//!+` and `//!-` are of the twin and of the bug only:
//!
//! ```text
//! //! What is wrong, in one line.
//! //! launch: grid=2 block=64,2 cluster=2 shared=128 limit=10000
//! //! arg: x u32[64] = i * 3        filled
//! //! arg: y u32[64] -> i ^ 32      never written by the host; what the twin leaves there
//! //! arg: z u32[1] = 0 -> 64       both
//! //! arg: gone u8[16] freed        freed before the launch
//! //! arg: n u32 = 5                a number
//! //! buffer: t u8[768] = i % 251   a buffer that is no argument; all buffers come before the maps of them
//! //! arg: m map of t dims 64,12 box 32,8
//! //! finds: SharedRace             ` info` or ` warning` behind it: a note that stops no launch
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use super::formula::Formula;

/// One file of the corpus.
#[derive(Debug)]
pub(crate) struct Case {
    /// Folder and name without `.ptx`, as `race/barrier-dropped`.
    pub(crate) name: String,
    /// What is wrong with the bug, in one line.
    pub(crate) what: String,
    /// What has to be reported of the bug.
    pub(crate) wanted: Wanted,
    pub(crate) bug: Variant,
    pub(crate) ok: Variant,
}

/// The finding that the bug has to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Name of the `FaultKind`.
    pub(crate) kind: String,
    /// Name of the `Severity`.
    pub(crate) severity: &'static str,
    /// The line of the finding; 0 when no instruction is to blame.
    pub(crate) line: u32,
    /// The line of the other party.
    pub(crate) other: Option<u32>,
}

/// The bug or its twin: a text and how it is launched.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) text: String,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) cluster: [u32; 3],
    pub(crate) shared: u32,
    pub(crate) limit: Option<u64>,
    pub(crate) args: Vec<Arg>,
}

/// An argument of the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Arg {
    pub(crate) name: String,
    /// Of a number or of an element: `u32`, `f16` ...
    pub(crate) ty: String,
    /// Elements of a buffer; `None` for a number.
    pub(crate) count: Option<usize>,
    pub(crate) fill: Option<Formula>,
    pub(crate) result: Option<Formula>,
    pub(crate) freed: bool,
    /// Whether the kernel gets it.
    pub(crate) passed: bool,
    pub(crate) map: Option<Map>,
}

/// A tensor map of bytes without gaps.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    /// Name of the buffer.
    pub(crate) of: String,
    pub(crate) dims: Vec<u64>,
    pub(crate) box_dims: Vec<u32>,
}

/// Where the corpus is.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find_map(corpus_below).expect("the corpus is in the repository")
}

fn corpus_below(root: &Path) -> Option<PathBuf> {
    let folder = root.join("host/ptx-sim/tests/corpus");
    folder.is_dir().then_some(folder)
}

/// The PTX files of one folder of the corpus, by name.
pub(crate) fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder's entry").path();
        if path.extension().is_some_and(|extension| extension == "ptx") {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            texts.push((name, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))));
        }
    }
    texts.sort();
    texts
}

/// The folders of the corpus, in the order of the table.
pub(crate) const FOLDERS: [&str; 8] = ["memory", "race", "init", "sync", "copy", "bulk", "wgmma", "launch"];

/// Every case of the corpus.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in FOLDERS {
        for (name, text) in texts(&folder().join(kind)) {
            let name = format!("{kind}/{name}");
            cases.push(Case::parse(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}")));
        }
    }
    cases
}

impl Case {
    pub(crate) fn parse(name: &str, file: &str) -> Result<Self, String> {
        let what = file.lines().next().and_then(|line| line.strip_prefix("//! ")).ok_or("no first line `//! ..`")?;
        let finds = header(file, '-').find_map(|line| line.strip_prefix("finds: ")).ok_or("no line `//! finds: ..`")?;
        let (kind, severity) = match finds.split_once(' ') {
            None => (finds, "Error"),
            Some((kind, "info")) => (kind, "Info"),
            Some((kind, "warning")) => (kind, "Warning"),
            Some((_, word)) => return Err(format!("`{word}` is no severity")),
        };
        let marked = |mark: &str| {
            let mut lines = (1..).zip(file.lines()).filter(|(_, line)| line.contains(mark)).map(|(number, _)| number);
            (lines.next(), lines.next())
        };
        let (found, other) = (marked("//@found"), marked("//@other"));
        if found.1.is_some() || other.1.is_some() {
            return Err("a mark stands on two lines".to_owned());
        }
        let wanted = Wanted { kind: kind.to_owned(), severity, line: found.0.unwrap_or(0), other: other.0 };
        let bug = Variant::parse(file, '-').map_err(|error| format!("bug: {error}"))?;
        let ok = Variant::parse(file, '+').map_err(|error| format!("twin: {error}"))?;
        if bug.text == ok.text && header(file, '-').eq(header(file, '+')) {
            return Err("nothing is marked with `//+` or `//-`: the twin is the bug".to_owned());
        }
        Ok(Self { name: name.to_owned(), what: what.to_owned(), wanted, bug, ok })
    }
}

/// The `//!` lines of the bug (`-`) or the twin (`+`), without their mark.
fn header(file: &str, sign: char) -> impl Iterator<Item = &str> {
    file.lines().filter_map(move |line| {
        let line = line.strip_prefix("//!")?;
        let other = if sign == '+' { '-' } else { '+' };
        if line.starts_with(other) { None } else { Some(line.strip_prefix(sign).unwrap_or(line).trim()) }
    })
}

/// The text of the twin.
fn mended(file: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix("//+") {
        Some(added) => added.to_owned(),
        None if line.ends_with("//-") => String::new(),
        None => line.to_owned(),
    };
    file.lines().map(|text| line(text) + "\n").collect()
}

impl Variant {
    fn parse(file: &str, sign: char) -> Result<Self, String> {
        let text = if sign == '+' { mended(file) } else { file.to_owned() };
        let (grid, block, cluster) = ([1; 3], [1; 3], [1; 3]);
        let mut variant = Self { text, grid, block, cluster, shared: 0, limit: None, args: Vec::new() };
        for line in header(file, sign).skip(1) {
            match line.split_once(": ") {
                Some(("launch", words)) => words.split_whitespace().try_for_each(|word| variant.launch(word))?,
                Some(("arg", words)) => variant.args.push(Arg::parse(words)?),
                Some(("buffer", words)) => variant.args.push(Arg { passed: false, ..Arg::parse(words)? }),
                Some(("finds", _)) => {}
                _ => return Err(format!("`{line}` is no line of a header")),
            }
        }
        Ok(variant)
    }

    fn launch(&mut self, word: &str) -> Result<(), String> {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` has no `=`"))?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{word}`: `{text}` is no number"));
        let shape = || {
            let mut shape = [1; 3];
            for (slot, text) in shape.iter_mut().zip(value.split(',')) {
                *slot = number(text)?;
            }
            Ok::<_, String>(shape)
        };
        match key {
            "grid" => self.grid = shape()?,
            "block" => self.block = shape()?,
            "cluster" => self.cluster = shape()?,
            "shared" => self.shared = number(value)?,
            "limit" => self.limit = Some(u64::from(number(value)?)),
            _ => return Err(format!("`{key}` is nothing that a launch has")),
        }
        Ok(())
    }
}

impl Arg {
    fn parse(words: &str) -> Result<Self, String> {
        let (words, freed) = words.strip_suffix(" freed").map_or((words, false), |words| (words, true));
        let (words, result) = words.split_once("->").map_or((words, None), |(words, result)| (words, Some(result)));
        let (words, fill) = words.split_once('=').map_or((words, None), |(words, fill)| (words, Some(fill)));
        let (name, ty) = words.trim().split_once(' ').ok_or_else(|| format!("`{words}` is not `NAME TYPE`"))?;
        if let Some(words) = ty.strip_prefix("map of ") {
            let (name, map) = (name.to_owned(), Some(Map::parse(words)?));
            let ty = "map".to_owned();
            return Ok(Self { name, ty, count: None, fill: None, result: None, freed, passed: true, map });
        }
        let (ty, count) = match ty.strip_suffix(']').and_then(|ty| ty.split_once('[')) {
            Some((ty, count)) => (ty, Some(count.parse().map_err(|_| format!("`{count}` is no number of elements"))?)),
            None => (ty, None),
        };
        let formula = |text: Option<&str>| text.map(Formula::parse).transpose();
        let (fill, result) = (formula(fill)?, formula(result)?);
        if count.is_none() && (fill.is_none() || result.is_some()) {
            return Err(format!("the number {name} has a value and no result"));
        }
        let (name, ty) = (name.to_owned(), ty.to_owned());
        Ok(Self { name, ty, count, fill, result, freed, passed: true, map: None })
    }
}

impl Map {
    /// `BUFFER dims 64,12 box 32,8`.
    fn parse(words: &str) -> Result<Self, String> {
        let words: Vec<&str> = words.split_whitespace().collect();
        let [of, "dims", dims, "box", box_dims] = words[..] else {
            return Err(format!("`{}` is not `BUFFER dims N,.. box N,..`", words.join(" ")));
        };
        let wrong = |error| format!("`{dims}` or `{box_dims}`: {error}");
        let dims = dims.split(',').map(str::parse).collect::<Result<_, _>>().map_err(wrong)?;
        let box_dims = box_dims.split(',').map(str::parse).collect::<Result<_, _>>().map_err(wrong)?;
        Ok(Self { of: of.to_owned(), dims, box_dims })
    }
}

/// The bytes of one value of type `ty`.
pub(crate) fn bytes(ty: &str, value: i64) -> Vec<u8> {
    match ty {
        "u8" | "s8" => vec![value as u8],
        "u16" | "s16" => (value as u16).to_le_bytes().to_vec(),
        "u32" | "s32" => (value as u32).to_le_bytes().to_vec(),
        "u64" | "s64" => value.to_le_bytes().to_vec(),
        "f32" => (value as f32).to_le_bytes().to_vec(),
        "f16" => half::f16::from_f32(value as f32).to_le_bytes().to_vec(),
        "bf16" => half::bf16::from_f32(value as f32).to_le_bytes().to_vec(),
        _ => panic!("`{ty}` is no type of an argument"),
    }
}
