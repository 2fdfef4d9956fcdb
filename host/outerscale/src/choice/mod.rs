//! Which variant a launch takes, and why: eligible by its rules, then by what was measured, else by what is modelled,
//! else by the op's preferences.
//!
//! What was measured is a committed table ([`tuned`]) that `outerscale tune` makes on a GPU ([`tune`]); what is modelled
//! ([`cost`]) is for the products alone. Both look at the shape and the GPU and at nothing else: the same call takes the
//! same variant every time, and asks the device nothing.

pub mod chips;
pub mod cost;
mod plans;
pub mod tune;
pub mod tuned;

use crate::{
    Dtype,
    ops::{Problem, Table, Variant},
};
use chips::Chip;
use cost::{Cost, Product};
use std::fmt;

/// Why a variant was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// Its name was given.
    Named,
    /// It was the fastest when the GPU was tuned.
    Measured {
        /// Its median in microseconds.
        median_us: f64,
        /// The day, and the commit.
        date: &'static str,
        /// The commit that was measured.
        commit: &'static str,
    },
    /// The model gives it the fewest clocks.
    Modelled {
        /// The clocks.
        clocks: f64,
        /// The next best and its clocks.
        next: Option<(&'static str, f64)>,
    },
    /// The op prefers it.
    Preferred(&'static str),
    /// No other is eligible.
    Only,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Named => f.write_str("asked for by name"),
            Why::Measured { median_us, date, commit } => {
                write!(f, "the fastest measured, {median_us:.1} µs on {date} at {commit}")
            }
            Why::Modelled { clocks, next: Some((name, other)) } => {
                write!(f, "the fewest clocks modelled, {clocks:.0}; next {name} with {other:.0}")
            }
            Why::Modelled { clocks, next: None } => write!(f, "the only eligible one, {clocks:.0} clocks modelled"),
            Why::Preferred(why) => f.write_str(why),
            Why::Only => f.write_str("the only eligible one"),
        }
    }
}

/// What was said of one variant of a table.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The variant.
    pub variant: &'static Variant,
    /// Why it cannot run the problem, if it cannot.
    pub refused: Option<String>,
    /// Its modelled cost, if the model knows it.
    pub cost: Option<Cost>,
}

/// Every variant of a table, what speaks against it and what it is modelled to take.
pub fn candidates(table: &Table, problem: &Problem, dtype: Dtype) -> Vec<Candidate> {
    let about = |variant: &'static Variant| Candidate {
        variant,
        refused: variant.eligible(problem, dtype).err(),
        cost: modelled(variant, problem, dtype),
    };
    table.variants.iter().map(about).collect()
}

/// The modelled cost of a problem by a variant, if the model knows it.
fn modelled(variant: &Variant, problem: &Problem, dtype: Dtype) -> Option<Cost> {
    let product = Product {
        m: problem.m,
        n: problem.n,
        k: problem.k,
        multiprocessors: problem.multiprocessors,
        output_bytes: dtype.bytes(),
    };
    plans::plan(variant).map(|plan| plan.cost(&product, Chip::of(problem.version)))
}

/// The best of the candidates that can run the problem, and why; None where none can.
pub(crate) fn best(table: &Table, problem: &Problem, candidates: &[Candidate]) -> Option<(&'static Variant, Why)> {
    let mut eligible = candidates.iter().filter(|candidate| candidate.refused.is_none()).peekable();
    eligible.peek()?;
    let eligible: Vec<&Candidate> = eligible.collect();
    by_table(tuned::table(problem.version, problem.multiprocessors), table.op, problem, &eligible)
        .or_else(|| by_model(&eligible))
        .or_else(|| by_preference(table, problem, &eligible))
}

fn by_table(
    tuned: Option<&'static tuned::Tuned>,
    op: &str,
    problem: &Problem,
    eligible: &[&Candidate],
) -> Option<(&'static Variant, Why)> {
    let tuned = tuned?;
    let row = tuned.fastest(op, (problem.m, problem.n, problem.k))?;
    // A smaller workspace than that of the tuning may leave the fastest out.
    let found = eligible.iter().find(|candidate| candidate.variant.name == row.variant)?;
    Some((found.variant, Why::Measured { median_us: row.median_us, date: &tuned.date, commit: &tuned.commit }))
}

/// Clocks that are so near to the fewest are as few: no model is finer than that.
const ALIKE: f64 = 1.01;

/// The one with the fewest clocks, and of those alike the one that multiplies least, which takes least power; None unless
/// the model knows all of them.
fn by_model(eligible: &[&Candidate]) -> Option<(&'static Variant, Why)> {
    let known = eligible.iter().map(|candidate| candidate.cost.map(|cost| (candidate.variant, cost)));
    let known = known.collect::<Option<Vec<_>>>()?;
    let fewest = known.iter().map(|(_, cost)| cost.clocks).min_by(f64::total_cmp)?;
    let alike = known.iter().filter(|(_, cost)| cost.clocks <= ALIKE * fewest);
    let least = |a: &Cost, b: &Cost| a.multiplications.cmp(&b.multiplications).then(a.clocks.total_cmp(&b.clocks));
    let (variant, cost) = alike.min_by(|a, b| least(&a.1, &b.1))?;
    let others = known.iter().filter(|(other, _)| other.name != variant.name);
    let next = others.min_by(|a, b| a.1.clocks.total_cmp(&b.1.clocks)).map(|(next, cost)| (next.name, cost.clocks));
    Some((*variant, Why::Modelled { clocks: cost.clocks, next }))
}

fn by_preference(table: &Table, problem: &Problem, eligible: &[&Candidate]) -> Option<(&'static Variant, Why)> {
    let applies = table.preferences.iter().filter(|preference| (preference.when)(problem));
    let found = applies.filter_map(|preference| {
        let named = eligible.iter().find(|candidate| candidate.variant.name == preference.variant)?;
        Some((named.variant, Why::Preferred(preference.why)))
    });
    // Where every preference names an ineligible variant, whatever else can run is right, only slower.
    found.into_iter().next().or_else(|| eligible.first().map(|first| (first.variant, Why::Only)))
}

#[cfg(test)]
mod tests;
