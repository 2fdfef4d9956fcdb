//! The report for people: findings first, then a table of counts.

use std::fmt::Write;

use ptx_sim::{Counters, Fault, Kernel, Module, Party};

use crate::args::Args;
use crate::report::{DEPENDS, explain, schedule_name, severity_name};
use crate::run::{Finding, Outcome};

/// The kernels of a module.
pub(crate) fn list(module: &Module) -> String {
    let mut out = String::new();
    for kernel in module.kernels() {
        _ = write!(out, "{}: {} bytes of static shared memory", kernel.name(), kernel.static_shared());
        let shape = |[x, y, z]: [u32; 3]| format!("{x},{y},{z}");
        match (kernel.required_threads(), kernel.max_threads()) {
            (Some(threads), _) => _ = write!(out, ", --block {}", shape(threads)),
            (None, Some(threads)) => _ = write!(out, ", at most {} threads", threads.iter().product::<u32>()),
            (None, None) => {}
        }
        out.push('\n');
        for param in kernel.params() {
            _ = writeln!(out, "  {:>5} bytes, aligned to {:>3}  {}", param.size, param.align, param.name);
        }
    }
    if out.is_empty() { format!("{} has no kernel\n", module.file_name()) } else { out }
}

/// What was launched, and everything that was found.
pub(crate) fn findings(args: &Args, kernel: &Kernel, outcome: &Outcome) -> String {
    let mut out = String::new();
    let schedules: Vec<String> = outcome.schedules.iter().map(|schedule| schedule_name(*schedule)).collect();
    let many = if schedules.len() == 1 { "schedule" } else { "schedules" };
    let shape = |shape: Option<[u32; 3]>| {
        let [x, y, z] = shape.unwrap_or([1; 3]);
        format!("{x},{y},{z}")
    };
    let (grid, block) = (shape(args.grid), shape(args.block));
    let name = kernel.name();
    _ = writeln!(out, "{name}: grid {grid}, block {block}, {many} {}", schedules.join(", "));
    for finding in outcome.findings.iter().chain(&outcome.notes) {
        match finding {
            Finding::Fault { fault, buffer, .. } => fault_text(&mut out, fault, buffer.as_deref()),
            Finding::Depends(difference) => {
                _ = writeln!(out, "\nerror: {DEPENDS}");
                put(&mut out, &explain(difference));
            }
        }
    }
    out += &match (outcome.findings.len(), outcome.notes.len()) {
        (0, 0) => "clean\n".to_owned(),
        (0, notes) => format!("\nclean; {notes} for information\n"),
        (1, _) => "\n1 finding\n".to_owned(),
        (findings, _) => format!("\n{findings} findings\n"),
    };
    if outcome.report.is_none() {
        out += "no counts: the launch stopped there\n";
    }
    out
}

fn place(line: u32, instruction: &str, source: &Option<(String, u32)>) -> String {
    let source = source.as_ref().map_or(String::new(), |(file, line)| format!(" ({file}:{line})"));
    format!("line {line}{source}: {instruction}")
}

fn who(block: [u32; 3], thread: Option<[u32; 3]>, warp: u32) -> String {
    let triple = |[x, y, z]: [u32; 3]| format!("({x}, {y}, {z})");
    match thread {
        Some(thread) => format!("block {}, thread {}", triple(block), triple(thread)),
        None => format!("block {}, warp {warp}", triple(block)),
    }
}

/// Columns of the report.
const WIDTH: usize = 120;

/// One statement of a finding; what does not fit in a line goes on, further in, in the next.
fn put(out: &mut String, text: &str) {
    let mut columns = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if columns == 0 {
            out.push_str("  ");
            columns = 2;
        } else if columns + 1 + length > WIDTH {
            out.push_str("\n      ");
            columns = 6;
        } else {
            out.push(' ');
            columns += 1;
        }
        out.push_str(word);
        columns += length;
    }
    out.push('\n');
}

fn fault_text(out: &mut String, fault: &Fault, buffer: Option<&str>) {
    _ = writeln!(out, "\n{}: {}", severity_name(fault.severity), fault.kind.name());
    put(out, &fault.explanation);
    if fault.ptx_line != 0 {
        put(out, &format!("at {}", place(fault.ptx_line, &fault.instruction, &fault.source)));
    }
    let bytes = match (fault.address, fault.size) {
        (Some(address), Some(1)) => format!(", 1 byte at {address:#x}"),
        (Some(address), Some(size)) => format!(", {size} bytes at {address:#x}"),
        _ => String::new(),
    };
    put(out, &format!("by {}{bytes}", who(fault.block, fault.thread, fault.warp)));
    if let Some(Party { block, thread, warp, ptx_line, instruction, source }) = fault.other.as_deref() {
        put(out, &format!("against {}", place(*ptx_line, instruction, source)));
        put(out, &format!("by {}", who(*block, *thread, *warp)));
    }
    if let Some(buffer) = buffer {
        put(out, &format!("near {buffer}"));
    }
}

/// The counts that are not zero.
pub(crate) fn counts(counters: &Counters) -> String {
    let mut out = "\nPTX instructions and what they moved (names: Nsight Compute's, or ptx__):\n".to_owned();
    for metric in counters.metrics().iter().filter(|metric| metric.value != 0) {
        _ = writeln!(out, "{:>16}  {:<58}  {}", metric.value, metric.name, metric.what);
    }
    out
}
