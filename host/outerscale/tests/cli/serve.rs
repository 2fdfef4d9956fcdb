//! `bench --serve`, which the measuring run asks.

use super::stderr;
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// Sends lines, and gives back the answers.
fn ask(lines: &[String]) -> (Output, Vec<Value>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outerscale"))
        .args(["bench", "--serve", "--backend", "sim"])
        .env_remove("OUTERSCALE_LOG")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all((lines.join("\n") + "\n").as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let answers =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output, answers)
}

/// A job as bench/shapes.py makes them, with what only the peers need.
fn job(op: &str, (m, n, k): (u64, u64, u64), data: &str, out: &str) -> String {
    let job = json!({
        "group": "g", "name": "n", "op": op, "m": m, "n": n, "k": k, "data": data, "out": out,
        "peers": ["triton int8"], "rounds": 1, "seconds": 0.05,
    });
    json!({ "prepare": job }).to_string()
}

#[test]
fn jobs_are_answered_line_by_line() {
    let time = || json!({"time": "ours"}).to_string();
    let lines = [
        job("gemm", (3, 70, 130), "normal", "bf16"),
        time(),
        job("gemm", (17, 70, 130), "normal", "i32"),
        time(),
        job("layer", (2, 70, 130), "uniform", "bf16"),
        time(),
        job("quantize_token", (5, 1, 130), "normal", "bf16"),
        time(),
        job("copy", (4096, 1, 1), "normal", "bf16"),
        time(),
        json!({"kernels": null}).to_string(),
    ];
    let (output, answers) = ask(&lines);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(answers.len(), 1 + lines.len());
    assert_eq!(answers[0]["place"]["driver"], "sim");
    // The codes of w do not depend on M; those of another distribution are others.
    assert_eq!(answers[1]["w_codes"], answers[3]["w_codes"]);
    assert_ne!(answers[1]["w_codes"], answers[5]["w_codes"]);
    assert_eq!((&answers[7]["w_codes"], &answers[9]["x_codes"]), (&Value::Null, &Value::Null));
    for index in [2, 4, 6, 8, 10] {
        assert!(answers[index]["median_us"].as_f64().unwrap() > 0.0, "{}", answers[index]);
        assert_eq!(answers[index]["who"], "ours");
    }
    assert!(answers[4]["kernel"].as_str().unwrap().ends_with("_i32"), "{}", answers[4]);
    assert!(answers[6]["kernel"].as_str().unwrap().contains(" + gemm_"), "{}", answers[6]);
    let kernels = answers[11]["kernels"].as_array().unwrap();
    assert!(kernels.iter().any(|kernel| kernel["kernel"].as_str().unwrap().starts_with("quantize_token_")));
    assert!(kernels.iter().all(|kernel| kernel["local_bytes"] == 0 && kernel["binary_version"].as_u64() >= Some(80)));
    assert!(answers[11]["modules"].as_array().unwrap().iter().all(|module| module["seconds"].as_f64() > Some(0.0)));
}

#[test]
fn an_error_is_the_last_answer() {
    let time = json!({"time": "ours"}).to_string();
    let (output, answers) = ask(&[time.clone(), time]);
    assert_eq!((output.status.code(), answers.len()), (Some(2), 2));
    assert!(answers[1]["error"].as_str().unwrap().contains("no job was made ready"), "{}", answers[1]);
    let (output, answers) = ask(&["{}".to_owned()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(answers[1]["error"].as_str().unwrap().contains("is no request of --serve"), "{}", answers[1]);
}
