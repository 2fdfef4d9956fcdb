//! `outerscale drift`: static, running and dynamic scales along a stream of samples whose gain changes.

use super::{
    Common, Done,
    report::{Output, Progress, json_number, percent, place_json, place_line, table},
    scheme::momentum,
};
use clap::Args;
use outerscale::{
    Error, Result,
    calibration::{Capture, Observer},
    drift::{Course, Plan, Scenario, Study, page, study},
    files::{Layer, OutputFolder},
    ops::Window,
};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub(crate) struct Flags {
    /// A layer file, or with --linear and --weights a capture; with sentence_id: a sentence is a sample.
    #[arg(value_name = "FILE.safetensors")]
    file: PathBuf,
    /// The linear of the capture.
    #[arg(long, value_name = "NAME", requires = "weights")]
    linear: Option<String>,
    /// The layer file that has the linear's w.
    #[arg(long, value_name = "LAYER.safetensors", requires = "linear")]
    weights: Option<PathBuf>,
    /// So many samples calibrate; those after them are the stream.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The rule that makes the static scale: absmax, percentile:P, mse, entropy or moving-average:M.
    #[arg(long, value_name = "RULE", default_value_t)]
    observer: Observer,
    /// The sample of the stream, from 0, at which the gain sets in.
    #[arg(long, value_name = "N", default_value_t = 150)]
    from_sample: usize,
    /// What x is multiplied by from then on; may be given again. The stream without a gain is always there.
    #[arg(long, value_name = "G", default_values_t = [4.0, 0.25], value_parser = gain)]
    gain: Vec<f32>,
    /// Samples from one update of a running scale to the next.
    #[arg(long, value_name = "N", default_value_t = Window::DEFAULT.every, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// What an update keeps of the moving average, in [0, 1); may be given again.
    #[arg(long, value_name = "M", default_values_t = [0.9, 0.5], value_parser = momentum)]
    momentum: Vec<f32>,
    /// Measure errors on so many of the outputs, evenly spread [default: 2^18 / K, or all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    outputs: Option<u32>,
    /// A remedy has arrived when its error is within this factor of the dynamic per-tensor scale's.
    #[arg(long, value_name = "F", default_value_t = 1.25, value_parser = factor)]
    factor: f64,
    /// Write drift.html and drift.json to this folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Products a token that keep a study of one linear to a minute or two in the simulator.
const PRODUCTS: u64 = 1 << 18;

fn gain(word: &str) -> std::result::Result<f32, String> {
    match word.parse::<f32>() {
        Ok(gain) if (1e-6..=1e6).contains(&gain) => Ok(gain),
        _ => Err("must be a number in [1e-6, 1e6]".to_owned()),
    }
}

fn factor(word: &str) -> std::result::Result<f64, String> {
    match word.parse::<f64>() {
        Ok(factor) if factor >= 1.0 && factor.is_finite() => Ok(factor),
        _ => Err("must be a number of at least 1".to_owned()),
    }
}

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let folder = OutputFolder::create(&flags.out)?;
    let (name, layer) = input(flags)?;
    let plan = Plan {
        calibration: flags.samples as usize,
        observer: flags.observer,
        from: flags.from_sample,
        gains: flags.gain.iter().copied().filter(|gain| *gain != 1.0).collect(),
        windows: flags.momentum.iter().map(|momentum| Window { every: flags.every, momentum: *momentum }).collect(),
        outputs: flags.outputs.map_or_else(|| (PRODUCTS / layer.x.cols).max(1), u64::from) as usize,
        factor: flags.factor,
    };
    let gpu = flags.common.open()?;
    let progress = Progress::new(flags.common.json);
    let study =
        study(&gpu, &layer, &plan, &mut |done, total| progress.step(&name, done, total)).map_err(|e| match e {
            Error::Argument { argument, rule, .. } => {
                Error::Input { file: flags.file.clone(), tensor: None, rule: format!("{argument} {rule}") }
            }
            other => other,
        })?;
    drop(progress);
    let mut json = as_json(&study);
    json["place"] = place_json(&gpu);
    json["linear"] = json!(name);
    json["k"] = json!(layer.x.cols);
    json["n"] = json!(layer.w.rows);
    let html = page(&name, &study).html();
    folder.finish(&[("drift.json", format!("{json:#}\n").as_bytes()), ("drift.html", html.as_bytes())])?;

    let mut text = format!("{}\n", place_line(&gpu));
    let (k, n) = (layer.x.cols, layer.w.rows);
    _ = writeln!(text, "{name}: K {k}, N {n}; {} samples, {} tokens after calibration", study.samples, study.tokens);
    _ = writeln!(text, "errors over {} of the outputs", study.outputs);
    for scenario in &study.scenarios {
        let what = if scenario.gain == 1.0 { "no gain".to_owned() } else { format!("× {}", scenario.gain) };
        _ = writeln!(text, "\n{what} from sample {} on:", plan.from);
        let rows = scenario.courses.iter().map(|course| row(&study, scenario, course));
        text += &table(&["scale of x", "before", "16 after", "last 100", "saturated", "lag"], &[1, 2, 3, 4, 5], rows);
        text += "\n";
    }
    _ = write!(text, "\nwritten to {}", flags.out.join("drift.html").display());
    Ok(Done { output: Output { text, json }, right: true })
}

