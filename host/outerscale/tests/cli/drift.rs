//! `drift` on a stream that is made up: its gain changes, and each scale does what it must.

use super::{Bench, outerscale, stderr, stdout};
use safetensors::Dtype;
use serde_json::Value;
use std::{fs, process::Output};

const SENTENCES: usize = 70;

/// A layer file of `sentences` sentences of two tokens of noise, K = 12, each sentence about as loud as the others.
fn stream(bench: &mut Bench, sentences: usize) -> String {
    let noise = |i: usize| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
    let x: Vec<f32> = (0..sentences * 24).map(|i| noise(i + 1)).collect();
    bench.set_f32("x", &[sentences * 2, 12], &x);
    bench.set_f32("w", &[4, 12], &(0..48).map(|i| noise(i + 9999)).collect::<Vec<_>>());
    bench.remove("calib_absmax");
    let ids = (0..sentences as i32 * 2).flat_map(|token| (token / 2).to_le_bytes()).collect();
    bench.set("sentence_id", Dtype::I32, &[sentences * 2], ids);
    let path = bench.path("noise.safetensors");
    fs::write(&path, bench.bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn drift(file: &str, out: &str, more: &[&str]) -> Output {
    let few = ["--samples", "10", "--from-sample", "20", "--every", "2", "--json"];
    outerscale(&[&["drift", file, "--out", out], &few[..], more].concat())
}

fn refused(output: &Output, what: &str) {
    let error = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.lines().count() == 1 && error.contains(what), "{error}");
}

#[test]
fn static_fails_and_the_remedies_follow() {
    let mut bench = Bench::new();
    let file = stream(&mut bench, SENTENCES);
    let out = bench.path("report");
    let output = drift(&file, out.to_str().unwrap(), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let written: Value = serde_json::from_slice(&fs::read(out.join("drift.json")).unwrap()).unwrap();
    assert_eq!(report, written);
    let html = fs::read_to_string(out.join("drift.html")).unwrap();
    assert!(html.matches("<svg").count() >= 7 && html.contains("noise under drift"), "three scenarios of plots");
    assert!(!html.contains("http://") || !html.contains("src="), "nothing is fetched");

    let scenarios = report["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.iter().map(|s| s["gain"].as_f64().unwrap()).collect::<Vec<_>>(), [1.0, 4.0, 0.25]);
    let course = |scenario: usize, name: &str| {
        let courses = scenarios[scenario]["courses"].as_array().unwrap();
        courses.iter().find(|course| course["scale"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let last = |course: &Value| course["error_last"].as_f64().unwrap();
    for scenario in [1, 2] {
        let (fixed, dynamic) = (course(scenario, "static"), course(scenario, "dynamic per tensor"));
        assert_eq!(fixed["lag"], Value::Null);
        assert!(last(&fixed) > 1.5 * last(&dynamic), "{fixed:#}");
        // m = 0.5, every second sample: a sixteenth of the change is left after eight.
        let lag = course(scenario, "running, m = 0.5")["lag"].as_u64().expect("it arrives");
        assert!((1..=16).contains(&lag), "{lag}");
        let slow = course(scenario, "running, m = 0.9")["lag"].as_u64();
        assert!(slow.is_none_or(|slow| slow > lag), "{slow:?}");
        assert_eq!(course(scenario, "dynamic per token")["errors"].as_array().unwrap().len(), SENTENCES - 10);
    }
    assert!(course(1, "static")["saturated_last"].as_f64().unwrap() > 0.5, "most of four times the noise");
    assert_eq!(course(2, "static")["saturated_last"].as_f64().unwrap(), 0.0);
    // Powers of two move the scale of a dynamic scheme and no code.
    for name in ["dynamic per tensor", "dynamic per token"] {
        assert_eq!(course(0, name)["error_last"], course(1, name)["error_last"], "{name}");
    }
    let text = stdout(&outerscale(&[
        "drift",
        &file,
        "--out",
        out.to_str().unwrap(),
        "--samples",
        "10",
        "--from-sample",
        "20",
    ]));
    assert!(text.contains("never") && text.contains("× 0.25"), "{text}");
}

#[test]
fn captures_take_another_files_weights() {
    let mut bench = Bench::new();
    let layer = stream(&mut bench, 60);
    let x = bench.tensors.iter().find(|tensor| tensor.0 == "x").unwrap().clone();
    bench.remove("x");
    bench.remove("w");
    bench.remove("bias");
    bench.set("L3_qkv", x.1, &x.2, x.3);
    let (capture, out) = (bench.path("capture"), bench.path("report"));
    fs::write(&capture, bench.bytes()).unwrap();
    let (capture, out) = (capture.to_str().unwrap(), out.to_str().unwrap());
    let run = |linear: &str| drift(capture, out, &["--linear", linear, "--weights", &layer, "--gain", "3"]);
    let report: Value = serde_json::from_slice(&run("L3_qkv").stdout).unwrap();
    assert_eq!((report["linear"].as_str(), report["samples"].as_u64()), (Some("L3_qkv"), Some(50)));
    refused(&run("L4_qkv"), "L4_qkv: is missing; the capture's linears are L3_qkv");
    refused(&drift(capture, out, &["--linear", "L3_qkv"]), "--weights");
    refused(&drift(capture, out, &[]), "tensor x: is missing");
}

#[test]
fn what_cannot_be_studied_is_refused() {
    let mut bench = Bench::new();
    let file = stream(&mut bench, 30);
    let out = bench.path("report");
    let path = out.to_str().unwrap().to_owned();
    refused(&drift(&file, &path, &[]), "from-sample must leave 16 of the 20 samples");
    refused(&drift(&file, &path, &["--gain", "0"]), "[1e-6, 1e6]");
    refused(&drift(&file, &path, &["--momentum", "1"]), "[0, 1)");
    refused(&drift(&file, "/proc/none", &[]), "cannot be written");
    refused(&drift(&file, &file, &[]), "no folder");
    let few = outerscale(&["drift", &file, "--out", &path]);
    refused(&few, "tells 30 sentences, of which 100 calibrate");
    bench.remove("sentence_id");
    fs::write(&file, bench.bytes()).unwrap();
    refused(&drift(&file, &path, &[]), "sentence_id is missing");
    assert!(!out.exists(), "nothing half-written");
}
