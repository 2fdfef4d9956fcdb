//! Wrong calls and wrong files: status 2, one line, and the old output untouched.

use super::{Bench, assert_refused, outerscale, stderr, text};
use safetensors::Dtype;
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

/// What makes the layer wrong, and what the message must hold.
type Spoiled = (fn(&mut Bench), &'static str);

/// Runs `linear` over an output that exists, and asserts that it stays and nothing else appears.
#[track_caller]
fn refused(bench: &Bench, flags: &[&str], what: &str) {
    fs::write(bench.path("out"), "old").unwrap();
    assert_refused(&bench.linear(flags), what);
    assert_eq!(fs::read(bench.path("out")).unwrap(), b"old", "the old output was touched");
    assert_eq!(bench.listing(), ["layer", "out"], "something was left behind");
}

#[test]
fn wrong_tensors_are_named() {
    let cases: [Spoiled; 13] = [
        (|b| b.remove("x"), "layer: tensor x: is missing"),
        (|b| b.remove("w"), "layer: tensor w: is missing"),
        (|b| b.set_zeros("x", Dtype::F32, &[]), "tensor x: must be [.., K]"),
        (|b| b.set_zeros("w", Dtype::F32, &[2, 2, 5]), "tensor w: must be [N, K], is [2, 2, 5]"),
        (|b| b.set_zeros("w", Dtype::F32, &[4, 6]), "tensor w: must be [N, 5]"),
        (|b| b.set_zeros("x", Dtype::I32, &[3, 5]), "tensor x: must be F32, F16 or BF16, is I32"),
        (|b| b.set_zeros("bias", Dtype::F64, &[4]), "tensor bias: must be F32, F16 or BF16, is F64"),
        (|b| b.set_zeros("bias", Dtype::F32, &[5]), "tensor bias: must be [N] = [4], is [5]"),
        (|b| b.set_zeros("calib_absmax", Dtype::F32, &[4]), "tensor calib_absmax: must be [K] = [5], is [4]"),
        (|b| b.set_zeros("w", Dtype::F32, &[0, 5]), "tensor w: N and K must be at least 1"),
        (
            |b| {
                b.set_zeros("x", Dtype::F32, &[3, 0]);
                b.set_zeros("w", Dtype::F32, &[4, 0]);
            },
            "tensor w: N and K must be at least 1",
        ),
        (
            |b| {
                b.set_zeros("x", Dtype::F16, &[1, 133_145]);
                b.set_zeros("w", Dtype::F16, &[1, 133_145]);
            },
            "tensor x: K must be at most 133144",
        ),
        (|b| b.set_f32("calib_absmax", &[5], &[1.0, f32::NAN, 1.0, 1.0, 1.0]), "tensor calib_absmax: [1]"),
    ];
    for (spoil, what) in cases {
        let mut bench = Bench::new();
        spoil(&mut bench);
        refused(&bench, &[], what);
    }
}

#[test]
fn a_static_scale_must_be_there_and_in_range() {
    let mut bench = Bench::new();
    bench.remove("calib_absmax");
    refused(&bench, &["--scheme", "w8a8-static"], "tensor calib_absmax: is missing");
    for absmax in [0.0, 1e-35, f32::INFINITY] {
        bench.set_f32("calib_absmax", &[5], &[absmax; 5]);
        refused(&bench, &["--scheme", "w8a8-static"], "a scale must lie in [2^-100, 2^100]");
    }
}

#[test]
fn presets_have_their_schemes() {
    let bench = Bench::new();
    let cases = [
        ("vllm", "w8a8-asym", "there is none for w8a8-asym: take w8a8-token or w8a8-static"),
        ("torchao", "llm-int8", "there is none for llm-int8: take w8a8-token or w8a8-static"),
        ("onnxruntime", "w8a8-token", "onnxruntime has no codes of this scheme: take w8a8-static"),
        ("bitsandbytes", "w8a8-static", "bitsandbytes has no codes of this scheme: take w8a8-token"),
        ("cutlass", "w8a8-token", "invalid value 'cutlass'"),
    ];
    for (preset, scheme, what) in cases {
        refused(&bench, &["--preset", preset, "--scheme", scheme], what);
    }
}

#[test]
fn smoothing_must_be_possible() {
    for scheme in ["smooth-token", "smooth-static"] {
        let fixed = ["--scheme", scheme, "--alpha", "0.5"];
        let mut bench = Bench::new();
        for alpha in ["-0.1", "1.01", "nan", "half"] {
            let flag = format!("--alpha={alpha}");
            refused(&bench, &["--scheme", scheme, &flag], "must be auto or a number in [0, 1]");
        }
        // One sentence, or none named: nothing for one half to judge.
        refused(&bench, &["--scheme", scheme], "alpha: auto needs the tokens of at least two sentences");
        bench.set_i32("sentence_id", &[3], &[4; 3]);
        refused(&bench, &["--scheme", scheme, "--alpha", "auto"], "give a number in [0, 1]");
        bench.set_f32("calib_absmax", &[5], &[1.0, f32::INFINITY, 1.0, 1.0, 1.0]);
        refused(&bench, &fixed, "tensor calib_absmax: channel 1 must have finite magnitudes");
        bench.remove("calib_absmax");
        refused(&bench, &fixed, "tensor calib_absmax: is missing");
        let mut bench = Bench::new();
        let mut w = [0.5; 20];
        w[7] = f32::NAN;
        bench.set_f32("w", &[4, 5], &w);
        refused(&bench, &fixed, "w: channel 2 must have finite magnitudes");
    }
    let mut bench = Bench::new();
    bench.set_f32("calib_absmax", &[5], &[0.0; 5]);
    refused(&bench, &["--scheme", "smooth-static", "--alpha", "0.5"], "a scale must lie in [2^-100, 2^100]");
}

#[test]
fn files_that_are_no_layers() {
    let bench = Bench::new();
    let good = bench.bytes();
    let mut lying = good.clone();
    // The header says that the first tensor ends elsewhere than it does.
    let at = lying.windows(3).position(|bytes| bytes == b"[0,").expect("an offset in the header");
    lying[at + 3] = b'9';
    let cases: [(&str, &[u8]); 5] = [
        ("empty", b""),
        ("text", b"these are not the tensors that you are looking for"),
        ("truncated", &good[..good.len() - 3]),
        ("header_only", &good[..40]),
        ("lying", &lying),
    ];
    for (name, bytes) in cases {
        fs::write(bench.path(name), bytes).unwrap();
        assert_refused(&bench.linear_of(name, &[]), name);
        assert!(!bench.path("out").exists());
    }
    assert_refused(&bench.linear_of("absent", &[]), "absent: cannot be read");
    assert_refused(&outerscale(&["linear", text(bench.directory.path())]), "is no regular file");
}

#[test]
fn outputs_that_cannot_be_written() {
    let bench = Bench::new();
    let missing = bench.path("missing/out");
    assert_refused(&bench.linear(&["--out", text(&missing)]), "cannot be written: No such file or directory");
    let directory = bench.path("directory");
    fs::create_dir(&directory).unwrap();
    assert_refused(&bench.linear(&["--out", text(&directory)]), "is no regular file");
    let locked = bench.path("locked");
    fs::write(&locked, "old").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o444)).unwrap();
    assert_refused(&bench.linear(&["--out", text(&locked)]), "read-only");
    assert_eq!(fs::read(&locked).unwrap(), b"old");
    let layer = bench.path("layer");
    assert_refused(&bench.linear(&["--out", text(&layer)]), "is the input");
    assert_eq!(fs::read(&layer).unwrap(), bench.bytes());
}

