//! The scripts that measure on a GPU, as far as they can be held to account without one.

use outerscale::registry::OPS;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a program of the machine's says; None, and why on stdout, where there is none.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let output =
        Command::new(program).args(arguments).current_dir(folder()).env("PYTHONDONTWRITEBYTECODE", "1").output();
    output.inspect_err(|e| println!("SKIPPED: no {program} on this machine ({e})")).ok()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn scripts(end: &str) -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(end)).collect()
}

#[test]
fn python_tests_pass() {
    // A warning is a failure: a run on a GPU that ends for want of files or processes cannot be had again at will.
    let arguments = ["-W", "error::ResourceWarning", "-m", "unittest", "discover", "-s", "tests"];
    let Some(output) = run("python3", &arguments) else { return };
    let text = said(&output);
    assert!(output.status.success() && text.contains("OK") && !text.contains("Ran 0 tests"), "{text}");
}

#[test]
fn shell_scripts_parse_and_refuse_in_one_line() {
    let scripts = scripts(".sh");
    assert!(scripts.len() >= 3, "{scripts:?}");
    for script in scripts {
        let Some(output) = run("bash", &["-n", &script]) else { return };
        assert!(output.status.success(), "{}", said(&output));
        // No kernel, binary or limit is called so.
        let Some(output) = run("bash", &[&script, "/no/such", "x"]) else { return };
        let text = said(&output);
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{script}: {text}");
        assert!(text.starts_with(&format!("{script}: ")), "{text}");
    }
}

#[test]
fn every_op_can_be_profiled() {
    let script = fs::read_to_string(folder().join("ncu.sh")).expect("the script is there");
    for op in OPS {
        assert!(script.split([' ', ';', '\n']).any(|word| word == op.name), "ncu.sh does not know {}", op.name);
    }
}

#[test]
fn the_peers_list_their_shapes_without_a_gpu() {
    let Some(output) = run("python3", &["peers.py", "--dry-run"]) else { return };
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    // Eight linears at six counts of tokens.
    assert_eq!(text.lines().filter(|line| line.starts_with("prefill")).count(), 48, "{text}");
    assert!(text.lines().any(|line| line.contains("8192,8192,8192") && line.contains("torch._int_mm")), "{text}");
    let Some(output) = run("python3", &["peers.py", "--dry-run", "--shape", "17,64,128"]) else { return };
    assert_eq!(said(&output).lines().count(), 2);
}
