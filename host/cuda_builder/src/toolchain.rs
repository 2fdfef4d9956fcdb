//! Finds a compiler for the GPU: one that has the source of its own `core`.
//!
//! No distribution ships `core` compiled for `nvptx64-nvidia-cuda`, so it is compiled here, and compiler and source must be
//! of one version. Looked for in this order: the environment variable [`RUSTC_VARIABLE`]; the active toolchain, when it
//! has the component rust-src; the private folder that `cargo xtask setup` makes.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// The environment variable that names a device compiler; it has precedence.
pub const RUSTC_VARIABLE: &str = "OUTERSCALE_DEVICE_RUSTC";
/// The command that mends a missing compiler.
pub const SETUP: &str = "cargo xtask setup";

/// A compiler that can compile `core` for the GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler's executable.
    pub rustc: PathBuf,
    /// The folder of its shared libraries, where the executable does not find them by itself.
    pub libraries: Option<PathBuf>,
    /// The folder with `bin/rustc` and `lib/rustlib`.
    pub sysroot: PathBuf,
    /// Its version: `1.96.0`.
    pub release: String,
    /// The commit, or another mark of the build; empty when the compiler tells none.
    pub commit: String,
    /// The version of its LLVM, which has as much part in the PTX: `22.1.8`.
    pub llvm: String,
    /// Where it was found.
    pub origin: Origin,
}

/// Where a compiler was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Named by [`RUSTC_VARIABLE`].
    Environment,
    /// The toolchain that compiles the host's crates.
    Active,
    /// `target/toolchain/rustc`.
    Private,
}

/// What the PTX is made by: `rustc 1.96.0 (LLVM 22.1.8)`.
impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rustc {} (LLVM {})", self.release, self.llvm)
    }
}

/// Why there is no usable compiler.
#[derive(Debug, thiserror::Error)]
#[error("no compiler for the GPU: {}. To mend it {mend}", reasons.join("; "))]
pub struct ToolchainError {
    /// Each place, with what is wrong there.
    pub reasons: Vec<String>,
    /// What to do: "run `cargo xtask setup`".
    pub mend: String,
}

/// Finds the compiler for crates at or below `start`.
///
/// # Errors
/// None of the places has one; or the one that the environment names is not usable (the others are not tried then: who
/// names a compiler means that one).
pub fn find(start: &Path) -> Result<Toolchain, ToolchainError> {
    if let Some(named) = env::var_os(RUSTC_VARIABLE).filter(|named| !named.is_empty()) {
        let found = inspect(Path::new(&named), Origin::Environment, start);
        let mend = format!("unset {RUSTC_VARIABLE}, or name a rustc that has its source");
        return found.map_err(|why| ToolchainError { reasons: vec![format!("{RUSTC_VARIABLE}: {why}")], mend });
    }
    // A build script's RUSTC is the compiler itself, also under clippy and rust-analyzer (those wrap by RUSTC_WRAPPER).
    let active = env::var_os("RUSTC").filter(|rustc| !rustc.is_empty()).unwrap_or_else(|| OsString::from("rustc"));
    let mut reasons = match inspect(Path::new(&active), Origin::Active, start) {
        Ok(found) => return Ok(found),
        Err(why) => vec![format!("the active toolchain: {why}")],
    };
    for folder in private_folders(start) {
        let rustc = folder.join("rustc/usr/bin/rustc");
        if !rustc.is_file() {
            continue;
        }
        match inspect(&rustc, Origin::Private, start) {
            Ok(found) => return Ok(found),
            Err(why) => reasons.push(format!("the private folder: {why}")),
        }
    }
    Err(ToolchainError { reasons, mend: format!("run `{SETUP}`") })
}

/// The folders `target/toolchain` beside `start` and above it, then those of the working directory; nearest first.
pub fn private_folders(start: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for start in [Some(start.to_owned()), env::current_dir().ok()].into_iter().flatten() {
        let start = start.canonicalize().unwrap_or(start);
        for folder in start.ancestors().map(|above| above.join("target/toolchain")) {
            if folder.is_dir() && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

/// Looks at one compiler; the error says what it lacks.
///
/// # Errors
/// It does not start, has no source of `core`, or its source is of another version.
pub fn inspect(rustc: &Path, origin: Origin, working_dir: &Path) -> Result<Toolchain, String> {
    let libraries = private_libraries(rustc);
    let ask = |argument: &[&str]| {
        let mut command = Command::new(rustc);
        // A path through rustup's proxies depends on the folder; bare commands must not install anything.
        command.args(argument).env("RUSTUP_AUTO_INSTALL", "0");
        if working_dir.is_dir() {
            command.current_dir(working_dir);
        }
        if let Some(folder) = &libraries {
            command.env("LD_LIBRARY_PATH", library_path(folder));
        }
        let output = command.output().map_err(|error| format!("{} does not start: {error}", rustc.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} failed: {}", rustc.display(), said.lines().next().unwrap_or("no message")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
    let version = ask(&["--version", "--verbose"])?;
    let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned();
    let (release, commit, llvm) = (field("release:"), field("commit-hash:"), field("LLVM version:"));
    check_source(&sysroot, &release)?;
    // The proxy's choice of toolchain depends on the folder: name the compiler itself.
    let own = sysroot.join("bin/rustc");
    let rustc = if own.is_file() { own } else { rustc.to_owned() };
    Ok(Toolchain { rustc, libraries, sysroot, release, commit, llvm, origin })
}

/// Checks that the source of `core` is there and of the compiler's version.
fn check_source(sysroot: &Path, release: &str) -> Result<(), String> {
    let source = sysroot.join("lib/rustlib/src/rust");
    if !source.join("library/core/src/lib.rs").is_file() {
        return Err(format!("rustc {release} has no source of core (component rust-src)"));
    }
    match source_version(&source) {
        Some(version) if version != release => {
            Err(format!("rustc is {release} and its source of core is {version}: they must be of one version"))
        }
        // rustup's component carries no version; it always belongs to the toolchain that it lies in.
        _ => Ok(()),
    }
}

/// The version that a source tree tells of: by its file `version`, else by the folder's name (Debian's rustc-1.96.0).
fn source_version(source: &Path) -> Option<String> {
    if let Ok(text) = std::fs::read_to_string(source.join("version")) {
        return text.split_whitespace().next().map(str::to_owned);
    }
    let real = source.canonicalize().ok()?;
    let name = real.file_name()?.to_str()?;
    name.strip_prefix("rustc-").map(str::to_owned)
}

/// Where an unpacked (not installed) compiler has its libraries: `usr/lib/x86_64-linux-gnu`.
fn private_libraries(rustc: &Path) -> Option<PathBuf> {
    let prefix = rustc.parent()?.parent()?;
    if prefix == Path::new("/usr") {
        return None;
    }
    let holds_driver = |folder: &Path| {
        let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.into_iter().find(|name| name.starts_with("librustc_driver"))
    };
    let folders = std::fs::read_dir(prefix.join("lib")).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.into_iter().filter(|folder| folder.is_dir()).find(|folder| holds_driver(folder).is_some())
}

/// `LD_LIBRARY_PATH` with the compiler's folder first.
pub(crate) fn library_path(folder: &Path) -> OsString {
    let others = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(env::split_paths(&others));
    env::join_paths(folders).unwrap_or_else(|_| folder.as_os_str().to_owned())
}
