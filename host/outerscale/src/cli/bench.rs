//! `outerscale bench`: times of the kernels, their results checked first.

use super::{
    Common, Done,
    report::{Output, Progress, json_number, place_json, place_line, table},
};
use clap::Args;
use outerscale::{
    Error, Result,
    bench::{Measured, Shape, bench},
    gpu::Driver,
    registry::OPS,
};
use serde_json::json;

#[derive(Args)]
pub(crate) struct Flags {
    /// Only benches whose name holds this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// M,N,K of the product [default: 4096,4096,4096 and 16,4096,4096 on a GPU, 256,256,512 on the simulator].
    #[arg(long, value_name = "M,N,K", value_parser = shape)]
    shape: Option<Shape>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `M,N,K`, each at least 1.
fn shape(word: &str) -> std::result::Result<Shape, String> {
    let numbers: Vec<u64> = word.split(',').filter_map(|n| n.trim().parse().ok()).filter(|n| *n > 0).collect();
    match (numbers.as_slice(), word.split(',').count()) {
        (&[m, n, k], 3) => Ok(Shape { m, n, k }),
        _ => Err("give three numbers of at least 1, as in 4096,4096,4096".to_owned()),
    }
}

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let gpu = flags.common.open()?;
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
    let json = json!({"place": place_json(&gpu), "time": what, "simulated": simulated, "benches": benches});
    Ok(Done { output: Output { text, json }, right })
}

fn row(measured: &Measured, simulated: bool) -> Vec<String> {
    let Shape { m, n, k } = measured.shape;
    let ms = |seconds: f64| format!("{:.4} ms", 1e3 * seconds);
    let median = measured.quantile(0.5);
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
        format!("{} to {}", ms(measured.quantile(0.1)), ms(measured.quantile(0.9))),
        rate,
    ]
}

fn to_json(measured: &Measured) -> serde_json::Value {
    json!({
        "bench": measured.bench,
        "kernel": measured.entry,
        "m": measured.shape.m, "n": measured.shape.n, "k": measured.shape.k,
        "equal": measured.equal,
        "median_seconds": json_number(measured.quantile(0.5)),
        "p10_seconds": json_number(measured.quantile(0.1)),
        "p90_seconds": json_number(measured.quantile(0.9)),
        "samples": measured.seconds.len(),
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
