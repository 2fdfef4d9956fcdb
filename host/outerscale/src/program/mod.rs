//! What the programs over this library have in common, `outerscale` and the examples: flags, tables, how they end.

pub mod report;
pub mod scheme;
pub mod stats;

use crate::{Backend, Error, Gpu, Result};
use clap::{Args, Parser, error::ErrorKind};
use report::Output;
use std::{io::Write, process::ExitCode};

/// The flags that every command has.
#[derive(Args, Clone)]
pub struct Common {
    /// The driver: auto takes a GPU where there is one, else the simulator [default: $OUTERSCALE_BACKEND or auto].
    #[arg(long, value_name = "BACKEND", value_parser = ["auto", "cuda", "sim"])]
    backend: Option<String>,
    /// Use the kernels compiled for this architecture, such as sm_80; inspect takes any that they run on.
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Print one JSON object on stdout and nothing else there.
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// The backend that was asked for, by the flag or else by the environment.
    ///
    /// # Errors
    /// [`Error::Backend`] where the word is none of them.
    pub fn backend(&self) -> Result<Backend> {
        match &self.backend {
            Some(word) => word.parse().map_err(Error::Backend),
            None => Backend::from_env(),
        }
    }

    /// Opens the GPU that was asked for, or the simulator.
    ///
    /// # Errors
    /// As [`Gpu::open_with_arch`].
    pub fn open(&self) -> Result<Gpu> {
        Gpu::open_with_arch(self.backend()?, self.arch.as_deref())
    }
}

/// What a command ends with: what it prints and whether every comparison held.
pub struct Done {
    /// What it prints.
    pub output: Output,
    /// Whether every comparison held.
    pub right: bool,
}

/// Starts the log (`OUTERSCALE_LOG`, else `RUST_LOG`) and reads the command line.
///
/// # Errors
/// What to end with, where the command line asks for help or is wrong; all is said then.
pub fn start<C: Parser>() -> std::result::Result<C, ExitCode> {
    let logged = env_logger::Env::new().filter_or("OUTERSCALE_LOG", std::env::var("RUST_LOG").unwrap_or_default());
    env_logger::Builder::from_env(logged).init();
    C::try_parse().map_err(|error| usage(&error, C::command().get_name()))
}

/// Prints what a command made, and says what to end with: 0 right, 1 a comparison failed, 2 the call or the input
/// is wrong.
pub fn end<E: std::fmt::Display>(json: bool, result: std::result::Result<Done, E>) -> ExitCode {
    match result {
        Ok(done) => {
            if let Err(error) = done.output.print(json) {
                return unprinted(&error);
            }
            if done.right { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => complain(&error.to_string()),
    }
}

/// What to end with when stdout takes no more.
fn unprinted(error: &std::io::Error) -> ExitCode {
    // Whoever reads a pipe may stop early: no reason to complain. 128 + SIGPIPE, as other programs end then.
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        ExitCode::from(141)
    } else {
        complain(&format!("stdout cannot be written: {error}"))
    }
}

/// One line on stderr, and status 2.
fn complain(what: &str) -> ExitCode {
    let line: Vec<_> = what.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // Names of tensors and files are anyone's: nothing in them may move the cursor or colour the terminal.
    let line = line.join(" ").replace(char::is_control, "\u{fffd}");
    // With stderr gone the status still tells.
    _ = writeln!(std::io::stderr(), "error: {line}");
    ExitCode::from(2)
}

/// Help and version as clap prints them; what is wrong with a call in one line.
fn usage(error: &clap::Error, program: &str) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return error.print().map_or_else(|error| unprinted(&error), |()| ExitCode::SUCCESS);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return complain(&format!("a command is missing; {program} --help lists them"));
    }
    let text = error.to_string();
    let what = text.split("\n\nUsage:").next().unwrap_or_default().trim_start_matches("error: ");
    let what = what.split("\n\nFor more information").next().unwrap_or_default();
    complain(&format!("{}; see {program} --help", what.trim()))
}
