//! Says in PTX what rustc has no words for. A pure function of the text.

use crate::{
    marker::Marker,
    ptx::{self, Function, Item},
};
use std::collections::BTreeMap;

/// How the paths of `.file` lines are shown, so that PTX is the same whatever folder it was built in.
#[derive(Clone, Debug, Default)]
pub struct PathMap {
    /// Prefixes and what stands in their place; the first that fits is taken. An empty replacement gives a relative path.
    pub prefixes: Vec<(String, String)>,
}

/// The least version of the PTX ISA that a module says, for what `cuda_std` writes as assembly and LLVM does not know of:
/// 7.4 has the eviction priorities of loads. Drivers from R470 on read it.
const LEAST_VERSION: (u32, u32) = (7, 4);

/// PTX that is not as LLVM writes it, or does not fit its markers.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextError {
    /// A marker names an entry that the module lacks.
    #[error("the marker of `{0}` has no entry: the kernel was not compiled")]
    NoEntry(String),
    /// A tensor map's parameter has not the form of one.
    #[error("entry `{entry}`: parameter {index} is not a tensor map: it must be an array of at least 128 bytes")]
    NotATensorMap {
        /// The entry.
        entry: String,
        /// The parameter, from 0.
        index: usize,
    },
}

/// Rewrites LLVM's PTX:
///
/// - each marked entry gets its launch bounds between `)` and `{`, and its tensor maps `.align 64`;
/// - the version of the PTX ISA is raised to the least that `cuda_std` needs;
/// - `, debug` and the debug sections go, `.file` and `.loc` stay: ptxas takes them with `-lineinfo` at full optimisation,
///   and would compile for debugging otherwise;
/// - `.file` paths become those of `paths`;
/// - functions go when no entry calls any (the panic handler, which must exist).
///
/// # Errors
/// A marker without its entry, or a tensor-map index that is no parameter of 128 bytes or more.
pub fn rewrite(raw: &str, markers: &BTreeMap<String, Marker>, paths: &PathMap) -> Result<String, TextError> {
    let items = ptx::items(raw);
    let is_entry =
        |name: &str| items.iter().any(|item| matches!(item, Item::Function(f) if f.is_entry && f.name == name));
    if let Some(name) = markers.keys().find(|name| !is_entry(name)) {
        return Err(TextError::NoEntry(name.clone()));
    }
    let calls = items.iter().any(|item| matches!(item, Item::Function(f) if f.is_entry && has_call(f)));

    let mut text = String::with_capacity(raw.len());
    for item in &items {
        match item {
            Item::Function(function) if function.is_entry => {
                text.push_str(&head(function, markers.get(function.name))?);
                text.push_str(function.body);
            }
            // Calls stay visible together with what they call: the lint names them.
            Item::Function(function) if calls || function.is_extern => text.extend([function.head, function.body]),
            Item::Function(_) | Item::Section(_) => {}
            Item::Variable { text: declaration, .. } => text.push_str(declaration),
            Item::Line(line) => match line.split_whitespace().next() {
                Some(".version") => text.push_str(&version_line(line)),
                Some(".target") => text.push_str(&line.replace(", debug", "")),
                Some(".file") => text.push_str(&file_line(line, paths)),
                // A label outside any function belongs to the sections.
                Some(label) if label.starts_with("$L__") => {}
                // LLVM's comment before each function says nothing that the function does not.
                Some("//") if line.contains("// .globl") => {}
                _ => text.push_str(line),
            },
        }
    }
    Ok(squeeze(&text))
}

fn has_call(function: &Function<'_>) -> bool {
    ptx::instructions(function.body).iter().any(|code| code.starts_with("call"))
}

fn head(entry: &Function<'_>, marker: Option<&Marker>) -> Result<String, TextError> {
    let Some(marker) = marker else { return Ok(entry.head.to_owned()) };
    let mut text = entry.head.trim_end().to_owned();
    for &index in &marker.tensormap {
        text = align_parameter(&text, index)
            .ok_or_else(|| TextError::NotATensorMap { entry: entry.name.to_owned(), index })?;
    }
    let extent = |[x, y, z]: [u32; 3]| format!("{x}, {y}, {z}");
    let directives = [
        ("maxntid", marker.maxntid.map(extent)),
        ("reqntid", marker.reqntid.map(extent)),
        ("minnctapersm", marker.minnctapersm.map(|n| n.to_string())),
        ("maxnreg", marker.maxnreg.map(|n| n.to_string())),
        ("explicitcluster", marker.cluster.map(|_| String::new())),
        ("reqnctapercluster", marker.cluster.map(extent)),
    ];
    for (name, value) in directives {
        if let Some(value) = value {
            text.push_str(format!("\n.{name} {value}").trim_end());
        }
    }
    text.push('\n');
    Ok(text)
}

/// `.align 64` for the parameter at `index`, when it is an array that can hold a tensor map (128 bytes).
fn align_parameter(head: &str, index: usize) -> Option<String> {
    let open = head.find('(')?;
    let (before, parameters) = head.split_at(open);
    let mut parts: Vec<String> = parameters.split(',').map(str::to_owned).collect();
    let part = parts.get_mut(index)?;
    let bytes: u32 = part.split_once('[')?.1.split_once(']')?.0.trim().parse().ok()?;
    let (left, right) = part.split_once(".align ")?;
    let (_, right) = right.split_once(' ')?;
    if bytes < 128 {
        return None;
    }
    *part = format!("{left}.align 64 {right}");
    Some(format!("{before}{}", parts.join(",")))
}

/// A `.version` line that says [`LEAST_VERSION`] at least.
fn version_line(line: &str) -> String {
    let number = line.trim().strip_prefix(".version").and_then(|rest| rest.trim().split_once('.'));
    let version = number.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match version {
        Some(version) if version < LEAST_VERSION => format!(".version {}.{}\n", LEAST_VERSION.0, LEAST_VERSION.1),
        _ => line.to_owned(),
    }
}

/// A `.file` line with its path as `paths` shows it.
fn file_line(line: &str, paths: &PathMap) -> String {
    let mut quoted = line.splitn(3, '"');
    match (quoted.next(), quoted.next(), quoted.next()) {
        (Some(before), Some(path), Some(after)) => format!("{before}\"{}\"{after}", paths.show(path)),
        _ => line.to_owned(),
    }
}

impl PathMap {
    /// The path that stands in the PTX for `path`: relative and the same on every machine.
    ///
    /// A path under no known prefix keeps its last two parts only: the rest would name somebody's folders.
    pub fn show(&self, path: &str) -> String {
        let path = normal(path);
        for (prefix, replacement) in &self.prefixes {
            let rest = path.strip_prefix(prefix.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
            if let Some(rest) = rest {
                return format!("{replacement}{rest}");
            }
        }
        if !path.starts_with('/') {
            return path;
        }
        // A registry's folder is named after its host; the package and version follow.
        if let Some((_, package)) = path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')) {
            return package.to_owned();
        }
        let parts: Vec<&str> = path.rsplit('/').take(2).filter(|part| !part.is_empty()).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join("/")
    }
}

/// The path without `.` and `..`, by its text alone: the PTX may come from another machine.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| !last.is_empty() && *last != "..") => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// At most one blank line in a row: what was taken out leaves no gaps.
fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    let mut blank = true;
    for line in text.lines().map(str::trim_end) {
        if !(blank && line.is_empty()) {
            squeezed.push_str(line);
            squeezed.push('\n');
        }
        blank = line.is_empty();
    }
    squeezed
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
