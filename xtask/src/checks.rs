//! The demonstration, the tests and the lint.

use crate::{
    process::{cargo, run},
    suite,
};
use anyhow::{Result, bail};
use std::{env, path::Path};

/// The kernels' workspace, which also compiles for the host.
const DEVICE: [&str; 2] = ["--manifest-path", "kernels-gpu/Cargo.toml"];

/// `outerscale demo`, release build.
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    run(cargo(["run", "--release", "-p", "outerscale", "--", "demo"])?.args(arguments))
}

/// Every test; the property tests a second time where there is a GPU.
pub(crate) fn test(release: bool) -> Result<()> {
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    // The kernels' own profile aborts on panic, which the test harness does not: their tests use the dev profile.
    let mut device = cargo(["test", "--workspace"])?;
    device.args(DEVICE);
    suite::run(profile, vec![device])?;
    if has_gpu() {
        return run(cargo(["test", "-p", "outerscale-tests"])?.args(profile).env("OUTERSCALE_BACKEND", "cuda"));
    }
    if env::var("OUTERSCALE_REQUIRE_GPU").is_ok_and(|value| value == "1") {
        bail!("OUTERSCALE_REQUIRE_GPU=1, and this machine has no NVIDIA driver");
    }
    println!("SKIPPED: property tests on a GPU (no NVIDIA driver on this machine; they ran on the simulator)");
    Ok(())
}

/// Formatting, clippy and rustdoc of both workspaces; a warning is a failure.
pub(crate) fn lint() -> Result<()> {
    let workspaces: [&[&str]; 2] = [&[], &DEVICE];
    for workspace in workspaces {
        run(cargo(["fmt", "--all", "--check"])?.args(workspace))?;
    }
    for workspace in workspaces {
        let clippy = cargo(["clippy", "--workspace", "--all-targets"]);
        run(clippy?.args(workspace).args(["--", "-D", "warnings"]))?;
        let doc = cargo(["doc", "--workspace", "--no-deps"]);
        run(doc?.args(workspace).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}

/// Whether the kernel has NVIDIA's driver (under WSL: the host's).
fn has_gpu() -> bool {
    ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"].iter().any(|path| Path::new(path).exists())
}
