//! `outerscale linear`: the layer of a file, its results to another.

use super::{
    Common, Done, OutDtypeWord,
    report::{Output, json_number, percent, place, place_json, place_line, table},
    scheme::SchemeFlags,
    stats::StatsFlags,
};
use clap::Args;
use outerscale::{
    Dtype, Result,
    files::{Layer, OutputFile, Tensor},
    host::Values,
    linear::{
        Calibration, Hybrid, LinearResult, PackedLayer, QuantizedLinear, Reference, Scheme, linear_calibrated,
        linear_ready,
    },
    smooth::{Alpha, AlphaSearch, CANDIDATES, Judged},
};
use safetensors::Dtype as FileDtype;
use serde_json::json;
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub(crate) struct Flags {
    /// The layer.
    #[arg(value_name = "FILE.safetensors")]
    file: PathBuf,
    #[command(flatten)]
    scheme: SchemeFlags,
    #[command(flatten)]
    stats: StatsFlags,
    /// Take weights, bias and scheme from this file, which outerscale pack wrote; the layer's own w serves to tell the
    /// error.
    #[arg(long, value_name = "W.safetensors", conflicts_with_all = SCHEME_FLAGS)]
    weights: Option<PathBuf>,
    /// Write q_x, s_x, q_w, s_w, acc and y to this file, and what else the scheme makes.
    #[arg(long, value_name = "OUT.safetensors")]
    out: Option<PathBuf>,
    /// The element type of y.
    #[arg(long, value_enum, default_value = "f32")]
    out_dtype: OutDtypeWord,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What a file of packed weights has said already.
const SCHEME_FLAGS: [&str; 9] =
    ["scheme", "every", "momentum", "threshold", "outlier_weights", "alpha", "preset", "stats", "observer"];

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let layer = Layer::read(&flags.file)?;
    let packed = flags.weights.as_ref().map(|weights| packed(weights, &layer)).transpose()?;
    let scheme = packed.as_ref().map_or_else(|| flags.scheme.scheme(), |packed| Ok(packed.scheme))?;
    // Both before any work: a calibration that cannot be had, and an output that cannot be written.
    let calibration = match packed {
        Some(_) => None,
        None => calibration(&flags.file, &flags.stats, &layer, scheme)?,
    };
    let file = flags.out.as_ref().map(|out| OutputFile::create(out, Some(&flags.file))).transpose()?;
    let gpu = flags.common.open()?;
    let out_dtype = Dtype::from(flags.out_dtype);
    let result = match &packed {
        Some(packed) => linear_ready(&gpu, &layer, &QuantizedLinear::from_packed(&gpu, packed)?, out_dtype)?,
        None => linear_calibrated(&gpu, &layer, scheme, calibration.as_ref(), out_dtype)?,
    };
    let tensors = tensors(&layer, &result);
    if let Some(file) = file {
        file.finish(&tensors)?;
    }
    let error = Reference::of(&layer).distance(&result.y);
    let (m, n, k) = (layer.x.rows, layer.w.rows, layer.x.cols);

    let by = scheme.preset().map_or(String::new(), |preset| format!(" as {}", preset.name()));
    let mut text = format!("{}\n", place_line(&gpu));
    _ = writeln!(text, "{}: {m} tokens, K {k}, N {n}, {}{}", flags.file.display(), scheme.name(), by);
    let rows = result
        .steps
        .iter()
        .map(|step| vec![step.launch.entry.clone(), step.made.to_owned(), place(&gpu), step.launch.why.to_string()]);
    text += &table(&["kernel", "made", "ran on", "variant chosen for"], &[], rows);
    let hybrid = calibration.as_ref().filter(|_| scheme == Scheme::Hybrid).and_then(|known| Hybrid::choose(known).ok());
    if let Some(hybrid) = &hybrid {
        _ = write!(text, "\nthe layer is quantized {hybrid}");
    }
    _ = write!(text, "\n{error}");
    if let Some(alpha) = result.scheme.alpha() {
        _ = write!(text, "\nsmoothing: alpha {alpha}");
    }
    if let Some(search) = &result.search {
        let Judged { plain, smoothed } = search.judged;
        let best = search.best.alpha;
        _ = write!(text, ", of no smoothing and {} numbers chosen on {} tokens", CANDIDATES.len(), search.tokens[0]);
        _ = write!(text, "; on {} others alpha {best} has an error of {}", search.tokens[1], percent(smoothed));
        _ = write!(text, ", no smoothing {}", percent(plain));
    }
    if let Some(counts) = result.counts {
        if counts.saturated > 0 {
            let share = counts.saturated as f64 / result.q_x.len() as f64;
            _ = write!(text, "\n{} inputs saturate under the scale: {}", counts.saturated, percent(share));
        }
        if counts.non_finite > 0 {
            _ = write!(text, "\n{} NaN or Inf in x, which a given scale cannot carry", counts.non_finite);
        }
    }
    if let Some(columns) = &result.outlier_columns {
        _ = write!(text, "\n{} of {k} columns have outliers", columns.len());
    }
    if let Some(out) = &flags.out {
        _ = write!(text, "\nwritten to {}", out.display());
    }
    let kernels: Vec<_> = result
        .steps
        .iter()
        .map(|s| json!({"op": s.op, "kernel": s.launch.entry, "made": s.made, "why": s.launch.why.to_string(), "grid": s.launch.grid}))
        .collect();
    let json = json!({
        "place": place_json(&gpu),
        "file": flags.file.display().to_string(),
        "scheme": scheme.name(),
        "preset": scheme.preset().map(|preset| preset.name()),
        "hybrid": hybrid.map(|hybrid| json!({"chose": hybrid.kind(), "spread": json_number(hybrid.spread)})),
        "out_dtype": result.y.dtype().name(),
        "tokens": m, "n": n, "k": k,
        "kernels": kernels,
        "relative_error": json_number(error.metrics.relative_error),
        "sqnr_db": json_number(error.metrics.sqnr_db),
        "tokens_measured": error.measured,
        "tokens_left_out": error.metrics.left_out,
        "non_finite": result.counts.map(|counts| counts.non_finite),
        "alpha": result.scheme.alpha().and_then(Alpha::number),
        "alpha_search": result.search.as_ref().map(search_json),
        "saturated": result.counts.map(|counts| counts.saturated),
        "outlier_columns": result.outlier_columns,
        "out": flags.out.as_ref().map(|out| out.display().to_string()),
    });
    Ok(Done { output: Output { text, json }, right: true })
}