#[test]
fn a_threshold_is_a_number_that_is_not_negative() {
    let bench = Bench::new();
    for threshold in ["-1", "-0.001", "-inf", "NaN", "-NaN", "six", ""] {
        let flag = format!("--threshold={threshold}");
        refused(&bench, &["--scheme", "llm-int8", &flag], "must be a number of at least 0, or inf");
    }
    refused(&bench, &["--scheme", "llm-int8", "--threshold", "-6"], "must be a number of at least 0, or inf");
    refused(&bench, &["--scheme", "llm-int8", "--outlier-weights", "f32"], "f16, int8");
}

#[test]
fn calls_that_are_wrong() {
    assert_refused(&outerscale(&[]), "a command is missing");
    assert_refused(&outerscale(&["quantise"]), "quantise");
    let bench = Bench::new();
    refused(&bench, &["--scheme", "w4a4"], "w8a8-token, w8a8-tensor, w8a8-static");
    refused(&bench, &["--out-dtype", "f64"], "f64");
    refused(&bench, &["--backend", "tpu"], "tpu");
    refused(&bench, &["--arch", "sm_1"], "no kernels for \"sm_1\"");
    assert_refused(&outerscale(&["verify", "--only", "gemv"]), "no kernel's name holds \"gemv\"");
    assert_refused(&outerscale(&["inspect", "gemv"]), "no kernel's name holds \"gemv\"");
    assert_refused(&outerscale(&["inspect", "--arch", "sm_1"]), "unknown architecture `sm_1`");
    assert_refused(&outerscale(&["inspect", "--arch", "sm_75"]), "do not run on sm_75");
    assert_refused(&outerscale(&["bench", "--shape", "1,2"]), "three numbers");
}

#[test]
fn a_backend_that_is_not_there() {
    let run = |backend: &str, variable: &str| {
        Command::new(env!("CARGO_BIN_EXE_outerscale"))
            .args(["devices", "--backend", backend])
            .env("OUTERSCALE_BACKEND", variable)
            // Hides every GPU, also where there is one.
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()
            .unwrap()
    };
    assert_refused(&run("cuda", "sim"), "no CUDA device");
    assert!(run("sim", "cuda").status.success(), "the flag counts more than the variable");
    let variable_only = Command::new(env!("CARGO_BIN_EXE_outerscale"))
        .arg("devices")
        .env("OUTERSCALE_BACKEND", "gpu")
        .output()
        .unwrap();
    assert_refused(&variable_only, "OUTERSCALE_BACKEND: a backend is auto, cuda or sim, got \"gpu\"");
}

#[test]
fn names_in_a_file_do_not_reach_the_terminal_as_commands() {
    let mut bench = Bench::new();
    bench.remove("x");
    bench.set_zeros("\u{1b}[31mred\u{7}", Dtype::F32, &[1]);
    let output = bench.linear(&[]);
    assert_refused(&output, "tensor x: is missing");
    assert!(!stderr(&output).trim_end().contains(char::is_control), "{:?}", stderr(&output));
}
