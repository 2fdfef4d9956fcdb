//! `outerscale verify`: every kernel variant against the oracle.

use super::{
    Common, Done,
    report::{Output, Progress, place, place_json, place_line, table},
};
use outerscale::{
    Result,
    verify::{Options, Outcome, Verdict, verify},
};
use serde_json::json;

pub(crate) fn run(only: Option<String>, seed: u64, common: &Common) -> Result<Done> {
    let gpu = common.open()?;
    let progress = Progress::new(common.json);
    let outcomes = verify(&gpu, &Options { only, seed }, &mut |name, i, n| progress.step(name, i, n))?;
    drop(progress);
    let right = outcomes.iter().all(Outcome::passed);
    let rows = outcomes.iter().map(|outcome| {
        let words = words(&outcome.verdict);
        vec![outcome.op.to_owned(), outcome.entry.clone(), outcome.cases.to_string(), place(&gpu), words.0.to_owned()]
    });
    let mut text = format!("{}\n", place_line(&gpu));
    text += &table(&["op", "kernel", "cases", "ran on", "oracle"], &[2], rows);
    text.push('\n');
    for outcome in &outcomes {
        if let (word, Some(why)) = words(&outcome.verdict) {
            text += &format!("{word}: {}: {why}\n", outcome.entry);
        }
    }
    let equal = outcomes.iter().filter(|o| o.verdict == Verdict::Equal).count();
    text += &format!("{equal} of {} kernels equal to the oracle bit for bit, seed {seed}", outcomes.len());
    let kernels: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let (word, why) = words(&outcome.verdict);
            json!({"op": outcome.op, "kernel": outcome.entry, "cases": outcome.cases, "verdict": word, "why": why})
        })
        .collect();
    let json = json!({"place": place_json(&gpu), "seed": seed, "equal": right, "kernels": kernels});
    Ok(Done { output: Output { text, json }, right })
}

/// A verdict as a word and its reason.
fn words(verdict: &Verdict) -> (&'static str, Option<&str>) {
    match verdict {
        Verdict::Equal => ("equal", None),
        Verdict::Differs(why) => ("DIFFERS", Some(why)),
        Verdict::Failed(why) => ("FAILED", Some(why)),
        Verdict::Skipped(why) => ("skipped", Some(why)),
    }
}
