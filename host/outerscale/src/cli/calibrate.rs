//! `outerscale calibrate`: the inputs of linears to statistics, and what each rule makes of them.

use super::{
    Common, Done,
    report::{Output, json_number, table},
};
use clap::Args;
use outerscale::{
    Error, Result,
    calibration::{Capture, Observer, Statistics, StatisticsFile},
    files::OutputFile,
    linear::Hybrid,
};
use serde_json::{Map, Value, json};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub(crate) struct Flags {
    /// Layer files, whose linear is called as the file, or captures: a tensor [tokens, K] named as each linear, and
    /// sentence_id. A sentence is a sample; without sentence_id a file is one.
    #[arg(value_name = "FILE.safetensors", required_unless_present = "merge")]
    files: Vec<PathBuf>,
    /// Begin with these statistics, in this order, as if their samples came before those of the files.
    #[arg(long, value_name = "STATS.safetensors", num_args = 1..)]
    merge: Vec<PathBuf>,
    /// Write the statistics to this file.
    #[arg(long, value_name = "STATS.safetensors")]
    out: PathBuf,
    /// Take at most so many samples of each linear from the files.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let mut out = None;
    for input in flags.files.iter().chain(&flags.merge) {
        out = Some(OutputFile::create(&flags.out, Some(input))?);
    }
    let known = merged(&flags.merge)?;
    let mut fresh = StatisticsFile::default();
    for file in &flags.files {
        observe(&mut fresh, file, flags.samples)?;
    }
    let mut all = known;
    all.merge(&fresh).map_err(|rule| {
        let file = flags.merge.first().unwrap_or(&flags.out).clone();
        Error::Input { file, tensor: None, rule: format!("is of another model than the files: {rule}") }
    })?;
    if let Some(out) = out {
        all.write(out)?;
    }

    let mut text = table(&HEADING, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], all.linears.iter().map(|(name, s)| row(name, s)));
    for (name, statistics) in all.linears.iter().filter(|(_, statistics)| statistics.non_finite > 0) {
        _ = write!(text, "\n{name}: {} NaN or Inf were left out", statistics.non_finite);
    }
    _ = write!(text, "\nwritten to {}", flags.out.display());
    let linears: Map<String, Value> = all.linears.iter().map(|(name, s)| (name.clone(), as_json(s))).collect();
    let json = json!({"linears": linears, "out": flags.out.display().to_string()});
    Ok(Done { output: Output { text, json }, right: true })
}

/// All of some files, in order.
fn merged(files: &[PathBuf]) -> Result<StatisticsFile> {
    let mut all = StatisticsFile::default();
    for file in files {
        all.merge(&StatisticsFile::read(file)?).map_err(|rule| Error::Input {
            file: file.clone(),
            tensor: None,
            rule: format!("is of another model: {rule}"),
        })?;
    }
    Ok(all)
}

/// Takes a file's samples in, up to `limit` of each linear over all files.
fn observe(all: &mut StatisticsFile, file: &Path, limit: Option<u64>) -> Result<()> {
    let capture = Capture::read(file)?;
    let samples = capture.samples();
    for captured in &capture.linears {
        let refuse = |rule: String| Error::Input { file: file.to_owned(), tensor: None, rule };
        if samples.is_empty() {
            return Err(refuse(format!("holds no token of {}: nothing to calibrate from", captured.linear)));
        }
        let k = captured.x.cols as usize;
        let statistics = all.linears.entry(captured.linear.clone()).or_insert_with(|| Statistics::new(k));
        if statistics.channel_absmax.len() != k {
            let before = statistics.channel_absmax.len();
            return Err(refuse(format!("has K = {k} for {}, a file before it {before}", captured.linear)));
        }
        let wanted = limit.unwrap_or(u64::MAX).saturating_sub(statistics.batch_absmax.len() as u64);
        let x = captured.x.values.widen();
        for tokens in samples.iter().take(usize::try_from(wanted).unwrap_or(usize::MAX)) {
            statistics.observe(&x[tokens.start * k..tokens.end * k]);
        }
    }
    Ok(())
}

const HEADING: [&str; 12] =
    ["linear", "K", "samples", "tokens", "absmax", "99.9 %", "99.99 %", "MSE", "KL", "average", "spread", "hybrid"];

/// The rules of the table, in its order.
const RULES: [Observer; 6] = [
    Observer::Absmax,
    Observer::Percentile(99.9),
    Observer::Percentile(99.99),
    Observer::Mse,
    Observer::Entropy,
    Observer::MovingAverage(0.9),
];

fn row(name: &str, statistics: &Statistics) -> Vec<String> {
    let (spread, hybrid) = hybrid(statistics);
    let counts = [statistics.channel_absmax.len() as u64, statistics.batch_absmax.len() as u64];
    let mut row = vec![name.to_owned(), counts[0].to_string(), counts[1].to_string()];
    row.push(statistics.token_absmax.total().to_string());
    row.extend(RULES.map(|rule| format!("{:.4}", rule.tensor_absmax(statistics))));
    row.push(spread.map_or("-".to_owned(), |spread| format!("{spread:.2}")));
    row.push(hybrid.to_owned());
    row
}

/// The spread under the largest of all, and what the hybrid scheme makes of it.
fn hybrid(statistics: &Statistics) -> (Option<f64>, &'static str) {
    let calibration = statistics.calibration(Observer::Absmax);
    let chosen = Hybrid::choose(&calibration).ok();
    (calibration.spread, chosen.map_or("-", |chosen| chosen.kind()))
}

fn as_json(statistics: &Statistics) -> Value {
    let (spread, hybrid) = hybrid(statistics);
    let rules: Map<String, Value> =
        RULES.iter().map(|rule| (rule.to_string(), json_number(f64::from(rule.tensor_absmax(statistics))))).collect();
    json!({
        "k": statistics.channel_absmax.len(),
        "samples": statistics.batch_absmax.len(),
        "tokens": statistics.token_absmax.total(),
        "zeros": statistics.values.zeros(),
        "non_finite": statistics.non_finite,
        "absmax": rules,
        "spread": spread.map(json_number),
        "hybrid": hybrid,
    })
}
