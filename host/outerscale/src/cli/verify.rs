//! `outerscale verify`: every kernel variant against the oracle.

use super::{
    Common, Done,
    report::{Output, Progress, place, place_json, place_line, table},
};
use outerscale::{
    Result,
    gpu::Driver,
    verify::{Options, Outcome, Verdict, verify},
};
use ptx_sim::Fault;
use serde_json::{Value, json};

pub(crate) fn run(options: Options, common: &Common) -> Result<Done> {
    let gpu = common.open()?;
    libcuda::simulator::reset_notes();
    let progress = Progress::new(common.json);
    let outcomes = verify(&gpu, &options, &mut |name, i, n| progress.step(name, i, n))?;
    drop(progress);
    let notes = if gpu.driver() == Driver::Sim { libcuda::simulator::notes() } else { Vec::new() };
    let right = outcomes.iter().all(Outcome::passed);
    let kernels = outcomes.len() / options.schedules.max(1);
    let several = options.schedules > 1;
    // A line for each kernel, with the worst of its schedules.
    let rows = (0..kernels).map(|kernel| {
        let of_kernel = || outcomes.iter().skip(kernel).step_by(kernels);
        let outcome = of_kernel().find(|outcome| !outcome.passed()).unwrap_or(&outcomes[kernel]);
        let cases: u32 = of_kernel().map(|outcome| outcome.cases).sum();
        vec![outcome.op.to_owned(), outcome.entry.clone(), cases.to_string(), place(&gpu), word(outcome).to_owned()]
    });
    let mut text = format!("{}\n", place_line(&gpu));
    text += &table(&["op", "kernel", "cases", "ran on", "oracle"], &[2], rows);
    text.push('\n');
    for outcome in &outcomes {
        if let Some(why) = why(&outcome.verdict) {
            let under = if several { format!(" ({})", outcome.schedule) } else { String::new() };
            text += &format!("{}: {}{under}: {why}\n", word(outcome), outcome.entry);
        }
    }
    for note in &notes {
        text += &format!("{}: {note}\n", note.severity.name());
    }
    for schedule in outcomes.chunks(kernels).filter(|_| several) {
        text += &format!("schedule {}: {} of {kernels} equal\n", schedule[0].schedule, equal(schedule));
    }
    let equal_in_all = (0..kernels)
        .filter(|kernel| outcomes.iter().skip(*kernel).step_by(kernels).all(|o| o.verdict == Verdict::Equal))
        .count();
    let under = if several { format!(" under {} schedules", options.schedules) } else { String::new() };
    text += &format!(
        "{equal_in_all} of {kernels} kernels equal to the oracle bit for bit{under}, seed {}; {}",
        options.seed,
        match notes.len() {
            _ if gpu.driver() != Driver::Sim => "a GPU reports no findings".to_owned(),
            0 => "no finding".to_owned(),
            1 => "1 finding that stops nothing".to_owned(),
            count => format!("{count} findings that stop nothing"),
        }
    );
    let json = json!({
        "place": place_json(&gpu),
        "seed": options.seed,
        "equal": right,
        "schedules": outcomes.chunks(kernels).map(schedule_json).collect::<Vec<_>>(),
        "kernels": outcomes.iter().map(outcome_json).collect::<Vec<_>>(),
        "notes": notes.iter().map(note_json).collect::<Vec<_>>(),
    });
    Ok(Done { output: Output { text, json }, right })
}

fn equal(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Equal).count()
}

fn schedule_json(outcomes: &[Outcome]) -> Value {
    json!({
        "schedule": outcomes[0].schedule.to_string(),
        "kernels": outcomes.len(),
        "equal": equal(outcomes),
        "cases": outcomes.iter().map(|outcome| outcome.cases).sum::<u32>(),
    })
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "op": outcome.op,
        "kernel": outcome.entry,
        "schedule": outcome.schedule.to_string(),
        "cases": outcome.cases,
        "verdict": word(outcome),
        "why": why(&outcome.verdict),
    })
}

fn note_json(note: &Fault) -> Value {
    json!({"severity": note.severity.name(), "kernel": note.kernel, "text": note.to_string()})
}

/// A verdict as a word.
fn word(outcome: &Outcome) -> &'static str {
    match outcome.verdict {
        Verdict::Equal => "equal",
        Verdict::Differs(_) => "DIFFERS",
        Verdict::Failed(_) => "FAILED",
        Verdict::Skipped(_) => "skipped",
    }
}

/// The reason for a verdict.
fn why(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Equal => None,
        Verdict::Differs(why) | Verdict::Failed(why) | Verdict::Skipped(why) => Some(why),
    }
}
