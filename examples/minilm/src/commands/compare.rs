//! `minilm compare`: embeddings against float32.

use super::{Done, ModelFlags, TextFlags, WayFlags, embed, embed_float};
use anyhow::Result;
use clap::Args;
use minilm::similarity::Nearness;
use outerscale::{
    program::report::{Output, json_number, place_json, place_line, table},
    smooth::Alpha,
};
use serde_json::json;
use std::{fmt::Write, time::Instant};

#[derive(Args)]
pub(super) struct Flags {
    #[command(flatten)]
    text: TextFlags,
    #[command(flatten)]
    way: WayFlags,
    #[command(flatten)]
    pub(super) model: ModelFlags,
}

pub(super) fn run(flags: &Flags) -> Result<Done> {
    let json = flags.model.common.json;
    let model = flags.model.read()?;
    let (lines, batch) = flags.text.read(&model)?;
    let gpu = flags.model.common.open()?;
    let linears = flags.way.quantized(&gpu, &model, json)?;
    let alphas: Vec<String> = linears.schemes().iter().filter_map(|s| s.alpha()).map(|a| a.to_string()).collect();
    let started = Instant::now();
    let float = embed_float(&model, &batch, json)?;
    let float_seconds = started.elapsed().as_secs_f64();
    let scheme = flags.way.scheme()?.name();
    let started = Instant::now();
    let quantized = embed(&model, &flags.way.batches(&batch), linears, scheme, json)?;
    let seconds = started.elapsed().as_secs_f64();
    let near = Nearness::of(&float, &quantized);

    let row = |name: &str, mean: f64, min: f64, seconds: f64| {
        vec![name.to_owned(), format!("{mean:.5}"), format!("{min:.5}"), format!("{seconds:.1} s")]
    };
    let rows = [row("float32", 1.0, 1.0, float_seconds), row(scheme, near.mean, near.min, seconds)];
    let mut text = format!(
        "{}\n{}: {} sentences, {} tokens; cosine to float32\n{}\nfurthest from float32: {}",
        place_line(&gpu),
        flags.text.file.display(),
        lines.len(),
        batch.tokens(),
        table(&["linears", "mean", "min", "time"], &[1, 2, 3], rows),
        shortened(&lines[near.worst]),
    );
    // One that was given is no news.
    if flags.way.scheme()?.alpha() == Some(Alpha::Auto) {
        let named = model.units().into_iter().zip(&alphas).map(|(unit, alpha)| format!("{unit} {alpha}"));
        _ = write!(text, "\nalpha: {}", named.collect::<Vec<_>>().join(", "));
    }
    let json = json!({
        "place": place_json(&gpu),
        "file": flags.text.file.display().to_string(),
        "scheme": scheme,
        "alpha": alphas,
        "sentences": lines.len(),
        "tokens": batch.tokens(),
        "truncated": batch.truncated,
        "cosine_mean": json_number(near.mean),
        "cosine_min": json_number(near.min),
        "worst_sentence": near.worst,
        "seconds": json_number(seconds),
        "float32_seconds": json_number(float_seconds),
    });
    Ok(Done { output: Output { text, json }, right: true })
}

/// The beginning of a sentence, which is anyone's text: nothing in it may move the cursor.
fn shortened(sentence: &str) -> String {
    let plain: String = sentence.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(81).collect();
    if plain.chars().count() > 80 { plain.chars().take(79).chain(['…']).collect() } else { plain }
}
