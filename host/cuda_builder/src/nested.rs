//! The nested cargo: one crate, one architecture, PTX as its assembly.

use crate::{CudaBuilderError, toolchain, toolchain::Toolchain};
use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

/// rustc's target for NVIDIA GPUs.
pub(crate) const TARGET: &str = "nvptx64-nvidia-cuda";

/// What is always passed to the compiler of the kernels.
const FLAGS: &[&str] = &[
    // rust-lang/rust#137086: copies barriers and shuffles into both arms of a divergent branch.
    "-Zmir-enable-passes=-JumpThreading",
    // LLVM does the same to inline assembly, which has no way to say "convergent".
    "-Cllvm-args=-simplifycfg-max-small-block-size=0",
    // Accumulators live in registers only when every loop over them is unrolled whole.
    "-Cllvm-args=-unroll-threshold=10000",
];

/// The settings of a kernel's profile: whole-program optimisation, no unwinding. They hold whatever the crate's own
/// manifest says.
const PROFILE: &[&str] = &[
    "profile.release.opt-level=3",
    "profile.release.lto=\"fat\"",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    "profile.release.debug=0",
    "profile.release.strip=\"none\"",
    "profile.release.incremental=false",
    "profile.release.overflow-checks=false",
    "profile.release.debug-assertions=false",
];

/// One compilation.
pub(crate) struct Nested<'a> {
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) crate_dir: &'a Path,
    pub(crate) package: &'a str,
    pub(crate) arch: &'a str,
    pub(crate) target_dir: &'a Path,
    /// Further compiler flags, of the kernels' crate only: `core` is compiled once for every configuration.
    pub(crate) flags: &'a [String],
    pub(crate) build_args: &'a [String],
    /// `(kind, path)`: what to emit beside the library, and where.
    pub(crate) emits: &'a [(&'static str, PathBuf)],
}

/// What cargo said of the kernels' crate.
pub(crate) struct Built {
    /// Whether the compiler ran, or cargo found all in place.
    pub(crate) was_fresh: bool,
    /// The dep-info file of the library.
    pub(crate) dep_info: PathBuf,
}

impl Nested<'_> {
    /// Compiles. The caller holds the lock of the target directory.
    pub(crate) fn run(&self) -> Result<Built, CudaBuilderError> {
        let built = self.compile()?;
        // Cargo knows nothing of what `--emit` with a path wrote: it calls the unit fresh although the file is gone.
        if built.was_fresh && self.emits.iter().any(|(_, path)| !path.is_file()) {
            let mut clean = self.cargo("clean");
            clean.args(["--package", self.package]);
            self.output(&mut clean)?;
            return self.compile();
        }
        Ok(built)
    }

    fn compile(&self) -> Result<Built, CudaBuilderError> {
        let mut rustc = self.cargo("rustc");
        rustc.args(["--lib", "--crate-type", "staticlib", "-Zbuild-std=core"]);
        rustc.arg("--message-format=json-render-diagnostics");
        for setting in PROFILE {
            rustc.args(["--config", setting]);
        }
        rustc.args(self.build_args).arg("--").arg(format!("-Ctarget-cpu={}", self.arch)).args(FLAGS).args(self.flags);
        for (kind, path) in self.emits {
            let mut emit = OsString::from(format!("--emit={kind}="));
            emit.push(path);
            rustc.arg(emit);
        }
        let messages = self.output(&mut rustc)?;
        let (was_fresh, library) = artifact(&messages, self.crate_dir).ok_or_else(|| self.failed("no library", ""))?;
        Ok(Built { was_fresh, dep_info: library.with_extension("d") })
    }

    fn cargo(&self, subcommand: &str) -> Command {
        // In a build script CARGO is the cargo that runs it; rustup's proxy would choose again by folder.
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        for (name, _) in env::vars_os().filter(|(name, _)| is_scrubbed(name)) {
            command.env_remove(name);
        }
        command.args([subcommand, "--quiet", "--release", "--target", TARGET, "--target-dir"]).arg(self.target_dir);
        command.arg("--manifest-path").arg(self.crate_dir.join("Cargo.toml")).current_dir(self.crate_dir);
        command.env("RUSTC", &self.toolchain.rustc).env("RUSTC_BOOTSTRAP", "1").env("RUSTUP_AUTO_INSTALL", "0");
        // Empty, not absent: a configuration file must not bring flags or wrappers in.
        command.env("CARGO_ENCODED_RUSTFLAGS", "").env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
        if let Some(folder) = &self.toolchain.libraries {
            command.env("LD_LIBRARY_PATH", toolchain::library_path(folder));
        }
        command
    }

    /// Runs a cargo; its standard output, or the error with what it said.
    fn output(&self, command: &mut Command) -> Result<String, CudaBuilderError> {
        let output = command.output().map_err(CudaBuilderError::io("cannot start", command.get_program()))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(self.failed(&output.status.to_string(), &stderr));
        }
        // Quiet cargo says warnings only.
        eprint!("{stderr}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn failed(&self, status: &str, stderr: &str) -> CudaBuilderError {
        CudaBuilderError::BuildFailed {
            krate: self.package.to_owned(),
            arch: self.arch.to_owned(),
            status: status.to_owned(),
            stderr: stderr.trim_end().to_owned(),
        }
    }
}

