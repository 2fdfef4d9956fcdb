//! `minilm embed`: embeddings to a file.

use super::{Done, ModelFlags, TextFlags, WayFlags, embed, embed_float};
use anyhow::Result;
use clap::Args;
use minilm::capture::floats;
use outerscale::{files::OutputFile, program::report::Output};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Flags {
    #[command(flatten)]
    text: TextFlags,
    /// The file to write: `embeddings` f32 [sentences, 384], each of length 1.
    #[arg(long, value_name = "OUT.safetensors")]
    out: PathBuf,
    /// In float32, without quantization.
    #[arg(long, conflicts_with_all = ["scheme", "calibration", "observer", "batch"])]
    float32: bool,
    #[command(flatten)]
    way: WayFlags,
    #[command(flatten)]
    pub(super) model: ModelFlags,
}

pub(super) fn run(flags: &Flags) -> Result<Done> {
    let json = flags.model.common.json;
    let model = flags.model.read()?;
    let (lines, batch) = flags.text.read(&model)?;
    let file = OutputFile::create(&flags.out, Some(&flags.text.file))?;
    let (embeddings, linears) = if flags.float32 {
        (embed_float(&model, &batch, json)?, "float32")
    } else {
        let gpu = flags.model.common.open()?;
        let scheme = flags.way.scheme()?.name();
        let linears = flags.way.quantized(&gpu, &model, json)?;
        (embed(&model, &flags.way.batches(&batch), linears, scheme, json)?, scheme)
    };
    file.finish(&[floats("embeddings", embeddings.shape(), embeddings.iter())])?;
    let text =
        format!("{} sentences, {} tokens, {linears}: written to {}", lines.len(), batch.tokens(), flags.out.display());
    let json = json!({
        "file": flags.text.file.display().to_string(),
        "linears": linears,
        "sentences": lines.len(),
        "tokens": batch.tokens(),
        "truncated": batch.truncated,
        "out": flags.out.display().to_string(),
    });
    Ok(Done { output: Output { text, json }, right: true })
}
