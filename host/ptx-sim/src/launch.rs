//! Running a kernel.

use std::fmt;
use std::ops::Range;

use crate::counters::Counters;
use crate::exec;
use crate::fault::Fault;
use crate::memory::Memory;
use crate::module::{Instance, Kernel};
use crate::profile::Row;

/// When asynchronous copies land and in which order warps and blocks run. Every choice is a legal one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// Copies land when a wait observes them, not before. Each warp runs until it has to wait; upwards and
    /// downwards in turn from barrier to barrier. Blocks that can tell in which order they run (a global atomic
    /// tells them) run upwards.
    #[default]
    Late,
    /// Copies land when they are issued; the order of the warps is that of [`Schedule::Late`], and such blocks run
    /// downwards.
    Eager,
    /// Landing points, orders and the leader that `elect.sync` finds are drawn from this seed; the same on every run.
    Random(u64),
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("late"),
            Self::Eager => f.write_str("eager"),
            Self::Random(seed) => write!(f, "random:{seed}"),
        }
    }
}

impl Schedule {
    /// The first `count` of a list that everyone uses: late, eager, then the seeds from 0.
    pub fn list(count: usize) -> Vec<Self> {
        let drawn = (0..).map(Self::Random);
        [Self::Late, Self::Eager].into_iter().chain(drawn).take(count).collect()
    }
}

/// Which mistakes a launch is searched for; all of them by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checks {
    /// Out of bounds, use after free, misalignment. Off, such an access still ends the launch where there is
    /// nothing to read or write.
    pub memory: bool,
    /// Races in shared and global memory.
    pub races: bool,
    /// Reads of bytes and registers that were never written.
    pub init: bool,
    /// Divergent `.aligned` instructions, member masks, barrier counts, misuse of mbarriers.
    pub sync: bool,
    /// Copies and matrix products in flight, proxies, exit with pending copies.
    pub asynchrony: bool,
}

impl Checks {
    /// Every check.
    pub const ALL: Self = Self { memory: true, races: true, init: true, sync: true, asynchrony: true };
}

impl Default for Checks {
    fn default() -> Self {
        Self::ALL
    }
}

/// What a launch that ran to its end tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was counted.
    pub counters: Counters,
    /// What was counted of each instruction that the kernel consists of, in the order of the PTX; executed or not.
    /// Empty if [`Launch::listing`] is off.
    pub profile: Vec<Row>,
    /// Findings that do not stop a launch, as threads that store the same value to one place: one for each
    /// kind and pair of lines, in the order of the lines.
    pub notes: Vec<Fault>,
}

/// PTX instructions of a warp after which a launch is taken for one that never ends.
pub const DEFAULT_INSTRUCTION_LIMIT: u64 = 4_000_000_000;

/// One launch. [`Launch::new`] sets what it is not given to its default.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// What to run; a kernel of the instance's module.
    pub kernel: &'a Kernel,
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Blocks of a cluster along x, y, z.
    pub cluster: [u32; 3],
    /// The blocks that run, by their number (x fastest, then y, then z); all for `None`. The others do not run,
    /// but the grid is what [`Launch::grid`] says to every thread: a few blocks of a launch that would take days.
    pub blocks: Option<&'a [Range<u64>]>,
    /// Bytes of `.extern .shared` memory.
    pub dynamic_shared: u32,
    /// The parameter block, [`Kernel::param_bytes`] bytes.
    pub params: &'a [u8],
    /// Landing of copies, order of warps and blocks.
    pub schedule: Schedule,
    /// What is checked.
    pub checks: Checks,
    /// Whether sectors and wavefronts are counted; everything else always is.
    pub profile: bool,
    /// Whether [`Report::profile`] is made, which takes longer than a small launch itself.
    pub listing: bool,
    /// PTX instructions that one warp may execute.
    pub instruction_limit: u64,
}

impl<'a> Launch<'a> {
    /// A launch without dynamic shared memory, with the kernel's own clusters, the default schedule and limit.
    pub fn new(kernel: &'a Kernel, grid: [u32; 3], block: [u32; 3], params: &'a [u8]) -> Self {
        Self {
            kernel,
            grid,
            block,
            cluster: kernel.required_cluster().unwrap_or([1; 3]),
            blocks: None,
            dynamic_shared: 0,
            params,
            schedule: Schedule::default(),
            checks: Checks::ALL,
            profile: true,
            listing: true,
            instruction_limit: DEFAULT_INSTRUCTION_LIMIT,
        }
    }

    /// The same launch with `bytes` of dynamic shared memory.
    pub fn with_dynamic_shared(mut self, bytes: u32) -> Self {
        self.dynamic_shared = bytes;
        self
    }

    /// The same launch of these blocks alone.
    pub fn with_blocks(mut self, blocks: &'a [Range<u64>]) -> Self {
        self.blocks = Some(blocks);
        self
    }

    /// The same launch in clusters of `shape` blocks.
    pub fn with_cluster(mut self, shape: [u32; 3]) -> Self {
        self.cluster = shape;
        self
    }

    /// The same launch under another schedule.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }
}

/// Runs every block of the launch to its end, on all cores, or stops at the first fault: that of the lowest
/// block, so that every run reports the same. Blocks run one after another where a kernel's atomics could
/// show their order.
pub fn launch(instance: &Instance, memory: &Memory, launch: &Launch<'_>) -> Result<Report, Box<Fault>> {
    exec::run(instance, memory, launch)
}