/// The static library of the crate at `crate_dir` in cargo's messages, and whether it was fresh.
fn artifact(messages: &str, crate_dir: &Path) -> Option<(bool, PathBuf)> {
    let manifest = crate_dir.join("Cargo.toml");
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
        let is_own = message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        let library = message["filenames"].as_array()?.iter().filter_map(|name| name.as_str());
        let library = library.into_iter().find(|name| name.ends_with(".a"))?;
        is_own.then(|| (message["fresh"].as_bool().unwrap_or(false), PathBuf::from(library)))
    })
}

/// Whether the outer build's variable would change the nested build.
///
/// Kept: where cargo has its home, how it reaches the network and how many jobs it runs, and which toolchain rustup would choose.
fn is_scrubbed(name: &OsStr) -> bool {
    const KEPT: &[&str] = &[
        "CARGO_BUILD_JOBS",
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "RUSTUP_",
        "RUST_BACKTRACE",
    ];
    const SCRUBBED: &[&str] = &["CARGO", "RUST", "CLIPPY", "DEP_"];
    const EXACT: &[&str] =
        &["TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "OUT_DIR", "NUM_JOBS", "MAKEFLAGS", "MFLAGS"];
    let Some(name) = name.to_str() else { return false };
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    EXACT.contains(&name) || (begins(SCRUBBED) && !begins(KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_build_is_scrubbed() {
        let gone = ["CARGO_PROFILE_RELEASE_LTO", "CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO"];
        let also_gone = ["CLIPPY_ARGS", "TARGET", "DEBUG", "CARGO_ENCODED_RUSTFLAGS", "CARGO_MAKEFLAGS", "DEP_X_ROOT"];
        let kept = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_PROXY", "RUSTUP_HOME", "PATH", "HOME", "TARGETS"];
        assert!(gone.iter().chain(&also_gone).all(|name| is_scrubbed(OsStr::new(name))));
        assert!(kept.iter().all(|name| !is_scrubbed(OsStr::new(name))));
    }

    #[test]
    fn the_own_library_is_found_among_the_messages() {
        let line = |manifest: &str, file: &str, fresh: bool| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"manifest_path\":\"{manifest}\",\"filenames\":[\"{file}\"],\"fresh\":{fresh}}}\n"
            )
        };
        let messages = line("/w/dep/Cargo.toml", "/t/libdep.a", true) + &line("/w/k/Cargo.toml", "/t/libk.a", false);
        assert_eq!(artifact(&messages, Path::new("/w/k")), Some((false, PathBuf::from("/t/libk.a"))));
        assert_eq!(artifact(&messages, Path::new("/w/other")), None);
        assert_eq!(artifact("not json\n", Path::new("/w/k")), None);
    }
}
