//! Right calls: what they print and write.

use super::{Bench, outerscale, stderr, stdout};
use outerscale::linear::Scheme;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::{fs, process::Output};

/// The one JSON object on stdout.
#[track_caller]
fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    let value: Value = serde_json::from_str(&stdout(output)).expect("stdout is one JSON value");
    assert!(value.is_object());
    value
}

#[test]
fn linear_writes_what_the_kernels_computed() {
    for (scheme, scales) in [("w8a8-token", 3), ("w8a8-tensor", 1), ("w8a8-static", 1)] {
        for (word, dtype) in [("f32", Dtype::F32), ("f16", Dtype::F16), ("bf16", Dtype::BF16)] {
            let bench = Bench::new();
            fs::write(bench.path("out"), "old").unwrap();
            let report = json(&bench.linear(&["--scheme", scheme, "--out-dtype", word, "--json"]));
            assert_eq!((report["scheme"].as_str(), report["tokens"].as_u64()), (Some(scheme), Some(3)));
            assert!(report["relative_error"].as_f64().expect("an error") < 0.02, "{report}");
            let bytes = fs::read(bench.path("out")).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let shape = |name: &str| {
                let view = tensors.tensor(name).unwrap();
                (view.dtype(), view.shape().to_vec())
            };
            assert_eq!(shape("q_x"), (Dtype::I8, vec![3, 5]));
            assert_eq!(shape("s_x"), (Dtype::F32, vec![scales]));
            assert_eq!(shape("q_w"), (Dtype::I8, vec![4, 5]));
            assert_eq!(shape("s_w"), (Dtype::F32, vec![4]));
            assert_eq!(shape("acc"), (Dtype::I32, vec![3, 4]));
            assert_eq!(shape("y"), (dtype, vec![3, 4]));
            assert_eq!(tensors.len(), 6);
            assert_eq!(bench.listing(), ["layer", "out"]);
        }
    }
}

