//! `minilm capture`: the inputs of linears to files.

use super::{CalibrationFlags, Done, ModelFlags, TextFlags};
use anyhow::{Context, Result, ensure};
use clap::Args;
use minilm::{capture::Captured, units::Unit};
use outerscale::{
    files::OutputFile,
    program::report::{Output, Progress},
};
use serde_json::json;
use std::{fs, path::PathBuf};

#[derive(Args)]
pub(super) struct Flags {
    #[command(flatten)]
    text: TextFlags,
    /// Write the inputs to this file: a tensor [tokens, K] for each linear, and `sentence_id` [tokens].
    #[arg(long, value_name = "CAPTURE.safetensors", required_unless_present = "layers")]
    out: Option<PathBuf>,
    /// Write each linear with its input to a file of this folder, as `outerscale linear` reads it.
    #[arg(long, value_name = "FOLDER")]
    layers: Option<PathBuf>,
    /// Only this linear, such as L1_output_dense; may be given again for more.
    #[arg(long, value_name = "NAME")]
    linear: Vec<String>,
    #[command(flatten)]
    calibration: CalibrationFlags,
    #[command(flatten)]
    pub(super) model: ModelFlags,
}

pub(super) fn run(flags: &Flags) -> Result<Done> {
    let model = flags.model.read()?;
    let units = match &flags.linear[..] {
        [] => model.units(),
        names => names.iter().map(|name| Unit::named(name, model.config.num_hidden_layers)).collect::<Result<_>>()?,
    };
    let (lines, batch) = flags.text.read(&model)?;
    // Before any work: whether there is room for what it makes.
    let file = flags.out.as_ref().map(|out| OutputFile::create(out, Some(&flags.text.file))).transpose()?;
    if let Some(folder) = &flags.layers {
        ensure!(folder.is_dir() || !folder.exists(), "{}: is no folder; give another --layers", folder.display());
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    }
    let calibration = flags.layers.as_ref().map(|_| flags.calibration.read(&model)).transpose()?;

    let progress = Progress::new(flags.model.common.json);
    let count = model.units().len();
    let tell = |unit: Unit| progress.step(&unit.to_string(), unit.index(), count);
    let captured = Captured::of(&model, &batch, units, tell)?;
    let mut written = Vec::new();
    if let (Some(file), Some(out)) = (file, &flags.out) {
        captured.write(file)?;
        written.push(out.clone());
    }
    if let (Some(folder), Some(calibration)) = (&flags.layers, &calibration) {
        for (index, unit) in captured.units.iter().enumerate() {
            progress.step(&format!("writing {unit}"), index, captured.units.len());
            let path = folder.join(format!("{unit}.safetensors"));
            let file = OutputFile::create(&path, Some(&flags.text.file))?;
            captured.write_layer(index, &model, calibration.statistics(*unit), file)?;
            written.push(path);
        }
    }
    drop(progress);
    let names: Vec<String> = captured.units.iter().map(Unit::to_string).collect();
    let files: Vec<String> = written.iter().map(|file| file.display().to_string()).collect();
    let shown = match &files[..] {
        [first, .., last] => format!("{first} … {last}"),
        files => files.concat(),
    };
    let text = format!(
        "{} sentences, {} tokens, {} linears: written to {shown}",
        lines.len(),
        batch.tokens(),
        captured.units.len()
    );
    let json = json!({
        "file": flags.text.file.display().to_string(),
        "sentences": lines.len(),
        "tokens": batch.tokens(),
        "truncated": batch.truncated,
        "linears": names,
        "written": files,
    });
    Ok(Done { output: Output { text, json }, right: true })
}
