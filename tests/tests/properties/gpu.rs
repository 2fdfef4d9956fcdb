//! The same tests on a GPU, where there is one.

use outerscale::gpu::Driver;
use outerscale_tests::harness::{gpu, skipped};
use std::process::Command;

/// In the second process: what it runs on.
const ON_GPU: &str = "OUTERSCALE_TESTS_ON_GPU";

#[test]
fn the_same_on_a_gpu() {
    if std::env::var_os(ON_GPU).is_some() {
        return assert_eq!(gpu().driver(), Driver::Cuda);
    }
    // A driver cannot be changed in a process that has one, so another is asked what there is.
    let again = |arguments: &[&str]| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments).env(ON_GPU, "1").env("OUTERSCALE_BACKEND", "cuda").output().unwrap()
    };
    let text = |output: &std::process::Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let probe = again(&["--exact", "gpu::the_same_on_a_gpu"]);
    if !probe.status.success() {
        let text = text(&probe);
        let why = text.lines().find(|line| line.contains("no CUDA device"));
        // Any other failure is one: a GPU that cannot be opened must not pass for no GPU.
        let why = why.unwrap_or_else(|| panic!("the test process on a GPU failed:\n{text}"));
        return skipped("the kernels on a GPU", why.trim(), "OUTERSCALE_REQUIRE_GPU");
    }
    let all = again(&[]);
    assert!(all.status.success(), "on the GPU:\n{}", text(&all));
}
