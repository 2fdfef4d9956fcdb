//! `outerscale demo`: the shipped real layer, every scheme, each kernel's result against the oracle.

use super::{
    Common, Done,
    report::{Output, Progress, json_number, percent, place, place_json, place_line, table},
};
use outerscale::{
    Activations, Dtype, Element, Gpu, Int8Matrix, Layout, Result,
    calibration::Statistics,
    files::Layer,
    linear::{Calibration, LinearResult, Reference, Scheme, Step, linear_calibrated},
    ops::{self, Choice},
    verify::layer::{Expected, expected_calibrated},
};
use serde_json::json;
use std::path::Path;

/// Real activations and weights, in the binary so that it runs wherever it is copied (data/README.md).
static SAMPLE: &[u8] = include_bytes!("../../../../data/L0_intermediate.safetensors");

/// How errors call it.
const SAMPLE_NAME: &str = "the shipped layer L0_intermediate";

/// One kernel's line.
struct Line {
    scheme: &'static str,
    kernel: String,
    made: &'static str,
    equal: bool,
}

pub(crate) fn run(common: &Common) -> Result<Done> {
    let layer = Layer::parse(Path::new(SAMPLE_NAME), SAMPLE)?;
    let gpu = common.open()?;
    let reference = Reference::of(&layer);
    let progress = Progress::new(common.json);
    // What the recording says of the channels; of the spread over tokens there are these tokens only.
    let mut seen = Statistics::new(layer.x.cols as usize);
    seen.observe(&layer.x.values.widen());
    let known = layer.calib_absmax.clone().map(Calibration::from_channel_absmax);
    let calibration = known.map(|known| Calibration { spread: Some(seen.spread(known.absmax())), ..known });
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    for (index, scheme) in Scheme::ALL.into_iter().enumerate() {
        progress.step(scheme.name(), index, Scheme::ALL.len() + 1);
        let result = linear_calibrated(&gpu, &layer, scheme, calibration.as_ref(), Dtype::F32)?;
        let want = expected_calibrated(&layer, result.scheme, calibration.as_ref(), Dtype::F32)?;
        lines.extend(compare(scheme, &want, &result));
        errors.push((scheme.name(), reference.distance(&result.y)));
    }
    progress.step("the other kernels", Scheme::ALL.len(), Scheme::ALL.len() + 1);
    lines.extend(others(&gpu, &layer)?);
    drop(progress);

    let right = lines.iter().all(|line| line.equal);
    let (m, n, k) = (layer.x.rows, layer.w.rows, layer.x.cols);
    let mut text = format!("{SAMPLE_NAME}: {m} tokens, K {k}, N {n}\n{}\n", place_line(&gpu));
    let word = |equal| if equal { "equal" } else { "DIFFERS" };
    let rows = lines.iter().map(|line| {
        vec![
            line.scheme.to_owned(),
            line.kernel.clone(),
            line.made.to_owned(),
            place(&gpu),
            word(line.equal).to_owned(),
        ]
    });
    text += &table(&["scheme", "kernel", "made", "ran on", "oracle, bit for bit"], &[], rows);
    text += "\n\nThe layer against float64, without bias:\n";
    let rows = errors.iter().map(|(scheme, error)| {
        let metrics = &error.metrics;
        vec![
            (*scheme).to_owned(),
            percent(metrics.relative_error),
            format!("{:.2} dB", metrics.sqnr_db),
            percent(metrics.worst_token_error),
        ]
    });
    text += &table(&["scheme", "relative error", "SQNR", "worst token"], &[1, 2, 3], rows);
    let kernels: Vec<_> = lines
        .iter()
        .map(|l| json!({"scheme": l.scheme, "kernel": l.kernel, "made": l.made, "equal": l.equal}))
        .collect();
    let schemes: Vec<_> = errors
        .iter()
        .map(|(scheme, error)| {
            json!({
                "scheme": scheme,
                "relative_error": json_number(error.metrics.relative_error),
                "sqnr_db": json_number(error.metrics.sqnr_db),
                "worst_token_error": json_number(error.metrics.worst_token_error),
            })
        })
        .collect();
    let json = json!({
        "place": place_json(&gpu), "tokens": m, "n": n, "k": k, "equal": right, "kernels": kernels, "schemes": schemes,
    });
    Ok(Done { output: Output { text, json }, right })
}

/// Holds what each step made against the oracle's.
fn compare(scheme: Scheme, want: &Expected, got: &LinearResult) -> Vec<Line> {
    let line = |step: &Step| Line {
        scheme: scheme.name(),
        kernel: step.launch.entry.clone(),
        made: step.made,
        equal: want.equals(step, got),
    };
    got.steps.iter().map(line).collect()
}

/// The kernels that no scheme needs for this layer, on its data.
fn others(gpu: &Gpu, layer: &Layer) -> Result<Vec<Line>> {
    let x = layer.x.values.widen();
    let (rows, cols) = (layer.x.rows as usize, layer.x.cols as usize);
    let layout = Layout::contiguous(layer.x.rows, layer.x.cols);
    let (absmax, launch) = ops::row_absmax(gpu, &Activations::upload(gpu, &x, layout)?, Choice::Auto)?;
    let equal = same(&absmax.download()?, &oracle::row_absmax(&x, rows, cols));
    let absmax = Line { scheme: "", kernel: launch.entry, made: "maxima of tokens", equal };
    let (codes, _) = oracle::quantize_token(&x, rows, cols);
    let (packed, launch) = ops::pack_rows(gpu, &Int8Matrix::upload(gpu, &codes, layout)?, Choice::Auto)?;
    let equal = packed.download_padded()? == oracle::pack_rows(&codes, rows, cols, cols);
    Ok(vec![absmax, Line { scheme: "", kernel: launch.entry, made: "q_x from elsewhere", equal }])
}

fn same(got: &[f32], want: &[f32]) -> bool {
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| got.bits() == want.bits())
}
