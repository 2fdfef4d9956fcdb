//! `study`: what it writes, and what it refuses before it writes anything.

use super::{Bench, assert_refused, outerscale, stderr, stdout, text};
use safetensors::Dtype;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

/// Runs `study` on the bench's layer, to the folder `report` there.
fn study(bench: &Bench, flags: &[&str]) -> Output {
    fs::write(bench.path("layer"), bench.bytes()).unwrap();
    let (layer, out) = (bench.path("layer"), bench.path("report"));
    outerscale(&[&["study", text(&layer), "--out", text(&out)], flags].concat())
}

#[test]
fn a_report_is_a_page_a_json_and_a_table() {
    let bench = Bench::new();
    fs::create_dir(bench.path("report")).unwrap();
    fs::write(bench.path("report/report.json"), "old").unwrap();
    fs::write(bench.path("report/mine"), "stays").unwrap();
    let output = study(&bench, &["--workload", "decode"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(printed.contains("w8a8-static") && printed.contains("For this layer, decode:"), "{printed}");
    // The bench's layer is one sentence, or rather tells of none: α has nothing to be judged by.
    let page = fs::read_to_string(bench.path("report/report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Not run: smooth-token:"), "{page}");
    let json: Value = serde_json::from_str(&fs::read_to_string(bench.path("report/report.json")).unwrap()).unwrap();
    assert_eq!((json["schema"].as_str(), json["workload"].as_str()), (Some("outerscale-study/1"), Some("decode")));
    let mut left: Vec<_> = fs::read_dir(bench.path("report")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["mine", "report.html", "report.json"]);
    let again = study(&bench, &["--workload", "decode", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&again)).unwrap(), json, "the same run gives the same report");
}

#[test]
fn schemes_that_need_calibration_are_left_out_without_it() {
    let mut bench = Bench::new();
    bench.remove("calib_absmax");
    let output = study(&bench, &["--json"]);
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)));
    let names = |list: &str| -> Vec<String> {
        let rows = json["layers"][0][list].as_array().unwrap().iter();
        rows.map(|row| row["scheme"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("left_out"), ["w8a8-static", "w8a8-hybrid", "smooth-token", "smooth-static"]);
    assert!(names("rows").contains(&"w8a8-running".to_owned()), "the first batch begins its average");
    let why = json["layers"][0]["left_out"][0]["why"].as_str().unwrap();
    assert!(why.contains("calib_absmax: is missing"), "{why}");
}

#[test]
fn a_name_cannot_break_the_page() {
    let bench = Bench::new();
    let name = bench.path("<img src=x onerror=alert(1)> & 'layer'");
    fs::write(&name, bench.bytes()).unwrap();
    let output = outerscale(&["study", text(&name), "--out", text(&bench.path("report"))]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = fs::read_to_string(bench.path("report/report.html")).unwrap();
    assert!(!page.contains("<img") && page.contains("&lt;img src=x"), "the name stands as it is");
}

#[test]
fn wrong_calls_leave_nothing_behind() {
    let mut bench = Bench::new();
    assert_refused(&study(&bench, &["--workload", "training"]), "invalid value 'training'");
    assert_refused(&outerscale(&["study", text(&bench.path("layer"))]), "--out");
    assert_refused(&outerscale(&["study", "--out", text(&bench.path("report"))]), "required");
    // The second file is wrong: the first is not even begun.
    let absent = bench.path("absent");
    assert_refused(&study(&bench, &[text(&absent)]), "absent: cannot be read");
    bench.set_zeros("x", Dtype::F32, &[0, 5]);
    assert_refused(&study(&bench, &[]), "layer: tensor x: has no tokens");
    bench.remove("x");
    assert_refused(&study(&bench, &[]), "layer: tensor x: is missing");
    assert_eq!(bench.listing(), ["layer"], "something was left behind");
    fs::write(bench.path("report"), "a file").unwrap();
    assert_refused(&study(&bench, &[]), "report is no folder; give another --out");
    assert_eq!(fs::read(bench.path("report")).unwrap(), b"a file");
}

#[test]
fn a_folder_that_takes_nothing_is_refused_at_once() {
    let bench = Bench::new();
    fs::write(bench.path("layer"), bench.bytes()).unwrap();
    let locked = bench.path("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    // Root writes everywhere but where the system has no files.
    let folder = if fs::write(locked.join("probe"), "").is_ok() { "/proc/report" } else { text(&locked) };
    assert_refused(&outerscale(&["study", text(&bench.path("layer")), "--out", folder]), "cannot be written");
}

#[test]
fn a_report_that_the_disk_does_not_take_is_no_report() {
    let bench = Bench::new();
    fs::write(bench.path("layer"), bench.bytes()).unwrap();
    fs::create_dir(bench.path("report")).unwrap();
    fs::write(bench.path("report/report.html"), "old").unwrap();
    // Files of at most 4 blocks of 1024 bytes, as on a disk that is full by then; the signal of it is not ours to die of.
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$0\" study \"$1\" --out \"$2\" --backend sim";
    let mut command = Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_outerscale")]);
    let output = command.arg(bench.path("layer")).arg(bench.path("report")).output().unwrap();
    assert_refused(&output, "report.html: cannot be written: File too large");
    assert_eq!(fs::read(bench.path("report/report.html")).unwrap(), b"old");
    assert_eq!(fs::read_dir(bench.path("report")).unwrap().count(), 1, "something was left behind");
}
