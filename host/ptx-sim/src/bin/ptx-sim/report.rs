//! The report as one JSON object. The README of ptx-sim lists its fields.

use ptx_sim::{Fault, Kernel, Metric, Module, Party, Schedule, Severity};
use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::run::{Difference, Finding, Outcome};

/// `late`, `eager` or `random:SEED`, as the flag has it.
pub(crate) fn schedule_name(schedule: Schedule) -> String {
    match schedule {
        Schedule::Late => "late".to_owned(),
        Schedule::Eager => "eager".to_owned(),
        Schedule::Random(seed) => format!("random:{seed}"),
    }
}

/// `info`, `warning` or `error`.
pub(crate) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// The kernels of a module.
pub(crate) fn list(module: &Module) -> String {
    let kernel = |kernel: &Kernel| {
        let params: Vec<Value> = kernel
            .params()
            .iter()
            .map(|p| json!({"name": p.name, "offset": p.offset, "bytes": p.size, "align": p.align}))
            .collect();
        json!({
            "kernel": kernel.name(), "parameters": params, "parameter_bytes": kernel.param_bytes(),
            "static_shared_bytes": kernel.static_shared(), "max_threads": kernel.max_threads(),
            "required_threads": kernel.required_threads(),
        })
    };
    let kernels: Vec<Value> = module.kernels().map(kernel).collect();
    pretty(&json!({"file": module.file_name(), "target": module.target(), "kernels": kernels}))
}

/// Everything about the runs.
pub(crate) fn json(args: &Args, kernel: &Kernel, outcome: &Outcome) -> String {
    let findings: Vec<Value> = outcome.findings.iter().map(finding).collect();
    let notes: Vec<Value> = outcome.notes.iter().map(finding).collect();
    let schedules: Vec<String> = outcome.schedules.iter().map(|schedule| schedule_name(*schedule)).collect();
    let report = outcome.report.as_ref();
    let instructions = report.map(|report| {
        let row = |row: &ptx_sim::Row| {
            json!({
                "line": row.ptx_line, "ptx": row.instruction, "class": row.class.name(), "source": source(&row.source),
                "metrics": metrics(row.metrics()),
            })
        };
        report.profile.iter().map(row).collect::<Vec<_>>()
    });
    pretty(&json!({
        "file": args.file.display().to_string(),
        "kernel": kernel.name(),
        "grid": args.grid,
        "block": args.block,
        "cluster": args.cluster.or(kernel.required_cluster()).unwrap_or([1; 3]),
        "shared_bytes": args.shared,
        "schedules": schedules,
        "clean": findings.is_empty(),
        "findings": findings,
        "notes": notes,
        "metrics": report.map(|report| metrics(report.counters.metrics())),
        "instructions": instructions,
    }))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn metrics(metrics: Vec<Metric>) -> Value {
    Value::Object(metrics.into_iter().map(|metric| (metric.name, metric.value.into())).collect::<Map<_, _>>())
}

fn source(source: &Option<(String, u32)>) -> Value {
    source.as_ref().map_or(Value::Null, |(file, line)| json!({"file": file, "line": line}))
}

fn finding(finding: &Finding) -> Value {
    match finding {
        Finding::Fault { schedule, fault, buffer } => fault_json(*schedule, fault, buffer.as_deref()),
        Finding::Depends(difference) => depends(difference),
    }
}

fn fault_json(schedule: Schedule, fault: &Fault, buffer: Option<&str>) -> Value {
    json!({
        "severity": severity_name(fault.severity),
        "kind": fault.kind.name(),
        "explanation": fault.explanation,
        "schedule": schedule_name(schedule),
        "line": fault.ptx_line,
        "ptx": fault.instruction,
        "source": source(&fault.source),
        "block": fault.block,
        "warp": fault.warp,
        "thread": fault.thread,
        "address": fault.address,
        "bytes": fault.size,
        "buffer": buffer,
        "other": fault.other.as_deref().map(party),
    })
}

fn party(party: &Party) -> Value {
    json!({
        "line": party.ptx_line, "ptx": party.instruction, "source": source(&party.source), "block": party.block,
        "warp": party.warp, "thread": party.thread,
    })
}

fn depends(difference: &Difference) -> Value {
    json!({
        "severity": "error",
        "kind": DEPENDS,
        "explanation": explain(difference),
        "schedules": difference.schedules.map(schedule_name),
        "buffer": difference.buffer,
        "element": difference.element,
        "bytes": difference.bytes.each_ref().map(|bytes| hex(bytes)),
    })
}

/// The kind of a [`Difference`].
pub(crate) const DEPENDS: &str = "result depends on the schedule";

/// A difference in one line.
pub(crate) fn explain(difference: &Difference) -> String {
    let Difference { schedules: [one, two], buffer, element, bytes } = difference;
    let (one, two) = (schedule_name(*one), schedule_name(*two));
    format!(
        "element {element} of {buffer} has the bytes {} under {one}, {} under {two}",
        hex(&bytes[0]),
        hex(&bytes[1])
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
