//! The command line: one table of commands and flags, and what they end with.

mod bench;
mod demo;
mod devices;
mod inspect;
mod linear;
mod report;
mod scheme;
mod verify;

use clap::{Args, Parser, Subcommand, ValueEnum, error::ErrorKind};
use outerscale::{Backend, Dtype, Gpu, verify::Options};
use report::Output;
use std::{io::Write, process::ExitCode};

/// Linear layers with 8-bit activations and 8-bit weights, bit for bit as the numeric contract says.
///
/// Ends with 0 when all is right, 1 when a comparison failed, 2 when the call or the input is wrong.
/// OUTERSCALE_LOG=info tells which kernel variant was chosen and why.
#[derive(Parser)]
#[command(name = "outerscale", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the shipped real layer through every scheme and compare each kernel with the oracle.
    Demo {
        #[command(flatten)]
        common: Common,
    },
    /// Run the layer of a safetensors file: x [.., K], w [N, K], optional bias [N] and calib_absmax [K].
    Linear(linear::Flags),
    /// Hold every kernel variant against the oracle, bit for bit.
    Verify {
        /// Only kernels whose name holds this; an op's name selects the op.
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
        /// Where the data comes from.
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        /// Run under so many schedules of the simulator: late, eager, then drawn from the seeds 0, 1 and so on.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
        schedules: u16,
        #[command(flatten)]
        common: Common,
    },
    /// Registers, spills, shared memory, occupancy, instructions and simulator counters of the kernels.
    Inspect {
        /// Only kernels whose name holds this; an op's name selects the op.
        kernel: Option<String>,
        /// Print the machine code (needs nvdisasm).
        #[arg(long)]
        sass: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Time each kernel with CUDA events on a GPU, after checking its result.
    Bench(bench::Flags),
    /// Say which devices there are and which one would be used.
    Devices {
        #[command(flatten)]
        common: Common,
    },
}

/// The flags that every command has.
#[derive(Args, Clone)]
struct Common {
    /// The driver: auto takes a GPU where there is one, else the simulator [default: $OUTERSCALE_BACKEND or auto].
    #[arg(long, value_name = "BACKEND", value_parser = ["auto", "cuda", "sim"])]
    backend: Option<String>,
    /// Use the kernels compiled for this architecture, such as sm_80; inspect takes any that they run on.
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Print one JSON object on stdout and nothing else there.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn backend(&self) -> outerscale::Result<Backend> {
        match &self.backend {
            Some(word) => word.parse().map_err(outerscale::Error::Backend),
            None => Backend::from_env(),
        }
    }

    fn open(&self) -> outerscale::Result<Gpu> {
        Gpu::open_with_arch(self.backend()?, self.arch.as_deref())
    }
}

/// The output types by their words.
#[derive(Clone, Copy, ValueEnum)]
enum OutDtypeWord {
    F32,
    F16,
    Bf16,
}

impl From<OutDtypeWord> for Dtype {
    fn from(word: OutDtypeWord) -> Dtype {
        match word {
            OutDtypeWord::F32 => Dtype::F32,
            OutDtypeWord::F16 => Dtype::F16,
            OutDtypeWord::Bf16 => Dtype::Bf16,
        }
    }
}

/// What a command ends with: what it prints and whether every comparison held.
pub(crate) struct Done {
    output: Output,
    right: bool,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let logged = env_logger::Env::new().filter_or("OUTERSCALE_LOG", std::env::var("RUST_LOG").unwrap_or_default());
    env_logger::Builder::from_env(logged).init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let (json, result) = match cli.command {
        Command::Demo { common } => (common.json, demo::run(&common)),
        Command::Linear(flags) => (flags.common.json, linear::run(&flags)),
        Command::Verify { only, seed, schedules, common } => {
            (common.json, verify::run(Options { only, seed, schedules: schedules.into() }, &common))
        }
        Command::Inspect { kernel, sass, common } => (common.json, inspect::run(kernel.as_deref(), sass, &common)),
        Command::Bench(flags) => (flags.common.json, bench::run(&flags)),
        Command::Devices { common } => (common.json, devices::run(&common)),
    };
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
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return error.print().map_or_else(|error| unprinted(&error), |()| ExitCode::SUCCESS);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return complain("a command is missing; outerscale --help lists them");
    }
    let text = error.to_string();
    let what = text.split("\n\nUsage:").next().unwrap_or_default().trim_start_matches("error: ");
    let what = what.split("\n\nFor more information").next().unwrap_or_default();
    complain(&format!("{}; see outerscale --help", what.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_flags_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_are_those_of_the_library() {
        for word in OutDtypeWord::value_variants() {
            assert_eq!(word.to_possible_value().unwrap().get_name(), Dtype::from(*word).name());
        }
    }
}
