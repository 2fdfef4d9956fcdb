//! Child processes: printed, run, and their failure passed on.
//!
//! Children share the terminal's process group, so Ctrl-C ends them together with the task. Whatever a task makes, it
//! makes under a temporary name and renames at the end: an interrupted one leaves nothing half done.

use anyhow::{Context, Result, anyhow, bail};
use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
};

/// A child that ran and failed, after saying why.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Its exit status; 1 when a signal ended it.
    pub(crate) code: u8,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed with status {}", self.code)
    }
}

impl std::error::Error for Failed {}

/// The repository's folder: cargo tells where this package is when it runs a task.
pub(crate) fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").context("run me as `cargo xtask`")?;
    Path::new(&package).parent().map(Path::to_owned).context("the package has no folder above it")
}

/// A program to be run in the repository's folder, as if from the terminal: without what `cargo run` sets for xtask.
pub(crate) fn program(name: &str) -> Result<Command> {
    let mut command = Command::new(name);
    for (variable, _) in env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME" {
            command.env_remove(variable);
        }
    }
    // A task never changes rustup's toolchains.
    command.env("RUSTUP_AUTO_INSTALL", "0").current_dir(root()?);
    Ok(command)
}

/// The cargo that runs this task.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Result<Command> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = program(&cargo)?;
    command.args(arguments);
    Ok(command)
}

/// Prints the command, runs it with this terminal, and fails with its status.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().map_err(|error| cannot_run(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failed { code: status_code(status) }.into())
}

/// A child's status as ours; 1 when a signal ended it.
pub(crate) fn status_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Runs quietly and gives what it printed; an error holds the end of what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| cannot_run(command, &error))?;
    if !output.status.success() {
        bail!("`{}`: {}", shown(command), last_words(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is on PATH.
pub(crate) fn exists(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn cannot_run(command: &Command, error: &std::io::Error) -> anyhow::Error {
    anyhow!("cannot run `{}`: {error}", command.get_program().display())
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    let own = ["RUSTUP_AUTO_INSTALL"];
    let variables = command.get_envs().filter_map(|(name, value)| {
        let name = name.to_str().filter(|name| !own.contains(name))?;
        Some(format!("{name}={} ", quoted(&value?.to_string_lossy())))
    });
    let arguments = command.get_args().map(|argument| format!(" {}", quoted(&argument.to_string_lossy())));
    variables.chain([name]).chain(arguments).collect()
}

fn quoted(text: &str) -> String {
    if text.contains(|c: char| c.is_whitespace() || "'\"$*;&|<>()".contains(c)) || text.is_empty() {
        format!("'{}'", text.replace('\'', "'\\''"))
    } else {
        text.to_owned()
    }
}

/// The last lines that are not empty: where programs say what went wrong.
fn last_words(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let lines: Vec<&str> = said.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()).collect();
    match lines[..] {
        [] => output.status.to_string(),
        _ => lines[lines.len().saturating_sub(4)..].join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["doc", "--no-deps", "a b"]).env("RUSTDOCFLAGS", "-D warnings").env("RUSTUP_AUTO_INSTALL", "0");
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'a b'");
    }

    #[test]
    fn failure_keeps_the_status_and_the_words() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let failed = run(&mut shell("exit 2")).unwrap_err();
        assert_eq!(failed.downcast_ref::<Failed>().unwrap().code, 2);
        let error = output(&mut shell("echo one; echo two >&2; exit 1")).unwrap_err().to_string();
        assert!(error.ends_with("one; two"), "{error}");
        assert_eq!(output(&mut shell("echo yes")).unwrap(), "yes\n");
        assert!(output(&mut Command::new("no-such-program-here")).unwrap_err().to_string().contains("cannot run"));
    }
}
