//! The command line: one table of commands and flags, and what they end with.

mod bench;
mod calibrate;
mod demo;
mod devices;
mod drift;
mod inspect;
mod linear;
mod pack;
mod study;
mod tune;
mod verify;
mod which;

use clap::{Parser, Subcommand, ValueEnum};
use outerscale::{
    Dtype,
    bench::Shape,
    program::{self, Common, Done, end, report, scheme, stats},
    verify::Options,
};
use std::process::ExitCode;

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
    /// Make the weights of a layer ready once and keep them in a file, for linear --weights.
    Pack(pack::Flags),
    /// Keep what linears' inputs are like, and say what each rule for a static scale makes of it.
    Calibrate(calibrate::Flags),
    /// Run every scheme on every given layer: report.html and report.json with errors, costs, plots and a recommendation.
    Study(study::Flags),
    /// Follow static, running and dynamic scales along a stream of samples whose gain changes.
    Drift(drift::Flags),
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
        /// Say which variant of the op KERNEL [default: gemm] this shape would take, why, and why none of the others.
        #[arg(long, value_name = "M,N,K", value_parser = bench::shape, conflicts_with = "sass")]
        shape: Option<Shape>,
        /// With --shape: the type of y for a product, of x for the other ops.
        #[arg(long, value_name = "DTYPE", requires = "shape", default_value = "bf16")]
        out_dtype: InspectedDtype,
        /// With --shape: bytes of workspace [default: what the product would like].
        #[arg(long, value_name = "BYTES", requires = "shape")]
        workspace: Option<u64>,
        #[command(flatten)]
        common: Common,
    },
    /// Time each kernel with CUDA events on a GPU, after checking its result.
    Bench(bench::Flags),
    /// Measure which variant is the fastest for each shape, on a GPU, and write the table that the choice goes by.
    Tune(tune::Flags),
    /// Say which devices there are and which one would be used.
    Devices {
        #[command(flatten)]
        common: Common,
    },
}

/// The output types by their words.
#[derive(Clone, Copy, ValueEnum)]
enum OutDtypeWord {
    F32,
    F16,
    Bf16,
}

/// The types that an entry's name can end with.
#[derive(Clone, Copy, ValueEnum)]
enum InspectedDtype {
    F32,
    F16,
    Bf16,
    I32,
}

impl From<InspectedDtype> for Dtype {
    fn from(word: InspectedDtype) -> Dtype {
        match word {
            InspectedDtype::F32 => Dtype::F32,
            InspectedDtype::F16 => Dtype::F16,
            InspectedDtype::Bf16 => Dtype::Bf16,
            InspectedDtype::I32 => Dtype::I32,
        }
    }
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

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli: Cli = match program::start() {
        Ok(cli) => cli,
        Err(ended) => return ended,
    };
    let (json, result) = match cli.command {
        Command::Demo { common } => (common.json, demo::run(&common)),
        Command::Drift(flags) => (flags.common.json, drift::run(&flags)),
        Command::Calibrate(flags) => (flags.common.json, calibrate::run(&flags)),
        Command::Linear(flags) => (flags.common.json, linear::run(&flags)),
        Command::Pack(flags) => (flags.common.json, pack::run(&flags)),
        Command::Study(flags) => (flags.common.json, study::run(&flags)),
        Command::Verify { only, seed, schedules, common } => {
            (common.json, verify::run(Options { only, seed, schedules: schedules.into() }, &common))
        }
        Command::Inspect { kernel, shape: Some(shape), out_dtype, workspace, common, .. } => {
            let question = which::Question { op: kernel.as_deref(), shape, dtype: out_dtype.into(), workspace };
            (common.json, which::run(&question, &common))
        }
        Command::Inspect { kernel, sass, common, .. } => (common.json, inspect::run(kernel.as_deref(), sass, &common)),
        Command::Bench(flags) => (flags.common.json, bench::run(&flags)),
        Command::Tune(flags) => (flags.common.json, tune::run(&flags)),
        Command::Devices { common } => (common.json, devices::run(&common)),
    };
    end(json, result)
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
