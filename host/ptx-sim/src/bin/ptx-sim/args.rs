//! The flags.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use ptx_sim::{Checks, DEFAULT_INSTRUCTION_LIMIT, Schedule};

use crate::spec::Spec;

/// Runs one kernel of a PTX file on the CPU, checks everything it does, and counts it.
///
/// Ends with 0 when the run is clean, 1 when there are findings (a fault, a race, results that depend on the
/// schedule), 2 when the kernel cannot be run (a text that is refused, wrong arguments).
#[derive(Parser)]
#[command(name = "ptx-sim", version, max_term_width = 110, after_long_help = AFTER, override_usage =
    "ptx-sim FILE.ptx --kernel NAME --grid X[,Y[,Z]] --block X[,Y[,Z]] [--arg SPEC]... [OPTIONS]\n       \
     ptx-sim FILE.ptx --list")]
pub(crate) struct Args {
    /// The PTX text.
    #[arg(value_name = "FILE.ptx")]
    pub(crate) file: PathBuf,
    /// The kernel; may be left out where the file has only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) kernel: Option<String>,
    /// Print the kernels of the file with their parameters, and run nothing.
    #[arg(long, conflicts_with_all = ["kernel", "grid", "block", "arg", "save", "annotate"])]
    pub(crate) list: bool,
    /// Blocks of the grid.
    #[arg(long, value_name = "X[,Y[,Z]]", value_parser = shape, required_unless_present = "list")]
    pub(crate) grid: Option<[u32; 3]>,
    /// Threads of a block.
    #[arg(long, value_name = "X[,Y[,Z]]", value_parser = shape, required_unless_present = "list")]
    pub(crate) block: Option<[u32; 3]>,
    /// Blocks of a cluster; by default what the kernel requires, else 1.
    #[arg(long, value_name = "X[,Y[,Z]]", value_parser = shape)]
    pub(crate) cluster: Option<[u32; 3]>,
    /// Bytes of dynamic shared memory of a block.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(crate) shared: u32,
    /// A parameter of the kernel, one --arg for each in their order; see SPEC below.
    #[arg(long, value_name = "SPEC", value_parser = Spec::parse, allow_hyphen_values = true)]
    pub(crate) arg: Vec<Spec>,
    /// Write every buffer that has a NAME to a safetensors file, when the run is clean.
    #[arg(long, value_name = "OUT.safetensors")]
    pub(crate) save: Option<PathBuf>,
    /// When copies land, and the order of warps and blocks.
    #[arg(long, value_name = "late|eager|random:SEED", value_parser = schedule, default_value = "late")]
    pub(crate) schedule: Schedule,
    /// Run under this many schedules (that of --schedule, then late, eager and random ones) from the same start;
    /// results that differ are a finding.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) schedules: u32,
    /// Stop a warp after so many PTX instructions: a finding.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_INSTRUCTION_LIMIT)]
    pub(crate) max_instructions: u64,
    /// Run only these blocks of the grid, by number (x fastest): numbers and ranges A-B, as 0,7,100-120.
    #[arg(long, value_name = "SELECTION", value_parser = blocks)]
    pub(crate) blocks: Option<Blocks>,
    /// Leave checks out.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub(crate) off: Vec<Check>,
    /// Do not count sectors and wavefronts.
    #[arg(long)]
    pub(crate) no_profile: bool,
    /// Print the report as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the PTX with what each line was counted for.
    #[arg(long, conflicts_with = "json")]
    pub(crate) annotate: bool,
}

