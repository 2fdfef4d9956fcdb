//! The project's tasks: `cargo xtask demo | test | setup | minilm | bundle | lint`.
//!
//! All that they make lies under target/. They install nothing on the system and change no rustup toolchain.

mod bundle;
mod checks;
mod debian;
mod elf;
mod folder;
mod process;
mod setup;
mod suite;
mod wheels;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Outerscale's tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up what is missing and run the shipped layer through the quantized path
    Demo {
        /// Passed on to `outerscale demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Set up what is missing and run every test; on a GPU too, where there is one
    Test {
        /// Test the release build
        #[arg(long)]
        release: bool,
    },
    /// Find a compiler for the GPU and NVIDIA's assembler, or fetch them into target/toolchain
    Setup,
    /// Fetch the sentence encoder of examples/minilm into target/models
    Minilm,
    /// Make target/bundle: what to copy to a machine with a GPU
    Bundle,
    /// Check formatting, clippy and rustdoc of both workspaces
    Lint,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo { arguments } => setup::compiler().and_then(|()| checks::demo(&arguments)),
        Task::Test { release } => setup::compiler().and_then(|()| {
            setup::assembler_for_tests();
            setup::encoder_for_tests();
            checks::test(release)
        }),
        Task::Setup => setup::compiler().and_then(|()| setup::assembler()),
        Task::Minilm => setup::encoder(),
        Task::Bundle => setup::compiler().and_then(|()| bundle::make()),
        Task::Lint => setup::compiler().and_then(|()| checks::lint()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<process::Failed>() {
            // The child has said what is wrong; its status is ours.
            Some(failed) => ExitCode::from(failed.code),
            None => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
