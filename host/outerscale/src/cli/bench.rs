//! `outerscale bench`: times of the kernels, their results checked first.

use super::{
    Common, Done,
    report::{Output, Progress, json_number, place_json, place_line, table},
};
use clap::Args;
use outerscale::{
    Error, Gpu, Result,
    bench::{Job, Measured, Session, Shape, bench},
    gpu::{Driver, Loaded},
    registry::OPS,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, Write};

#[derive(Args)]
pub(crate) struct Flags {
    /// Only benches whose name holds this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// M,N,K of the product [default: 4096,4096,4096 and 16,4096,4096 on a GPU, 256,256,512 on the simulator].
    #[arg(long, value_name = "M,N,K", value_parser = shape)]
    shape: Option<Shape>,
    /// Answer jobs from standard input, one JSON object a line, as bench/measure.py sends them.
    #[arg(long, conflicts_with_all = ["only", "shape", "json"])]
    serve: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What is asked of `--serve`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    /// Make the operands of a job.
    Prepare(Job),
    /// Time the job that was made ready; the name is the asker's, and comes back.
    Time(String),
    /// What was loaded so far, and what the driver's JIT made of it: `{"kernels": null}`.
    Kernels(()),
}

/// `M,N,K`, each at least 1.
pub(super) fn shape(word: &str) -> std::result::Result<Shape, String> {
    let numbers: Vec<u64> = word.split(',').filter_map(|n| n.trim().parse().ok()).filter(|n| *n > 0).collect();
    match (numbers.as_slice(), word.split(',').count()) {
        (&[m, n, k], 3) => Ok(Shape { m, n, k }),
        _ => Err("give three numbers of at least 1, as in 4096,4096,4096".to_owned()),
    }
}

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let gpu = flags.common.open()?;
    if flags.serve {
        return serve(&gpu);
    }
    let simulated = gpu.driver() == Driver::Sim;
    let shapes = match (flags.shape, simulated) {
        (Some(shape), _) => vec![shape],
        (None, true) => vec![Shape { m: 256, n: 256, k: 512 }],
        (None, false) => vec![Shape { m: 4096, n: 4096, k: 4096 }, Shape { m: 16, n: 4096, k: 4096 }],
    };
    let only = flags.only.as_deref().unwrap_or_default();
    let ops: Vec<_> = OPS.iter().filter(|op| op.bench.contains(only)).collect();
    if ops.is_empty() {
        let names: Vec<_> = OPS.iter().map(|op| op.bench).collect();
        return Err(Error::Backend(format!("no bench's name holds {only:?}; there are {}", names.join(", "))));
    }
    let progress = Progress::new(flags.common.json);
    let mut all = Vec::new();
    for (index, (shape, op)) in shapes.iter().flat_map(|shape| ops.iter().map(move |op| (shape, *op))).enumerate() {
        progress.step(op.bench, index, shapes.len() * ops.len());
        all.push(bench(&gpu, op, *shape)?);
    }
    drop(progress);

    let what = if simulated { "wall time of the simulation" } else { "GPU time by events" };
    let mut text = format!("{}\n", place_line(&gpu));
    if simulated {
        text +=
            "Simulator time is not GPU time: it says how long the simulation took on this CPU, and nothing of a GPU.\n";
    }
    text += &table(
        &["bench", "kernel", "M, N, K", "oracle", what, "10 % to 90 %", "rate"],
        &[4, 5, 6],
        all.iter().map(|measured| row(measured, simulated)),
    );
    let right = all.iter().all(|measured| measured.equal);
    let benches: Vec<_> = all.iter().map(to_json).collect();
    let loaded = loaded_json(&gpu.loaded()?);
    let json =
        json!({"place": place_json(&gpu), "time": what, "simulated": simulated, "benches": benches, "loaded": loaded});
    Ok(Done { output: Output { text, json }, right })
}