/// Packed weights for the layer's input and output.
fn packed(file: &Path, layer: &Layer) -> Result<PackedLayer> {
    let packed = PackedLayer::read(file)?;
    let (of_file, of_layer) = ((packed.rows, packed.cols), (layer.w.rows, layer.w.cols));
    if of_file == of_layer {
        return Ok(packed);
    }
    let rule = format!("are [{}, {}], the layer's w is [{}, {}]", of_file.0, of_file.1, of_layer.0, of_layer.1);
    Err(outerscale::Error::Input { file: file.into(), tensor: Some("q_w".to_owned()), rule })
}

/// What calibration knows: by the statistics that were given, else by the layer's own file.
pub(super) fn calibration(
    file: &Path,
    stats: &StatsFlags,
    layer: &Layer,
    scheme: Scheme,
) -> Result<Option<Calibration>> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    if let Some(calibration) = stats.calibration(&name, layer.x.cols, scheme)? {
        return Ok(Some(calibration));
    }
    let checked = |known: Option<Calibration>| match known {
        Some(known) => known.check(scheme).map(|()| Some(known)),
        None => Ok(None),
    };
    Calibration::given(layer, scheme).and_then(checked).map_err(|e| outerscale::Error::Input {
        file: file.into(),
        tensor: Some("calib_absmax".to_owned()),
        rule: rule_of(&e),
    })
}

/// A search for α, for programs; no smoothing is null.
fn search_json(search: &AlphaSearch) -> serde_json::Value {
    let curve: Vec<_> = search
        .curve
        .iter()
        .map(|candidate| json!({"alpha": candidate.alpha.number(), "relative_error": json_number(candidate.error)}))
        .collect();
    json!({
        "chosen": search.chosen.number(),
        "curve": curve,
        "tokens": search.tokens,
        "judged": {
            "alpha": search.best.alpha.number(),
            "relative_error": json_number(search.judged.smoothed),
            "relative_error_plain": json_number(search.judged.plain),
        },
    })
}

/// The rule alone: the file and the tensor are named anew.
fn rule_of(error: &outerscale::Error) -> String {
    match error {
        outerscale::Error::Argument { rule, .. } => rule.clone(),
        other => other.to_string(),
    }
}

/// The results as the file has them.
fn tensors(layer: &Layer, result: &LinearResult) -> Vec<Tensor> {
    let (m, n, k) = (layer.x.rows as usize, layer.w.rows as usize, layer.x.cols as usize);
    let i8s = |codes: &[i8]| codes.iter().map(|code| *code as u8).collect();
    let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = |name: &str, dtype, shape, data| Tensor { name: name.to_owned(), dtype, shape, data };
    let y_dtype = match result.y {
        Values::F32(_) => FileDtype::F32,
        Values::F16(_) => FileDtype::F16,
        Values::Bf16(_) => FileDtype::BF16,
    };
    let i32s = |values: &[i32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut tensors = vec![
        tensor("q_x", FileDtype::I8, vec![m, k], i8s(&result.q_x)),
        tensor("s_x", FileDtype::F32, vec![result.s_x.len()], f32s(&result.s_x)),
        tensor("q_w", FileDtype::I8, vec![n, k], i8s(&result.q_w)),
        tensor("s_w", FileDtype::F32, vec![n], f32s(&result.s_w)),
        tensor("acc", FileDtype::I32, vec![m, n], i32s(&result.acc)),
        tensor("y", y_dtype, vec![m, n], result.y.to_le_bytes()),
    ];
    if let Some(zp_x) = &result.zp_x {
        tensors.push(tensor("zp_x", FileDtype::I32, vec![m], i32s(zp_x)));
    }
    if let Some(w_sums) = &result.w_sums {
        tensors.push(tensor("w_sums", FileDtype::I32, vec![n], i32s(w_sums)));
    }
    if let Some([of_x, of_w]) = &result.absmax {
        tensors.push(tensor("absmax_x", FileDtype::F32, vec![m], f32s(of_x)));
        tensors.push(tensor("absmax_w", FileDtype::F32, vec![n], f32s(of_w)));
    }
    if let Some(columns) = &result.outlier_columns {
        let columns: Vec<i32> = columns.iter().map(|col| *col as i32).collect();
        tensors.push(tensor("outlier_columns", FileDtype::I32, vec![columns.len()], i32s(&columns)));
    }
    tensors.extend(result.smooth.as_ref().map(|smooth| tensor("smooth", FileDtype::F32, vec![k], f32s(smooth))));
    tensors
}
