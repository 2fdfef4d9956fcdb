//! The simulator's corpus of planted bugs, before NVIDIA's ptxas: every bug and every twin is PTX that it
//! assembles, and what the corpus has to reject it rejects too.

// The corpus is of ptx-sim's own test, which runs it; here it is only read.
#[allow(dead_code, reason = "the simulator's test uses the rest")]
#[path = "../../host/ptx-sim/tests/corpus/case.rs"]
mod case;
#[allow(dead_code, reason = "only its text is parsed here")]
#[path = "../../host/ptx-sim/tests/corpus/formula.rs"]
mod formula;

use cuda_builder::{NvvmArch, ptxas::PtxasError};
use outerscale_tests::harness::ptxas;

/// The architecture that a text is for, by its `.target`.
fn target(text: &str) -> NvvmArch {
    let name = text.lines().find_map(|line| line.strip_prefix(".target ")).expect("a text has a target");
    *NvvmArch::ALL.iter().find(|arch| arch.sm() == name).unwrap_or_else(|| panic!("no architecture {name}"))
}

#[test]
fn ptxas_takes_every_bug_and_every_twin() {
    let Some(ptxas) = ptxas("assembly of the corpus", env!("CARGO_TARGET_TMPDIR")) else { return };
    let mut problems = Vec::new();
    for case in case::all() {
        for (which, variant) in [("bug", &case.bug), ("twin", &case.ok)] {
            match ptxas.assemble(&variant.text, target(&variant.text)) {
                Err(error) => problems.push(format!("{} ({which}): {error}", case.name)),
                // A warning is that of a wgmma that has to be serialised: what some bugs are about.
                Ok(report) if which == "twin" => {
                    problems.extend(report.warnings.iter().map(|warning| format!("{}: {warning}", case.name)));
                }
                Ok(_) => {}
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn ptxas_rejects_what_has_to_be_rejected() {
    let Some(ptxas) = ptxas("rejection of the corpus", env!("CARGO_TARGET_TMPDIR")) else { return };
    for (name, text) in case::texts(&case::folder().join("reject")) {
        let line = (1..).zip(text.lines()).find(|(_, line)| line.contains("//@found")).map(|(number, _)| number);
        match ptxas.assemble(&text, target(&text)) {
            Err(PtxasError::Refused { said, .. }) => {
                let place = format!("line {};", line.unwrap_or(0));
                assert!(said.contains(&place), "reject/{name} is rejected elsewhere than at {place} {said}");
            }
            other => panic!("reject/{name}: {other:?}"),
        }
    }
}
