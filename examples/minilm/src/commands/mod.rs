//! The commands and their flags.

mod capture;
mod compare;
mod embed;
mod rank;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use minilm::{
    calibrate::{Learnt, Plan},
    encoder,
    linears::{Float, Linears, Quantized, Told},
    model::{self, Model},
    text::{self, Batch, Lines},
    units::Unit,
};
use ndarray::{Array2, Axis, concatenate};
use outerscale::{
    Gpu,
    calibration::Observer,
    linear::Scheme,
    program::{self, Common, Done, end, report::Progress, scheme::SchemeFlags},
};
use std::{path::PathBuf, process::ExitCode};

/// A sentence encoder, all-MiniLM-L6-v2, with every linear layer through Outerscale in a chosen scheme.
///
/// Ends with 0 when all is right, 2 when the call or the input is wrong.
#[derive(Parser)]
#[command(name = "minilm", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare the embeddings of a text with those of float32.
    Compare(compare::Flags),
    /// Rank the passages of a small retrieval set for each of its queries, and compare with float32.
    Rank(rank::Flags),
    /// Write the embeddings of a text.
    Embed(embed::Flags),
    /// Write the inputs of linears, as they are in float32, for a text.
    Capture(capture::Flags),
}

/// A text, one sentence or paragraph a line.
#[derive(Args)]
struct TextFlags {
    /// The text: UTF-8, one sentence or paragraph a line; blank lines do not count.
    #[arg(value_name = "TEXT.txt")]
    file: PathBuf,
    /// Only these lines of it, such as 101-200.
    #[arg(long, value_name = "FIRST-LAST")]
    lines: Option<Lines>,
}

/// What calibration learns from.
#[derive(Args)]
struct CalibrationFlags {
    /// The text to calibrate on: its first 100 lines [default: the text that is shipped]
    #[arg(long, value_name = "TEXT.txt")]
    calibration: Option<PathBuf>,
    /// The rule that makes one scale for all tokens: absmax, percentile:P, mse, entropy or moving-average:M
    #[arg(long, value_name = "RULE", default_value_t)]
    observer: Observer,
}

/// How the linears are run.
#[derive(Args)]
struct WayFlags {
    #[command(flatten)]
    scheme: SchemeFlags,
    /// Lines that go through the linears together [default: all; 1 under w8a8-running, whose samples are batches]
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    #[command(flatten)]
    calibration: CalibrationFlags,
}

/// The flags that every command has.
#[derive(Args)]
struct ModelFlags {
    /// The folder of the model's files [default: $OUTERSCALE_MINILM or target/models/minilm]
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl ModelFlags {
    fn read(&self) -> Result<Model> {
        Model::read(&model::folder(self.model.as_deref())?)
    }
}

impl TextFlags {
    /// The lines and their tokens.
    fn read(&self, model: &Model) -> Result<(Vec<String>, Batch)> {
        let lines = text::read(&self.file, self.lines)?;
        let batch = Batch::new(model, &lines)?;
        if let Some(warning) = truncation(&batch, model) {
            eprintln!("{}: {warning}", self.file.display());
        }
        Ok((lines, batch))
    }
}

/// What to say of sentences that were cut.
fn truncation(batch: &Batch, model: &Model) -> Option<String> {
    let Batch { truncated, sentences, .. } = batch;
    let (of, max) = (sentences.len(), model.max_tokens);
    (*truncated > 0).then(|| format!("{truncated} of {of} lines are longer than the model's {max} tokens and were cut"))
}

impl WayFlags {
    /// The scheme.
    fn scheme(&self) -> Result<Scheme> {
        Ok(self.scheme.scheme()?)
    }

    /// The batch as the linears get it.
    fn batches(&self, batch: &Batch) -> Vec<Batch> {
        let running = matches!(self.scheme(), Ok(Scheme::Running(_)));
        let lines = self.batch.map(|lines| lines as usize).or(running.then_some(1));
        lines.map_or_else(|| vec![batch.clone()], |lines| batch.split(lines))
    }

    /// The model's linears, quantized; calibrated first where the scheme wants it.
    fn quantized<'a>(&self, gpu: &'a Gpu, model: &Model, json: bool) -> Result<Quantized<'a>> {
        let scheme = self.scheme()?;
        let learnt = Plan::wants_calibration(scheme).then(|| self.calibration.read(model)).transpose()?;
        let plan = Plan { scheme, learnt: learnt.as_ref(), observer: self.calibration.observer };
        let progress = Progress::new(json);
        let count = model.units().len();
        let tell = |unit: Unit| progress.step(&format!("preparing {unit}"), unit.index(), count);
        Quantized::new(gpu, model, &plan, tell)
    }
}

impl CalibrationFlags {
    /// What the text taught of every linear's input.
    fn read(&self, model: &Model) -> Result<Learnt> {
        let mut lines = match &self.calibration {
            Some(file) => text::read(file, None)?,
            None => text::sentences(text::SHIPPED),
        };
        lines.truncate(text::CALIBRATION_LINES);
        Learnt::from(model, &Batch::new(model, &lines)?).context("calibration")
    }
}

/// Embeddings in float32, with a progress bar.
fn embed_float(model: &Model, batch: &Batch, json: bool) -> Result<Array2<f32>> {
    embed(model, std::slice::from_ref(batch), Float(model), "float32", json)
}

/// Embeddings batch by batch, with a progress bar.
fn embed(model: &Model, batches: &[Batch], linears: impl Linears, what: &str, json: bool) -> Result<Array2<f32>> {
    let (progress, units) = (Progress::new(json), model.units().len());
    let mut done = 0;
    let tell = |unit: Unit| {
        progress.step(&format!("{what} {unit}"), done, units * batches.len());
        done += 1;
    };
    let mut linears = Told { linears, tell };
    let parts = batches.iter().map(|batch| encoder::embed(model, batch, &mut linears)).collect::<Result<Vec<_>>>()?;
    Ok(concatenate(Axis(0), &parts.iter().map(|part| part.view()).collect::<Vec<_>>())?)
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli: Cli = match program::start() {
        Ok(cli) => cli,
        Err(ended) => return ended,
    };
    let (json, result) = match cli.command {
        Command::Compare(flags) => (flags.model.common.json, compare::run(&flags)),
        Command::Rank(flags) => (flags.model.common.json, rank::run(&flags)),
        Command::Embed(flags) => (flags.model.common.json, embed::run(&flags)),
        Command::Capture(flags) => (flags.model.common.json, capture::run(&flags)),
    };
    // anyhow's chain in one line.
    end(json, result.map_err(|error| format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_flags_is_sound() {
        Cli::command().debug_assert();
    }
}
