//! The library's errors: each says what, where, and how to mend it, in one line.

use crate::gpu::DriverError;
use std::path::PathBuf;

/// The library's results.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument breaks a rule of an operation.
    #[error("{op}: {argument}: {rule}")]
    Argument {
        /// The operation.
        op: &'static str,
        /// The argument, as the operation names it.
        argument: &'static str,
        /// The rule, and what was given.
        rule: String,
    },

    /// A kernel variant that was asked for by name cannot be used.
    #[error("{op}: variant {wanted}: {reason}")]
    Variant {
        /// The operation.
        op: &'static str,
        /// The variant asked for.
        wanted: String,
        /// Why not, and which there are.
        reason: String,
    },

    /// A call of the CUDA driver failed.
    #[error("{call} failed{about}: {source}{explanation}")]
    Cuda {
        /// The driver's function.
        call: &'static str,
        /// The kernel it was about, written " for kernel NAME"; may be empty.
        about: String,
        /// The driver's answer.
        source: DriverError,
        /// The simulator's explanation or the JIT's log, written "; ..."; may be empty.
        explanation: String,
    },

    /// No driver, no device, none that the kernels run on, or no kernel of the name that was asked for.
    #[error("{0}")]
    Backend(String),

    /// An input file breaks a rule.
    #[error("{}: {}{rule}", file.display(), tensor_prefix(tensor))]
    Input {
        /// The file.
        file: PathBuf,
        /// The tensor, where the rule is about one.
        tensor: Option<String>,
        /// The rule, and what was found.
        rule: String,
    },

    /// An output file cannot be written.
    #[error("{}: {rule}", file.display())]
    Output {
        /// The file.
        file: PathBuf,
        /// What is in the way.
        rule: String,
    },
}

fn tensor_prefix(tensor: &Option<String>) -> String {
    tensor.as_ref().map_or(String::new(), |name| format!("tensor {name}: "))
}

impl Error {
    pub(crate) fn argument(op: &'static str, argument: &'static str, rule: impl Into<String>) -> Error {
        Error::Argument { op, argument, rule: rule.into() }
    }

    pub(crate) fn input(file: &std::path::Path, tensor: Option<&str>, rule: impl Into<String>) -> Error {
        Error::Input { file: file.into(), tensor: tensor.map(str::to_owned), rule: rule.into() }
    }
}
