//! The command line: one line and status 2 for what is wrong; files complete or absent.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn run(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minilm"));
    command.args(arguments).env_remove("OUTERSCALE_LOG").env_remove("RUST_LOG");
    // The model is found from the current folder unless a variable names it; tests of it run elsewhere.
    let model = minilm::model::folder(None).unwrap();
    command.env(minilm::model::FOLDER_VARIABLE, fs::canonicalize(model).unwrap()).current_dir(folder).output().unwrap()
}

/// The one line that a wrong call ends with.
fn refused(arguments: &[&str], folder: &Path) -> String {
    let output = run(arguments, folder);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {line}");
    assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    line
}

#[test]
fn wrong_input_ends_with_one_line() {
    if super::model().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("blank.txt"), "\n  \n").unwrap();
    fs::write(at.join("two.txt"), "One line.\n\nAnother line.\n").unwrap();
    fs::write(at.join("latin1.txt"), b"caf\xe9\n").unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["compare", "none.txt"], "none.txt cannot be read as text"),
        (&["compare", "blank.txt"], "blank.txt: has no text"),
        (&["compare", "latin1.txt"], "latin1.txt cannot be read as text"),
        (&["compare", "two.txt", "--lines", "2-3"], "it has 2 lines"),
        (&["compare", "two.txt", "--scheme", "w8a8-static", "--calibration", "blank.txt"], "blank.txt: has no text"),
        (&["capture", "two.txt", "--out", "x", "--linear", "L6_qkv"], "no linear is named L6_qkv"),
        (&["capture", "two.txt", "--out", "two.txt"], "is the input"),
        (&["capture", "two.txt", "--layers", "blank.txt"], "is no folder"),
        (&["embed", "two.txt", "--out", "no/such/folder"], "cannot be written"),
    ];
    for (arguments, says) in cases {
        let line = refused(arguments, at);
        assert!(line.contains(says), "{line}");
    }
    let nowhere = refused(&["rank", "--model", "none"], at);
    assert!(nowhere.contains("cargo xtask minilm"), "{nowhere}");
    assert_eq!(fs::read_dir(at).unwrap().count(), 3, "something was left behind");
}

#[test]
fn long_lines_are_cut_and_said_to_be() {
    if super::model().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("long.txt"), format!("Short.\n{}\n", "many words ".repeat(200))).unwrap();
    let arguments = ["capture", "long.txt", "--out", "capture.safetensors", "--linear", "L0_qkv", "--json"];
    let output = run(&arguments, at);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "long.txt: 1 of 2 lines are longer than the model's 256 tokens and were cut\n");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // [CLS] short . [SEP], and as many as the model takes.
    assert_eq!((json["truncated"].as_u64(), json["tokens"].as_u64()), (Some(1), Some(4 + 256)));
    assert!(at.join("capture.safetensors").is_file());
}
