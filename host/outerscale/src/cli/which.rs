//! `outerscale inspect --shape M,N,K`: which variant a launch would take, why, and why none of the others.

use super::{
    Common, Done,
    report::{Output, json_number, place_json, place_line, table},
};
use outerscale::{
    Dtype, Error, Result,
    bench::Shape,
    choice::{self, Candidate},
    ops::{self, Choice, Problem},
    registry::{self, OPS},
};
use serde_json::json;

/// What is asked.
pub(crate) struct Question<'a> {
    /// The op; of an entry's name its beginning.
    pub(crate) op: Option<&'a str>,
    /// The shape.
    pub(crate) shape: Shape,
    /// The element type of the entry: of y for a product, of x for the others.
    pub(crate) dtype: Dtype,
    /// Bytes of workspace; what the product would like where none is said.
    pub(crate) workspace: Option<u64>,
}

pub(crate) fn run(question: &Question<'_>, common: &Common) -> Result<Done> {
    let name = question.op.unwrap_or("gemm");
    let op = registry::op(name).ok_or_else(|| {
        let names: Vec<_> = OPS.iter().map(|op| op.name).collect();
        Error::Backend(format!("--shape asks about an op, and {name:?} is none; there are {}", names.join(", ")))
    })?;
    let gpu = common.open()?;
    let Shape { m, n, k } = question.shape;
    let workspace_bytes = question.workspace.unwrap_or_else(|| ops::workspace_bytes(&gpu, m, n, k));
    let problem = Problem { workspace_bytes, ..Problem::new(&gpu, m, n, k) };
    let chosen = ops::choose(op.table, &problem, question.dtype, Choice::Auto)?;
    let mut candidates = choice::candidates(op.table, &problem, question.dtype);
    // The chosen one first, then by what they are modelled to take, what cannot run last.
    let clocks = |candidate: &Candidate| candidate.cost.map_or(f64::INFINITY, |cost| cost.clocks);
    let rank = |c: &Candidate| (c.variant.name != chosen.variant.name, c.refused.is_some());
    candidates.sort_by(|a, b| rank(a).cmp(&rank(b)).then(clocks(a).total_cmp(&clocks(b))));
    let why = |candidate: &Candidate| match &candidate.refused {
        _ if candidate.variant.name == chosen.variant.name => chosen.why.to_string(),
        Some(reason) => reason.clone(),
        None if candidate.cost.is_some() => format!("{:.2} times as many clocks modelled", {
            let best = candidates.iter().find(|c| c.variant.name == chosen.variant.name).map_or(f64::NAN, clocks);
            clocks(candidate) / best
        }),
        None => "the other is preferred".to_owned(),
    };
    let word = |candidate: &Candidate| match &candidate.refused {
        _ if candidate.variant.name == chosen.variant.name => "chosen",
        Some(_) => "cannot run",
        None => "could run",
    };
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.0}"));
    let rows = candidates.iter().map(|c| {
        let figures = [c.cost.map(|x| x.clocks), c.cost.map(|x| x.steps), c.cost.map(|x| x.memory)].map(number);
        let [clocks, steps, memory] = figures;
        // Some variants launch one kernel in several ways: its name alone would not tell them apart.
        let (name, kernel) = (c.variant.name.to_owned(), c.variant.entry(question.dtype));
        vec![name, kernel, word(c).to_owned(), clocks, steps, memory, why(c)]
    });
    let shape = if op.name.starts_with("gemm") {
        format!("M {m}, N {n}, K {k}, {} out, {workspace_bytes} bytes of workspace", question.dtype)
    } else {
        format!("[{m}, {k}] of {}", question.dtype)
    };
    let mut text = format!("{}\n{}: {shape}\n", place_line(&gpu), op.name);
    text += &table(&["variant", "kernel", "", "clocks", "of steps", "of memory alone", "why"], &[3, 4, 5], rows);
    if candidates.iter().any(|candidate| candidate.cost.is_some()) {
        text += "\nClocks of a multiprocessor by the cost model: what ranks the variants, not what was measured.\n";
    }
    let json = json!({
        "place": place_json(&gpu), "op": op.name, "m": m, "n": n, "k": k, "dtype": question.dtype.name(),
        "workspace_bytes": workspace_bytes,
        "chosen": chosen.variant.name, "kernel": chosen.variant.entry(question.dtype), "why": chosen.why.to_string(),
        "candidates": candidates.iter().map(|c| json!({
            "variant": c.variant.name, "kernel": c.variant.entry(question.dtype), "blocks_of_a_cluster": c.variant.cluster,
            "verdict": word(c), "why": why(c),
            "clocks": c.cost.map(|cost| json_number(cost.clocks)),
        })).collect::<Vec<_>>(),
    });
    Ok(Done { output: Output { text, json }, right: true })
}