/// Answers each line of standard input with a line, the place first. An error is the last answer: after one of CUDA's
/// own nothing runs any more.
fn serve(gpu: &Gpu) -> Result<Done> {
    let say = |answer: &Value| {
        let mut out = std::io::stdout().lock();
        let said = writeln!(out, "{answer}").and_then(|()| out.flush());
        said.map_err(|e| Error::Backend(format!("stdout cannot be written: {e}")))
    };
    let mut session = Session::new(gpu);
    say(&json!({"place": place_json(gpu)}))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::Backend(format!("stdin cannot be read: {e}")))?;
        let answer = answer(gpu, &mut session, &line).inspect_err(|error| {
            // The reader may be gone too; the status tells as well.
            let _ = say(&json!({"error": error.to_string()}));
        })?;
        say(&answer)?;
    }
    Ok(Done { output: Output { text: String::new(), json: Value::Null }, right: true })
}

fn answer(gpu: &Gpu, session: &mut Session, line: &str) -> Result<Value> {
    let request = serde_json::from_str(line);
    let request = request.map_err(|e| Error::Backend(format!("{line:?} is no request of --serve: {e}")))?;
    Ok(match request {
        Request::Prepare(job) => {
            let prepared = session.prepare(job)?;
            json!({
                "x_codes": prepared.sums[0], "w_codes": prepared.sums[1], "operand_sets": prepared.sets,
                "kernels": prepared.kernels,
            })
        }
        Request::Time(who) => {
            let Measured { entry, times, .. } = session.time()?;
            let us = |q| json_number(1e6 * times.quantile(q));
            json!({
                "who": who, "kernel": entry, "median_us": us(0.5), "p10_us": us(0.1), "p90_us": us(0.9),
                "samples": times.seconds.len(), "calls_a_sample": times.calls, "timed_seconds": times.total,
            })
        }
        Request::Kernels(()) => loaded_json(&gpu.loaded()?),
    })
}

/// What the driver's JIT made of the kernels.
fn loaded_json(loaded: &Loaded) -> Value {
    let kernels = loaded.kernels.iter().map(|k| {
        json!({
            "kernel": k.entry, "registers": k.registers, "local_bytes": k.local_bytes,
            "static_shared_bytes": k.static_shared_bytes, "constant_bytes": k.constant_bytes,
            "binary_version": k.binary_version, "ptx_version": k.ptx_version, "max_threads": k.max_threads,
        })
    });
    let modules = loaded.modules.iter().map(|m| json!({"module": m.module, "seconds": json_number(m.seconds)}));
    json!({"modules": modules.collect::<Vec<_>>(), "kernels": kernels.collect::<Vec<_>>()})
}

fn row(measured: &Measured, simulated: bool) -> Vec<String> {
    let Shape { m, n, k } = measured.shape;
    let ms = |seconds: f64| format!("{:.4} ms", 1e3 * seconds);
    let median = measured.times.quantile(0.5);
    // A rate of the simulation would be mistaken for one of a GPU.
    let rate = match (simulated, measured.operations) {
        (true, _) => String::new(),
        (false, 0) => format!("{:.0} GB/s", measured.bytes as f64 / median / 1e9),
        (false, operations) => format!("{:.1} TOP/s", operations as f64 / median / 1e12),
    };
    vec![
        measured.bench.to_owned(),
        measured.entry.clone(),
        format!("{m}, {n}, {k}"),
        if measured.equal { "equal" } else { "DIFFERS" }.to_owned(),
        ms(median),
        format!("{} to {}", ms(measured.times.quantile(0.1)), ms(measured.times.quantile(0.9))),
        rate,
    ]
}

fn to_json(measured: &Measured) -> serde_json::Value {
    json!({
        "bench": measured.bench,
        "kernel": measured.entry,
        "m": measured.shape.m, "n": measured.shape.n, "k": measured.shape.k,
        "equal": measured.equal,
        "median_seconds": json_number(measured.times.quantile(0.5)),
        "p10_seconds": json_number(measured.times.quantile(0.1)),
        "p90_seconds": json_number(measured.times.quantile(0.9)),
        "samples": measured.times.seconds.len(),
        "calls_a_sample": measured.times.calls,
        "bytes": measured.bytes,
        "operations": measured.operations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert_eq!(shape("1, 2,3"), Ok(Shape { m: 1, n: 2, k: 3 }));
        for bad in ["", "1,2", "1,2,0", "1,2,3,4", "1,2,x", "1,2,3,x"] {
            assert!(shape(bad).is_err(), "{bad}");
        }
    }
}
