//! `outerscale study`: every scheme on every given layer, as a report.

use super::{
    Common, Done,
    report::{Output, Progress, place_json, place_line, table},
};
use clap::{Args, ValueEnum};
use outerscale::{
    Result,
    files::{Layer, OutputFolder},
    report::Table,
    study::{Study, recommend::Workload, study_layer},
};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Flags {
    /// The layers.
    #[arg(value_name = "FILES.safetensors", required = true)]
    files: Vec<PathBuf>,
    /// Write report.html and report.json to this folder, which is made where it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the recommendations are for.
    #[arg(long, value_enum, default_value = "prefill")]
    workload: WorkloadWord,
    #[command(flatten)]
    pub(super) common: Common,
}

/// The workloads by their words.
#[derive(Clone, Copy, ValueEnum)]
enum WorkloadWord {
    /// A token or a few at a time: reading weights and launching kernels is what takes time.
    Decode,
    /// Thousands of tokens at a time: operations are what takes time.
    Prefill,
    /// Many requests together, each to get what it would get alone.
    Batch,
}

impl From<WorkloadWord> for Workload {
    fn from(word: WorkloadWord) -> Workload {
        match word {
            WorkloadWord::Decode => Workload::Decode,
            WorkloadWord::Prefill => Workload::Prefill,
            WorkloadWord::Batch => Workload::Batch,
        }
    }
}

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let out = OutputFolder::create(&flags.out)?;
    // All of them before any work: the last may be the one that is wrong.
    let layers: Vec<Layer> = flags.files.iter().map(|file| Layer::read(file)).collect::<Result<_>>()?;
    let gpu = flags.common.open()?;
    let workload = Workload::from(flags.workload);
    let progress = Progress::new(flags.common.json);
    let mut studies = Vec::new();
    for (index, (file, layer)) in flags.files.iter().zip(&layers).enumerate() {
        let name = file.display().to_string();
        let tell = |scheme: &str, step: usize, steps: usize| {
            progress.step(&format!("{name}: {scheme}"), index * steps + step, layers.len() * steps);
        };
        studies.push(study_layer(&gpu, (&name, layer), tell)?);
    }
    drop(progress);
    let study = Study::new(studies, workload, place_json(&gpu));
    let json = study.json();
    out.finish(&[("report.html", study.page().html().as_bytes()), ("report.json", format!("{json:#}\n").as_bytes())])?;

    let mut text = format!("{}\n", place_line(&gpu));
    for layer in &study.layers {
        text += &format!("\n{}: {} tokens, K {}, N {}\n", layer.name, layer.tokens, layer.k, layer.n);
        text += &printed(&layer.table());
        text += &format!("\n{}\n", study.advice("For this layer", &layer.recommendation));
    }
    text += &format!("\nAll layers\n{}\n", printed(&study.overall_table()));
    text += &format!("{}\n", study.advice("For all layers", &study.recommendation));
    text += &format!("\nwritten to {0}/report.html and {0}/report.json", flags.out.display());
    Ok(Done { output: Output { text, json }, right: true })
}

/// A table for the terminal.
fn printed(of: &Table) -> String {
    let heading: Vec<&str> = of.heading.iter().map(String::as_str).collect();
    table(&heading, &of.right, of.rows.iter().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_library() {
        for word in WorkloadWord::value_variants() {
            assert_eq!(word.to_possible_value().unwrap().get_name(), Workload::from(*word).name());
        }
    }
}