/// The layer and its name: the file's, or a capture's input with another file's weights.
fn input(flags: &Flags) -> Result<(String, Layer)> {
    let (Some(linear), Some(weights)) = (&flags.linear, &flags.weights) else {
        let stem = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok((stem(&flags.file), Layer::read(&flags.file)?));
    };
    let refuse = |rule: String| Error::Input { file: flags.file.clone(), tensor: Some(linear.clone()), rule };
    let capture = Capture::read_linear(&flags.file, linear)?;
    let layer = Layer::read(weights)?;
    let x = capture.linears.into_iter().next().ok_or_else(|| refuse("is missing".to_owned()))?.x;
    if x.cols != layer.w.cols {
        return Err(refuse(format!("has K = {}, the w of {} K = {}", x.cols, weights.display(), layer.w.cols)));
    }
    Ok((linear.clone(), Layer { x, sentence_id: capture.sentence_id, ..layer }))
}

fn row(study: &Study, scenario: &Scenario, course: &Course) -> Vec<String> {
    let summary = study.summary(scenario, course);
    let numbers = [summary.before, summary.after, summary.last, summary.saturated].map(percent);
    [vec![course.name()], numbers.to_vec(), vec![summary.lag_in_words()]].concat()
}

fn as_json(study: &Study) -> Value {
    let plan = &study.plan;
    let course = |scenario: &Scenario, course: &Course| {
        let summary = study.summary(scenario, course);
        let samples = &course.samples;
        json!({
            "scale": course.name(),
            "scheme": course.scheme.name(),
            "error_before": json_number(summary.before),
            "error_after": json_number(summary.after),
            "error_last": json_number(summary.last),
            "saturated_last": json_number(summary.saturated),
            "lag": summary.lag,
            "errors": samples.iter().map(|sample| json_number(sample.error)).collect::<Vec<_>>(),
            "saturated": samples.iter().map(|sample| json_number(sample.saturated)).collect::<Vec<_>>(),
            "scales": samples.iter().map(|s| s.scale.map(|scale| json_number(f64::from(scale)))).collect::<Vec<_>>(),
        })
    };
    let scenario = |scenario: &Scenario| {
        let courses: Vec<Value> = scenario.courses.iter().map(|each| course(scenario, each)).collect();
        json!({"gain": scenario.gain, "courses": courses})
    };
    json!({
        "calibration_samples": plan.calibration,
        "observer": plan.observer.to_string(),
        "from_sample": plan.from,
        "every": plan.windows.first().map(|by| by.every),
        "factor": plan.factor,
        "outputs": study.outputs,
        "samples": study.samples,
        "tokens": study.tokens,
        "spread": study.calibration.spread.map(json_number),
        "scenarios": study.scenarios.iter().map(scenario).collect::<Vec<_>>(),
    })
}
