//! The test suite, as many test programs side by side as there are cores.
//!
//! A simulated GPU does one piece of work at a time, as one stream of a real one does, so that the threads of a test program
//! wait for each other most of the time. Programs have a GPU each.

use crate::process::{Failed, cargo, output, shown, status_code};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    collections::{BTreeSet, VecDeque},
    io::{Write, stdout},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

/// The programs that take longest: whoever comes last should be short.
const LONGEST: [&str; 8] = ["properties", "assembly", "bound", "mutants", "study", "cli", "with_model", "hopper"];

/// Of a program that takes longer than its share, the modules that run apart from the others, by filter. One that is not
/// there any more costs nothing: its tests are among the others then.
const APART: [(&str, &[&str]); 1] = [("properties", &["registry::", "epilogue::", "gemm::", "shapes::"])];

/// Builds and runs every test of the host's workspace, with `profile` among cargo's arguments, and `more` side by side
/// with them. All run, even where some fail.
pub(crate) fn run(profile: &[&str], more: Vec<Command>) -> Result<()> {
    crate::process::run(cargo(["test", "--workspace", "--no-run"])?.args(profile))?;
    let metadata = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"])?)?;
    let mut jobs = Vec::new();
    for arguments in arguments(&test_targets(&metadata)?) {
        let mut job = cargo(["test", "--workspace"])?;
        let (ours, harness) =
            arguments.split_at(arguments.iter().position(|word| word == "--").unwrap_or(arguments.len()));
        job.args(ours).args(profile).args(harness);
        jobs.push(job);
    }
    jobs.extend(more);
    side_by_side(jobs, thread::available_parallelism().map_or(1, usize::from), &mut stdout())
}

/// The names of the workspace's integration tests, in what `cargo metadata` prints.
fn test_targets(metadata: &str) -> Result<BTreeSet<String>> {
    let metadata: Value = serde_json::from_str(metadata).context("what cargo metadata prints is no JSON")?;
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let targets = list(&metadata, "packages").into_iter().flat_map(|package| list(&package, "targets"));
    let tests = targets.filter(|target| list(target, "kind").iter().any(|kind| kind == "test"));
    tests.map(|target| target["name"].as_str().map(str::to_owned).context("a target without a name")).collect()
}

/// What cargo is told for each job, the longest first: each target, in pieces where it has such, and then all that is no
/// integration test.
fn arguments(targets: &BTreeSet<String>) -> Vec<Vec<String>> {
    let place = |name: &str| LONGEST.iter().position(|long| *long == name).unwrap_or(LONGEST.len());
    let mut targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    targets.sort_by_key(|name| place(name));
    let mut jobs = Vec::new();
    for target in targets {
        let apart = APART.iter().find(|(name, _)| *name == target).map_or(&[][..], |(_, modules)| modules);
        let rest: Vec<&str> = apart.iter().flat_map(|module| ["--skip", module]).collect();
        let filters = [rest].into_iter().chain(apart.iter().map(|module| vec![*module]));
        for filter in filters {
            let separator = (!filter.is_empty()).then_some("--");
            jobs.push(["--test", target].into_iter().chain(separator).chain(filter).map(str::to_owned).collect());
        }
    }
    for others in [&["--lib", "--bins"][..], &["--doc"]] {
        jobs.push(others.iter().map(|word| (*word).to_owned()).collect());
    }
    jobs
}

/// Runs every job, `lanes` at a time, and writes to `out` what each said as it ends, at last which failed. The error has
/// the status of the first of them.
fn side_by_side(jobs: Vec<Command>, lanes: usize, out: &mut (impl Write + Send)) -> Result<()> {
    let out = Mutex::new(out);
    let waiting = Mutex::new(VecDeque::from(jobs));
    let failed: Mutex<Vec<(String, u8)>> = Mutex::default();
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let lane = || {
        while let Some(mut job) = next() {
            let name = shown(&job);
            let start = Instant::now();
            let result = job.output();
            let seconds = start.elapsed().as_secs_f64();
            // One job's text in one piece. A closed terminal is no reason to fail.
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(out, "$ {name}    # {seconds:.0} s");
            let code = match result {
                Ok(said) => {
                    let _ = out.write_all(&said.stderr).and_then(|()| out.write_all(&said.stdout));
                    status_code(said.status)
                }
                Err(error) => {
                    let _ = writeln!(out, "cannot run it: {error}");
                    1
                }
            };
            if code != 0 {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push((name, code));
            }
        }
    };
    thread::scope(|scope| (0..lanes.max(1)).for_each(|_| drop(scope.spawn(lane))));
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (name, code) in &failed {
        let _ = writeln!(out, "FAILED (status {code}): {name}");
    }
    failed.first().map_or(Ok(()), |(_, code)| Err(Failed { code: *code }.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integration_test_is_a_job_and_pieces_leave_nothing_out() {
        let metadata = r#"{"packages": [
            {"targets": [{"name": "a", "kind": ["lib"]}, {"name": "laws", "kind": ["test"]}]},
            {"targets": [{"name": "properties", "kind": ["test"]}, {"name": "laws", "kind": ["test"]}, {"name": "b", "kind": ["bench"]}]}
        ]}"#;
        let targets = test_targets(metadata).unwrap();
        assert_eq!(Vec::from_iter(&targets), ["laws", "properties"]);
        let jobs: Vec<String> = arguments(&targets).iter().map(|words| words.join(" ")).collect();
        let apart = APART[0].1;
        let skipped: String = apart.iter().map(|module| format!(" --skip {module}")).collect();
        let pieces = apart.iter().map(|module| format!("--test properties -- {module}"));
        let rest = ["--test laws", "--lib --bins", "--doc"].map(str::to_owned);
        let wanted = [format!("--test properties --{skipped}")].into_iter().chain(pieces).chain(rest);
        assert_eq!(jobs, Vec::from_iter(wanted));
        assert!(test_targets("rubbish").is_err());
    }

    #[test]
    fn all_run_and_the_first_failure_is_the_status() {
        let folder = tempfile::tempdir().unwrap();
        let shell = |script: String| {
            let mut command = Command::new("sh");
            command.args(["-c", &script]).current_dir(folder.path());
            command
        };
        let script = |job| format!("touch {job}; echo job {job} >&2; exit {}", if job == 3 { 7 } else { 0 });
        let jobs = (0..8).map(|job| shell(script(job))).collect();
        let mut said = Vec::new();
        let error = side_by_side(jobs, 3, &mut said).unwrap_err();
        assert_eq!(error.downcast_ref::<Failed>().unwrap().code, 7);
        assert_eq!(folder.path().read_dir().unwrap().count(), 8);
        let said = String::from_utf8(said).unwrap();
        assert!((0..8).all(|job| said.contains(&format!("\njob {job}\n"))), "{said}");
        assert_eq!(said.matches("FAILED").count(), 1, "{said}");
        assert!(side_by_side(vec![shell("exit 0".to_owned())], 1, &mut Vec::new()).is_ok());
        assert!(side_by_side(vec![Command::new("no-such-program-here")], 1, &mut Vec::new()).is_err());
    }
}
