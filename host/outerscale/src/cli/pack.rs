//! `outerscale pack`: a layer made ready once, kept in a file.

use super::{
    Common, Done, linear,
    report::{Output, place_json, place_line},
    scheme::SchemeFlags,
    stats::StatsFlags,
};
use clap::Args;
use outerscale::{
    Result,
    files::{Layer, OutputFile},
    linear::ready,
    smooth::Alpha,
};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Flags {
    /// The layer.
    #[arg(value_name = "FILE.safetensors")]
    file: PathBuf,
    #[command(flatten)]
    scheme: SchemeFlags,
    #[command(flatten)]
    stats: StatsFlags,
    /// Write the weights as the products read them, their scales, the bias and what the scheme needs to this file.
    #[arg(long, value_name = "W.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let scheme = flags.scheme.scheme()?;
    let layer = Layer::read(&flags.file)?;
    // Both before any work, as `linear` does.
    let calibration = linear::calibration(&flags.file, &flags.stats, &layer, scheme)?;
    let file = OutputFile::create(&flags.out, Some(&flags.file))?;
    let gpu = flags.common.open()?;
    let (ready, _) = ready(&gpu, &layer, scheme, calibration.as_ref())?;
    let packed = ready.pack()?;
    packed.write(file)?;
    let (scheme, n, k) = (packed.scheme, packed.rows, packed.cols);
    let text = format!(
        "{}\n{}: N {n}, K {k}, {}{}\n{} bytes of codes written to {}",
        place_line(&gpu),
        flags.file.display(),
        scheme.name(),
        scheme.preset().map_or(String::new(), |preset| format!(" as {}", preset.name())),
        packed.q_w.len(),
        flags.out.display(),
    );
    let json = json!({
        "place": place_json(&gpu),
        "file": flags.file.display().to_string(),
        "scheme": scheme.name(),
        "preset": scheme.preset().map(|preset| preset.name()),
        "alpha": scheme.alpha().and_then(Alpha::number),
        "n": n, "k": k,
        "code_bytes": packed.q_w.len(),
        "out": flags.out.display().to_string(),
    });
    Ok(Done { output: Output { text, json }, right: true })
}
