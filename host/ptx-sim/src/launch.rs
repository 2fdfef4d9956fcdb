//! Running a kernel.

use crate::counters::Counters;
use crate::exec;
use crate::fault::Fault;
use crate::memory::Memory;
use crate::module::{Instance, Kernel};

/// The order in which the warps of a block run between its barriers. Every order is a legal one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// Each warp runs until it has to wait; upwards and downwards in turn from barrier to barrier.
    #[default]
    Default,
    /// An order drawn anew at every barrier from this seed; it is the same on every run.
    Seed(u64),
}

/// PTX instructions of a warp after which a launch is taken for one that never ends.
pub const DEFAULT_INSTRUCTION_LIMIT: u64 = 4_000_000_000;

/// One launch. [`Launch::new`] sets the schedule and the limit to their defaults.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// What to run; a kernel of the instance's module.
    pub kernel: &'a Kernel,
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of `.extern .shared` memory.
    pub dynamic_shared: u32,
    /// The parameter block, [`Kernel::param_bytes`] bytes.
    pub params: &'a [u8],
    /// Order of the warps.
    pub schedule: Schedule,
    /// PTX instructions that one warp may execute.
    pub instruction_limit: u64,
}

impl<'a> Launch<'a> {
    /// A launch without dynamic shared memory, with the default schedule and limit.
    pub fn new(kernel: &'a Kernel, grid: [u32; 3], block: [u32; 3], params: &'a [u8]) -> Self {
        let (schedule, instruction_limit) = (Schedule::Default, DEFAULT_INSTRUCTION_LIMIT);
        Self { kernel, grid, block, dynamic_shared: 0, params, schedule, instruction_limit }
    }

    /// The same launch with `bytes` of dynamic shared memory.
    pub fn with_dynamic_shared(mut self, bytes: u32) -> Self {
        self.dynamic_shared = bytes;
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
pub fn launch(instance: &Instance, memory: &Memory, launch: &Launch<'_>) -> Result<Counters, Box<Fault>> {
    exec::run(instance, memory, launch)
}
