//! What goes by the registry does so for every op: `verify` and the benches.

use outerscale::{
    bench::{Shape, bench},
    gpu::Driver,
    ptx::Module,
    registry::OPS,
    verify::{Options, Verdict, verify},
};
use outerscale_tests::harness::gpu;
use std::collections::BTreeSet;

#[test]
fn verify_runs_every_kernel_and_all_are_equal() {
    let outcomes = verify(gpu(), &Options { seed: 12, ..Options::default() }, &mut |_, _, _| {}).unwrap();
    let ran: BTreeSet<&str> = outcomes.iter().filter(|o| o.cases > 0).map(|o| o.entry.as_str()).collect();
    let texts = Module::ALL.into_iter().filter_map(|module| Some((module, gpu().arch().text(module)?.arch)));
    let compiled = texts.flat_map(|(module, arch)| arch.entries(module));
    let missed: Vec<&str> = compiled.filter(|entry| !ran.contains(entry)).collect();
    assert!(missed.is_empty(), "verify did not run {missed:?}");
    for outcome in outcomes {
        assert_eq!(outcome.verdict, Verdict::Equal, "{}", outcome.entry);
    }
    // Nothing of ours makes the simulator note anything, whatever else this process has launched.
    if gpu().driver() == Driver::Sim {
        let notes: Vec<String> = libcuda::simulator::notes().iter().map(ToString::to_string).collect();
        assert!(notes.is_empty(), "{}", notes.join("\n"));
    }
}

#[test]
fn every_op_has_a_bench_that_checks_its_result() {
    for op in OPS {
        let measured = bench(gpu(), op, Shape { m: 20, n: 70, k: 130 }).unwrap_or_else(|e| panic!("{}: {e}", op.name));
        assert!(measured.equal, "{}: {} differs from the oracle", op.name, measured.entry);
        assert_eq!(measured.bench, op.name);
        assert!(!measured.times.seconds.is_empty() && measured.bytes > 0, "{}: nothing was measured", op.name);
    }
}