const AFTER: &str = "\
SPEC, a parameter:
  u32:5 u64:0 i64:-1 f32:0.5   a number; types u8 to u64, s8 to s64 or i8 to i64, b8 to b64, f16, bf16, f32, f64;
                               0x.. for integers, and for the bits of b8 to b64
  in:FILE.safetensors#TENSOR   a pointer to a copy of a tensor
  inout:NAME=FILE#TENSOR       the same, saved as NAME
  out:NAME=DTYPE[SHAPE]        a pointer to a new buffer, as out:y=F32[64,1024], not initialised, saved as NAME
  zero:NAME=DTYPE[SHAPE]       the same, filled with zeros
  scratch:DTYPE[SHAPE]         the same as out, but not saved; memory that is not touched costs nothing
  ptr:NAME[+BYTES]             a pointer into the buffer of another --arg
  tmap:BUFFER,box=AxB          a tensor map of a buffer: NAME, or one of the specs above; box as the shape,
                               outermost first; then [,swizzle=32|64|128] [,fill=nan] [,strides=AxB] (elements)
  bytes:00ff..                 bytes as they are, in hexadecimal
  pad:N                        N zero bytes
  {SPEC;SPEC;..}               a struct by value: each part at its natural alignment

DTYPE as safetensors has it (F32, F16, BF16, F64, I8 to I64, U8 to U64, F8_E4M3, F8_E5M2).

Example:
  ptx-sim scale.ptx --kernel scale --grid 8 --block 128 --arg in:x.safetensors#x --arg out:y=F32[1024] \\
      --arg f32:0.5 --arg u32:1024 --save y.safetensors --schedules 5
";

/// Chosen blocks.
#[derive(Clone, Debug)]
pub(crate) struct Blocks(pub(crate) Vec<Range<u64>>);

/// A family of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Check {
    /// Bounds, live allocations, alignment.
    Memory,
    /// Races in shared and global memory.
    Races,
    /// Reads of bytes and registers that were never written.
    Init,
    /// Barriers, masks, divergence.
    Sync,
    /// Copies and matrix products in flight, proxies.
    Async,
}

impl Args {
    /// The checks that are left.
    pub(crate) fn checks(&self) -> Checks {
        let on = |check| !self.off.contains(&check);
        Checks {
            memory: on(Check::Memory),
            races: on(Check::Races),
            init: on(Check::Init),
            sync: on(Check::Sync),
            asynchrony: on(Check::Async),
        }
    }

    /// The schedules of the runs: the wanted one first, no other twice.
    pub(crate) fn schedules(&self) -> Vec<Schedule> {
        let count = self.schedules as usize;
        let others = Schedule::list(count).into_iter().filter(|other| *other != self.schedule);
        std::iter::once(self.schedule).chain(others).take(count).collect()
    }
}

/// `X[,Y[,Z]]`.
fn shape(text: &str) -> Result<[u32; 3], String> {
    let mut shape = [1; 3];
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > 3 {
        return Err("there are three axes at most, as 4,2,1".to_owned());
    }
    for (axis, part) in shape.iter_mut().zip(parts) {
        *axis = part.parse().map_err(|_| format!("'{part}' is no number from 1 to {}", u32::MAX))?;
        if *axis == 0 {
            return Err("every axis is at least 1".to_owned());
        }
    }
    Ok(shape)
}

/// The schedule by its name.
pub(crate) fn schedule(text: &str) -> Result<Schedule, String> {
    match text {
        "late" => Ok(Schedule::Late),
        "eager" => Ok(Schedule::Eager),
        _ => match text.strip_prefix("random:").map(str::parse) {
            Some(Ok(seed)) => Ok(Schedule::Random(seed)),
            Some(Err(_)) => Err("the seed of random:SEED is a number from 0 to 2^64 - 1".to_owned()),
            None => Err("a schedule is late, eager or random:SEED".to_owned()),
        },
    }
}

/// `0,7,100-120`.
fn blocks(text: &str) -> Result<Blocks, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("'{text}' is no number of a block"));
    let mut ranges = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if last < first || last == u64::MAX {
            return Err(format!("{part} is an empty range; the lower number comes first"));
        }
        ranges.push(first..last + 1);
    }
    Ok(Blocks(ranges))
}
