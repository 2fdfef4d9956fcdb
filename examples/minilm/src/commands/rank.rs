//! `minilm rank`: what becomes of rankings.

use super::{Done, ModelFlags, WayFlags, embed, embed_float};
use anyhow::Result;
use clap::Args;
use minilm::{
    retrieval::{Change, Set},
    similarity::Nearness,
    text::Batch,
};
use outerscale::program::report::{Output, json_number, place_json, place_line, table};
use serde_json::json;
use std::fmt::Write;

#[derive(Args)]
pub(super) struct Flags {
    #[command(flatten)]
    way: WayFlags,
    #[command(flatten)]
    pub(super) model: ModelFlags,
}

pub(super) fn run(flags: &Flags) -> Result<Done> {
    let json = flags.model.common.json;
    let model = flags.model.read()?;
    let set = Set::shipped()?;
    let batch = Batch::new(&model, &set.texts())?;
    let gpu = flags.model.common.open()?;
    let linears = flags.way.quantized(&gpu, &model, json)?;
    let scheme = flags.way.scheme()?.name();
    let float = embed_float(&model, &batch, json)?;
    let quantized = embed(&model, &flags.way.batches(&batch), linears, scheme, json)?;
    let near = Nearness::of(&float, &quantized);
    let (reference, rankings) = (set.rank(&float), set.rank(&quantized));
    let (unchanged, change) = (Change::of(&set, &reference, &reference), Change::of(&set, &rankings, &reference));

    let row = |name: &str, change: &Change| {
        vec![
            name.to_owned(),
            format!("{} of {}", change.right, set.queries.len()),
            format!("{:.4}", change.mean_reciprocal_rank),
            change.top_changed.len().to_string(),
            format!("{} of {}", change.swapped, change.pairs),
            format!("{:.4}", change.tau()),
        ]
    };
    let heading = ["linears", "answered first", "mean reciprocal rank", "first changed", "pairs swapped", "Kendall τ"];
    let rows = [row("float32", &unchanged), row(scheme, &change)];
    let mut text = format!(
        "{}\n{} passages, {} queries; cosine to float32: mean {:.5}, min {:.5}\n{}",
        place_line(&gpu),
        set.passages.len(),
        set.queries.len(),
        near.mean,
        near.min,
        table(&heading, &[1, 2, 3, 4, 5], rows),
    );
    for index in &change.top_changed {
        let passage = |of: &[minilm::retrieval::Ranking]| of[*index].top().map_or("", |top| &set.passages[top]);
        _ = write!(text, "\n{}\n  float32: {}", set.queries[*index].text, passage(&reference));
        _ = write!(text, "\n  {scheme}: {}", passage(&rankings));
    }
    let json_of = |change: &Change| {
        json!({
            "answered_first": change.right,
            "mean_reciprocal_rank": json_number(change.mean_reciprocal_rank),
            "first_changed": change.top_changed,
            "pairs_swapped": change.swapped,
            "pairs": change.pairs,
            "kendall_tau": json_number(change.tau()),
        })
    };
    let json = json!({
        "place": place_json(&gpu),
        "scheme": scheme,
        "passages": set.passages.len(),
        "queries": set.queries.len(),
        "cosine_mean": json_number(near.mean),
        "cosine_min": json_number(near.min),
        "float32": json_of(&unchanged),
        "quantized": json_of(&change),
    });
    Ok(Done { output: Output { text, json }, right: true })
}
