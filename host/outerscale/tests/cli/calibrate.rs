//! `calibrate`, and what `linear` does with its statistics.

use super::{Bench, outerscale, stderr, stdout};
use safetensors::Dtype;
use serde_json::Value;
use std::{fs, path::Path, process::Output};

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// A layer file of x [6, 5] in three sentences, the second twice as large, the third ten times.
fn layer(bench: &mut Bench, name: &str) -> String {
    let x: Vec<f32> = (0..30).map(|i| [1.0, 2.0, 10.0][i / 10] * (0.3 + (i as f32 * 1.7).sin()) / 1.3).collect();
    bench.set_f32("x", &[6, 5], &x);
    bench.set("sentence_id", Dtype::I32, &[6], [4i32, 4, 0, 0, 9, 9].iter().flat_map(|id| id.to_le_bytes()).collect());
    let path = bench.path(name);
    fs::write(&path, bench.bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn calibrate(arguments: &[&str], out: &Path) -> Output {
    let out = out.to_str().unwrap();
    outerscale(&[&["calibrate"], arguments, &["--out", out, "--json"]].concat())
}

fn refused(output: &Output, what: &str) {
    let error = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.lines().count() == 1 && error.contains(what), "{error}");
}

#[test]
fn shards_merge_to_the_whole() {
    let mut bench = Bench::new();
    let file = layer(&mut bench, "up.safetensors");
    let paths = ["all", "first", "merged"].map(|name| bench.path(name));
    let report = json(&calibrate(&[&file, &file], &paths[0]));
    let linear = &report["linears"]["up"];
    assert_eq!((linear["samples"].as_u64(), linear["tokens"].as_u64()), (Some(6), Some(12)));
    json(&calibrate(&[&file], &paths[1]));
    let first = paths[1].to_str().unwrap();
    json(&calibrate(&["--merge", first, first], &paths[2]));
    assert_eq!(fs::read(&paths[0]).unwrap(), fs::read(&paths[2]).unwrap());
    json(&calibrate(&[&file, "--merge", first], &paths[2]));
    assert_eq!(fs::read(&paths[0]).unwrap(), fs::read(&paths[2]).unwrap());
    let two = json(&calibrate(&[&file, &file, "--samples", "2"], &paths[2]));
    assert_eq!(two["linears"]["up"]["tokens"].as_u64(), Some(4));
    assert!(two["linears"]["up"]["absmax"]["absmax"].as_f64() < linear["absmax"]["absmax"].as_f64());
    let text = stdout(&outerscale(&["calibrate", &file, "--out", first]));
    assert!(text.contains("hybrid") && text.contains("written to"), "{text}");
}

#[test]
fn linear_takes_statistics() {
    let mut bench = Bench::new();
    let file = layer(&mut bench, "up.safetensors");
    let stats = bench.path("stats");
    json(&calibrate(&[&file], &stats));
    let stats = stats.to_str().unwrap();
    let run = |scheme: &str, observer: &str| {
        json(&outerscale(&["linear", &file, "--scheme", scheme, "--stats", stats, "--observer", observer, "--json"]))
    };
    assert_eq!(run("w8a8-static", "absmax")["saturated"].as_u64(), Some(0));
    assert!(run("w8a8-static", "percentile:50")["saturated"].as_u64() > Some(0));
    for observer in ["mse", "entropy", "moving-average:0.5"] {
        assert!(run("w8a8-static", observer)["relative_error"].as_f64().unwrap() < 0.5, "{observer}");
    }
    let hybrid = run("w8a8-hybrid", "absmax");
    assert_eq!(hybrid["hybrid"]["chose"], "per token");
    assert!(hybrid["hybrid"]["spread"].as_f64().unwrap() > 1.5);
    assert_eq!(hybrid["relative_error"], run("w8a8-token", "absmax")["relative_error"]);
    let text = stdout(&outerscale(&["linear", &file, "--scheme", "w8a8-hybrid", "--stats", stats]));
    assert!(text.contains("per token, as its spread"), "{text}");
}

#[test]
fn statistics_of_another_model_are_refused() {
    let mut bench = Bench::new();
    let file = layer(&mut bench, "up.safetensors");
    let other = layer(&mut bench, "down.safetensors");
    let stats = bench.path("stats");
    json(&calibrate(&[&file], &stats));
    let stats = stats.to_str().unwrap().to_owned();
    let linear = |file: &str| outerscale(&["linear", file, "--scheme", "w8a8-static", "--stats", &stats]);
    refused(&linear(&other), "another model; its linears are up");
    bench.set_f32("x", &[2, 3], &[1.0; 6]);
    bench.set_f32("w", &[4, 3], &[1.0; 12]);
    bench.set_f32("calib_absmax", &[3], &[1.0; 3]);
    bench.remove("sentence_id");
    fs::write(&file, bench.bytes()).unwrap();
    refused(&linear(&file), "K = 5 for up, whose input has K = 3");
    let out = bench.path("out");
    refused(&calibrate(&[&file, "--merge", &stats], &out), "another model than the files");
    refused(&calibrate(&[&file, &other, &stats], &out), "stats: ");
    refused(&outerscale(&["linear", &file, "--stats", &file]), "holds no statistics");
    assert!(!out.exists(), "nothing half-written");
}

#[test]
fn bad_calls_are_refused_in_one_line() {
    let mut bench = Bench::new();
    let file = layer(&mut bench, "up.safetensors");
    let out = bench.path("out");
    refused(&calibrate(&[], &out), "required");
    refused(&calibrate(&[&file], Path::new("/nowhere/at/all")), "cannot be written");
    refused(&calibrate(&[&file], Path::new(&file)), "is the input");
    refused(&outerscale(&["linear", &file, "--observer", "mse"]), "--stats");
    refused(&outerscale(&["linear", &file, "--stats", "none", "--observer", "max"]), "the observers are");
    refused(&outerscale(&["linear", &file, "--scheme", "w8a8-hybrid"]), "calib_absmax: does not tell the spread");
    bench.set_zeros("x", Dtype::F32, &[0, 5]);
    bench.set_zeros("sentence_id", Dtype::I32, &[0]);
    fs::write(&file, bench.bytes()).unwrap();
    refused(&calibrate(&[&file], &out), "nothing to calibrate from");
    assert!(!out.exists(), "nothing half-written");
}

#[test]
fn captures_hold_several_linears() {
    let mut bench = Bench::new();
    for name in ["x", "w", "bias", "calib_absmax"] {
        bench.remove(name);
    }
    bench.set_f32("L0_qkv", &[3, 2], &[1.0, -2.0, 3.0, 0.0, f32::NAN, 1.0]);
    bench.set_f32("L0_out", &[3, 4], &[0.5; 12]);
    bench.set("sentence_id", Dtype::I32, &[3], [0i32, 0, 1].iter().flat_map(|id| id.to_le_bytes()).collect());
    let (file, out) = (bench.path("capture"), bench.path("out"));
    fs::write(&file, bench.bytes()).unwrap();
    let report = json(&calibrate(&[file.to_str().unwrap()], &out));
    let qkv = &report["linears"]["L0_qkv"];
    assert_eq!((qkv["absmax"]["absmax"].as_f64(), qkv["non_finite"].as_u64()), (Some(3.0), Some(1)));
    assert_eq!((qkv["samples"].as_u64(), report["linears"]["L0_out"]["k"].as_u64()), (Some(2), Some(4)));
    assert_eq!(report["linears"]["L0_out"]["hybrid"], "static");
    bench.set_f32("L0_out", &[2, 4], &[0.5; 8]);
    fs::write(&file, bench.bytes()).unwrap();
    refused(&calibrate(&[file.to_str().unwrap()], &out), "as many tokens as the other linears");
}