#[test]
fn smoothing_writes_its_factors_and_says_what_it_chose() {
    let mut bench = Bench::new();
    bench.set_f32("calib_absmax", &[5], &[2.0; 5]);
    let factors = |bench: &Bench| -> Vec<f32> {
        let bytes = fs::read(bench.path("out")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let smooth = tensors.tensor("smooth").unwrap();
        assert_eq!((smooth.dtype(), smooth.shape()), (Dtype::F32, &[5][..]));
        smooth.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    for scheme in ["smooth-token", "smooth-static"] {
        let report = json(&bench.linear(&["--scheme", scheme, "--alpha", "1", "--json"]));
        assert_eq!((report["alpha"].as_f64(), &report["alpha_search"]), (Some(1.0), &Value::Null));
        // With alpha 1 the factors are the calibrated magnitudes themselves.
        assert_eq!(factors(&bench), [2.0; 5]);
        bench.set_i32("sentence_id", &[3], &[0, 0, 1]);
        let report = json(&bench.linear(&["--scheme", scheme, "--json"]));
        let search = &report["alpha_search"];
        assert_eq!(search["chosen"], report["alpha"]);
        assert_eq!((&search["tokens"][0], &search["tokens"][1]), (&Value::from(2), &Value::from(1)));
        let curve = search["curve"].as_array().expect("a curve");
        assert!(curve.len() > 10 && curve[0]["alpha"].is_null() && curve[1]["alpha"].as_f64() == Some(0.3), "{search}");
        if report["alpha"].is_null() {
            assert_eq!(factors(&bench), [1.0; 5], "no smoothing has factors of one");
        }
        bench.remove("sentence_id");
    }
}

#[test]
fn outlier_columns_are_written_in_order() {
    for (threshold, columns) in [("0", vec![0, 1, 2, 3, 4]), ("0.99", vec![1]), ("inf", vec![]), ("6", vec![])] {
        for weights in ["f16", "int8"] {
            let mut bench = Bench::new();
            let x = [0.1, -0.99, 0.2, 0.3, 0.4].repeat(3);
            bench.set_f32("x", &[3, 5], &x);
            let flags = ["--scheme", "llm-int8", "--threshold", threshold, "--outlier-weights", weights];
            let text = stdout(&bench.linear(&flags));
            assert!(text.contains(&format!("{} of 5 columns have outliers", columns.len())), "{text}");
            let bytes = fs::read(bench.path("out")).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let written = tensors.tensor("outlier_columns").unwrap();
            assert_eq!((written.dtype(), written.shape()), (Dtype::I32, &[columns.len()][..]));
            let got: Vec<i32> =
                written.data().chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            assert_eq!(got, columns, "threshold {threshold}");
            let report = json(&bench.linear(&[&flags[..], &["--json"]].concat()));
            assert_eq!(report["outlier_columns"].as_array().expect("columns").len(), columns.len());
        }
    }
}

#[test]
fn zero_points_and_sums_are_written() {
    let bench = Bench::new();
    json(&bench.linear(&["--scheme", "w8a8-asym", "--json"]));
    let bytes = fs::read(bench.path("out")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (zp_x, w_sums) = (tensors.tensor("zp_x").unwrap(), tensors.tensor("w_sums").unwrap());
    assert_eq!((zp_x.dtype(), zp_x.shape()), (Dtype::I32, &[3][..]));
    assert_eq!((w_sums.dtype(), w_sums.shape()), (Dtype::I32, &[4][..]));
    let q_w = tensors.tensor("q_w").unwrap();
    let sums = q_w.data().chunks(5).map(|row| row.iter().map(|q| i32::from(*q as i8)).sum::<i32>());
    assert_eq!(w_sums.data(), sums.flat_map(i32::to_le_bytes).collect::<Vec<u8>>());
}

#[test]
fn presets_say_whose_codes_they_are() {
    let bench = Bench::new();
    let report = json(&bench.linear(&["--preset", "bitsandbytes", "--json"]));
    assert_eq!((report["scheme"].as_str(), report["preset"].as_str()), (Some("w8a8-token"), Some("bitsandbytes")));
    let bytes = fs::read(bench.path("out")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let shapes = ["absmax_x", "absmax_w"].map(|name| tensors.tensor(name).unwrap().shape().to_vec());
    assert_eq!(shapes, [[3], [4]], "bitsandbytes stores the absmax");
    for preset in ["vllm", "compressed-tensors", "torchao", "onnxruntime", "roundf"] {
        let report = json(&bench.linear(&["--preset", preset, "--scheme", "w8a8-static", "--json"]));
        assert_eq!(report["preset"].as_str(), Some(preset));
    }
}

#[test]
fn accumulators_are_those_of_the_codes() {
    let bench = Bench::new();
    json(&bench.linear(&["--json"]));
    let bytes = fs::read(bench.path("out")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let codes = |name: &str| -> Vec<i64> {
        tensors.tensor(name).unwrap().data().iter().map(|byte| i64::from(*byte as i8)).collect()
    };
    let (q_x, q_w) = (codes("q_x"), codes("q_w"));
    let acc: Vec<i64> = tensors
        .tensor("acc")
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|b| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        .collect();
    let want: Vec<i64> = q_x
        .chunks(5)
        .flat_map(|x| q_w.chunks(5).map(|w| x.iter().zip(w).map(|(x, w)| x * w).sum()).collect::<Vec<i64>>())
        .collect();
    assert_eq!(acc, want);
    assert!(acc.iter().any(|a| *a != 0));
}

#[test]
fn no_tokens_are_a_valid_layer() {
    for scheme in ["w8a8-token", "w8a8-tensor", "w8a8-static", "w8a8-running"] {
        let mut bench = Bench::new();
        bench.set_zeros("x", Dtype::BF16, &[2, 0, 5]);
        let report = json(&bench.linear(&["--scheme", scheme, "--json"]));
        assert_eq!(report["tokens"].as_u64(), Some(0));
        let bytes = fs::read(bench.path("out")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.tensor("y").unwrap().shape(), [0, 4]);
        if scheme == "w8a8-tensor" {
            assert_eq!(tensors.tensor("s_x").unwrap().data(), 1f32.to_le_bytes(), "the scale of nothing is 1");
        }
    }
}

#[test]
fn nan_and_inf_are_data() {
    let mut bench = Bench::new();
    let mut x = [0.5; 15];
    x[7] = f32::NAN;
    x[11] = f32::INFINITY;
    bench.set_f32("x", &[3, 5], &x);
    json(&bench.linear(&["--json"]));
    let bytes = fs::read(bench.path("out")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let y = tensors.tensor("y").unwrap();
    let y: Vec<u32> = y.data().chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert!(y[..4].iter().all(|bits| f32::from_bits(*bits).is_finite()), "{y:x?}");
    assert!(y[4..8].iter().all(|bits| *bits == 0x7fff_ffff), "{y:x?}");
    let report = json(&bench.linear(&["--scheme", "w8a8-static", "--json"]));
    assert_eq!(report["non_finite"].as_u64(), Some(2));
}

#[test]
fn demo_is_equal_in_every_line() {
    let report = json(&outerscale(&["demo", "--json"]));
    assert_eq!(report["equal"], Value::Bool(true), "{report:#}");
    assert_eq!(report["schemes"].as_array().expect("schemes").len(), Scheme::ALL.len());
    // A figure worked out independently in float64 for the whole model: per-token errors are about 1 %.
    let token = report["schemes"][0]["relative_error"].as_f64().expect("an error");
    assert!((0.003..0.03).contains(&token), "{token}");
}

#[test]
fn verify_tells_each_kernel() {
    let report = json(&outerscale(&["verify", "--only", "pack_rows", "--seed", "7", "--json"]));
    assert_eq!(report["equal"], Value::Bool(true));
    let kernels = report["kernels"].as_array().expect("kernels");
    assert_eq!(kernels.len(), 1);
    assert_eq!(kernels[0]["verdict"], "equal");
    assert!(kernels[0]["cases"].as_u64().expect("a count") > 50);
    let text = stdout(&outerscale(&["verify", "--only", "row_absmax_f32"]));
    assert!(text.contains("1 of 1 kernels equal to the oracle bit for bit, seed 0"), "{text}");
}

#[test]
fn verify_runs_under_several_schedules() {
    let report = json(&outerscale(&["verify", "--only", "row_absmax", "--schedules", "3", "--json"]));
    let schedules = report["schedules"].as_array().expect("schedules");
    let names: Vec<_> = schedules.iter().map(|schedule| schedule["schedule"].as_str().expect("a name")).collect();
    assert_eq!(names, ["late", "eager", "random:0"]);
    for schedule in schedules {
        assert_eq!(schedule["equal"], schedule["kernels"], "{report:#}");
        assert_eq!(schedule["cases"], schedules[0]["cases"]);
    }
    let kernels = schedules[0]["kernels"].as_u64().expect("a count");
    assert_eq!(report["kernels"].as_array().map(Vec::len), Some(3 * kernels as usize));
    let text = stdout(&outerscale(&["verify", "--only", "row_absmax_f32", "--schedules", "2"]));
    assert!(text.contains("schedule eager: 1 of 1 equal"), "{text}");
    assert!(text.contains("1 of 1 kernels equal to the oracle bit for bit under 2 schedules, seed 0"), "{text}");
    let refused = outerscale(&["verify", "--schedules", "0"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn bench_says_that_simulated_time_is_none_of_a_gpu() {
    let output = outerscale(&["bench", "--only", "quantize_token", "--shape", "4,4,64"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(text.contains("Simulator time is not GPU time") && text.contains("equal"), "{text}");
    assert!(!text.contains("GB/s"), "{text}");
}

#[test]
fn inspect_and_devices_report() {
    let report = json(&outerscale(&["inspect", "pack_rows", "--json"]));
    assert_eq!(report["kernels"][0]["kernel"], "pack_rows");
    assert!(report["kernels"][0]["blocks_per_multiprocessor"].as_u64().expect("a count") > 0);
    assert!(report["kernels"][0]["simulated"]["warp_instructions"].as_u64().expect("a count") > 0);
    let metric = |name: &str| report["kernels"][0]["simulated"]["metrics"][name].as_u64().expect(name);
    let sectors = "memory_l2_theoretical_sectors_global";
    assert!(metric(sectors) >= metric(&format!("{sectors}_ideal")) && metric(&format!("{sectors}_ideal")) > 0);
    let devices = json(&outerscale(&["devices", "--json"]));
    assert_eq!(devices["driver"], "sim");
    assert!(devices["built_for"].as_array().expect("a list").contains(&Value::from("sm_80")));
}

#[test]
fn the_log_tells_the_variant_and_why() {
    let bench = Bench::new();
    fs::write(bench.path("layer"), bench.bytes()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_outerscale"))
        .args(["linear", super::text(&bench.path("layer"))])
        .env("OUTERSCALE_BACKEND", "sim")
        .env("OUTERSCALE_LOG", "info")
        .output()
        .unwrap();
    let log = stderr(&output);
    assert!(log.contains("quantize_token_f32 (") && log.contains("threads hold the row"), "{log}");
    assert!(log.contains("gemm_t16x64_f32 (the fewest clocks modelled, "), "{log}");
}

#[test]
fn inspect_takes_any_architecture_that_the_kernels_run_on() {
    // Simulated, so with occupancy; the simulator has none like the second.
    let hopper = json(&outerscale(&["inspect", "gemm_t128x128_f32", "--arch", "sm_90a", "--json"]));
    assert_eq!((&hopper["target"], &hopper["place"]["arch"]), (&Value::from("sm_90a"), &Value::from("sm_90a")));
    assert_eq!(hopper["kernels"].as_array().expect("a list").len(), 1);
    assert_eq!(hopper["kernels"][0]["blocks_per_multiprocessor"], 2);
    let ampere = json(&outerscale(&["inspect", "gemm_t128x256s3_f32", "--arch", "sm_80", "--json"]));
    assert_eq!(ampere["kernels"][0]["blocks_per_multiprocessor"], 1, "two tiles do not fit in 164 KiB");
    let blackwell = json(&outerscale(&["inspect", "pack_rows", "--arch", "sm_120", "--json"]));
    assert_eq!(blackwell["kernels"][0]["blocks_per_multiprocessor"], Value::Null);
    assert!(blackwell["kernels"][0]["simulated"]["warp_instructions"].as_u64().expect("a count") > 0);
}

#[test]
fn inspect_assembles_hoppers_kernels_without_being_told_for_what() {
    let report = json(&outerscale(&["inspect", "gemm_d128x8_i32", "--json"]));
    assert_eq!(report["target"], "sm_90a");
    assert_eq!(report["kernels"].as_array().expect("a list").len(), 1);
}

#[test]
fn inspect_lists_what_was_asked_for_alone() {
    let text = stdout(&outerscale(&["inspect", "gemm_t64x64_i32"]));
    assert!(text.contains("gemm_t64x64_i32") && !text.contains("quantize_"), "{text}");
}

#[test]
fn a_reader_who_leaves_is_no_failed_comparison() {
    for arguments in [&["--help"][..], &["devices"], &["inspect", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_outerscale"))
            .args(arguments)
            .env("OUTERSCALE_BACKEND", "sim")
            .stdout(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(141), "{arguments:?}");
    }
}

#[test]
fn a_stderr_that_takes_nothing_is_no_panic() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_outerscale"));
    assert_eq!(command.arg("nonsense").stderr(full).status().unwrap().code(), Some(2));
}
