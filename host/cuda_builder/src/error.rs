//! What can go wrong between a crate and its PTX.

use crate::{lint::Finding, marker::MarkerError, text::TextError, toolchain::ToolchainError};
use std::{fmt, io, path::PathBuf};

/// Why a build gave no PTX.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CudaBuilderError {
    /// There is no crate at the path given to `CudaBuilder::new`.
    #[error("{0} is not a crate: it has no Cargo.toml")]
    CratePathDoesntExist(PathBuf),
    /// The manifest cannot be used.
    #[error("{path}: {why}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An option that only Rust-CUDA's libNVVM back end can honour.
    #[error("CudaBuilder::{option} cannot be honoured: {why}")]
    Unsupported {
        /// The call, with its argument.
        option: String,
        /// What to do instead.
        why: &'static str,
    },
    /// No compiler that can compile `core` for the GPU.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The nested cargo failed.
    #[error("compiling {krate} for {arch} failed ({status}):\n{stderr}")]
    BuildFailed {
        /// The crate's name.
        krate: String,
        /// The architecture.
        arch: String,
        /// How cargo ended.
        status: String,
        /// What cargo and rustc said.
        stderr: String,
    },
    /// The compiler ended well, and wrote no PTX.
    #[error("compiling {krate} for {arch} wrote no PTX at {path}: delete {target_dir} and build again")]
    NothingEmitted {
        /// The crate's name.
        krate: String,
        /// The architecture.
        arch: String,
        /// Where the PTX was expected.
        path: PathBuf,
        /// The device target directory.
        target_dir: PathBuf,
    },
    /// A `//@kernel` line cannot be understood.
    #[error("{krate}: {error}")]
    Marker {
        /// The crate's name.
        krate: String,
        /// What is wrong.
        error: MarkerError,
    },
    /// The PTX has not the form that the text pass knows.
    #[error("{krate}: {error}")]
    Text {
        /// The crate's name.
        krate: String,
        /// What is wrong.
        error: TextError,
    },
    /// The PTX would run wrongly or slowly.
    #[error("{krate} for {arch} is refused ({path}):{}", list(findings))]
    Lint {
        /// The crate's name.
        krate: String,
        /// The architecture.
        arch: String,
        /// The PTX, for reading.
        path: PathBuf,
        /// What was found, entry by entry.
        findings: Vec<Finding>,
    },
    /// The PTX could not be copied to where `copy_to` says.
    #[error("cannot copy the PTX to {path}: {error}")]
    FailedToCopyPtxFile {
        /// Where to.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file could not be read or written.
    #[error("{what} {path}: {error}")]
    Io {
        /// What was tried: "cannot read", "cannot write" ...
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl fmt::Debug for CudaBuilderError {
    /// As `Display`: a build script whose `main` returns the error prints it in this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl CudaBuilderError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| CudaBuilderError::Io { what, path, error }
    }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("\n  {finding}")).collect()
}
