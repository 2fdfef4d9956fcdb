//! `ptx-sim`: runs one kernel of a PTX file on the CPU and says what it did wrong and what it cost.

mod annotate;
mod args;
mod buffers;
mod numbers;
mod report;
mod run;
mod spec;
mod tensors;
mod text;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::Args;

/// What the program ends with.
struct Done {
    /// What is printed.
    text: String,
    /// Whether there is nothing to complain about.
    clean: bool,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            eprintln!("ptx-sim: {}", one_line(&error.to_string()));
            return ExitCode::from(2);
        }
        Err(help_or_version) => {
            // Who closes a pipe has read enough.
            _ = help_or_version.print();
            return ExitCode::SUCCESS;
        }
    };
    match run::run(&args) {
        Ok(done) => {
            if let Err(error) = std::io::stdout().lock().write_all(done.text.as_bytes())
                && error.kind() != std::io::ErrorKind::BrokenPipe
            {
                eprintln!("ptx-sim: the report cannot be written: {error}");
                return ExitCode::from(2);
            }
            ExitCode::from(if done.clean { 0 } else { 1 })
        }
        Err(message) => {
            eprintln!("ptx-sim: {message}");
            ExitCode::from(2)
        }
    }
}

/// A complaint about the flags without the usage that follows it.
fn one_line(complaint: &str) -> String {
    let lines = complaint.trim_start_matches("error: ").lines().map(str::trim).take_while(|line| !line.is_empty());
    format!("{}; see --help", lines.collect::<Vec<_>>().join(" "))
}
