//! What a launch is stopped with.

use std::fmt;

/// The kind of a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// An access that leaves every live allocation, or the window of its state space.
    OutOfBounds,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// Two warps touch a byte of shared memory in one barrier interval, one of them writing.
    SharedRace,
    /// Bytes of shared memory are read or written while an asynchronous copy to them is in flight.
    CopyInFlight,
    /// A warp reached an `.aligned` instruction with some of its threads only.
    Divergence,
    /// Threads that a member mask names never come, or a caller is not in its own mask.
    BadMask,
    /// A barrier's arguments contradict each other or an earlier arrival.
    BadBarrier,
    /// Every warp that is left waits.
    Deadlock,
    /// The kernel executed `trap`.
    Trap,
    /// The launch ran for more instructions than its limit.
    InstructionLimit,
    /// An operation on values for which PTX leaves the result undefined.
    Undefined,
    /// The launch itself is wrong: parameters, grid, block or shared memory.
    BadLaunch,
}

impl FaultKind {
    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutOfBounds => "out-of-bounds access",
            Self::Misaligned => "misaligned access",
            Self::SharedRace => "shared-memory race",
            Self::CopyInFlight => "access to a copy in flight",
            Self::Divergence => "divergent warp",
            Self::BadMask => "bad member mask",
            Self::BadBarrier => "bad barrier",
            Self::Deadlock => "deadlock",
            Self::Trap => "trap",
            Self::InstructionLimit => "instruction limit",
            Self::Undefined => "undefined operation",
            Self::BadLaunch => "bad launch",
        }
    }
}

/// Why a launch was stopped, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of mistake it is.
    pub kind: FaultKind,
    /// Name of the kernel.
    pub kernel: String,
    /// File name given to [`crate::Module::load`].
    pub ptx_file: String,
    /// Line of the instruction in the PTX, from 1; 0 when no instruction is to blame.
    pub ptx_line: u32,
    /// The instruction as the PTX has it.
    pub instruction: String,
    /// Source file and line of the instruction where the PTX has `.loc`.
    pub source: Option<(String, u32)>,
    /// The block.
    pub block: [u32; 3],
    /// The thread in its block; `None` when a whole warp is to blame.
    pub thread: Option<[u32; 3]>,
    /// The warp in its block.
    pub warp: u32,
    /// The address, for faults of memory.
    pub address: Option<u64>,
    /// Bytes of the access, for faults of memory.
    pub size: Option<u32>,
    /// One line: what is wrong and what to look at.
    pub explanation: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in kernel {}", self.kind.name(), self.kernel)?;
        if self.ptx_line != 0 {
            write!(f, " at {}:{}", self.ptx_file, self.ptx_line)?;
        }
        if let Some((file, line)) = &self.source {
            write!(f, " ({file}:{line})")?;
        }
        let [x, y, z] = self.block;
        write!(f, ", block ({x}, {y}, {z})")?;
        match self.thread {
            Some([x, y, z]) => write!(f, ", thread ({x}, {y}, {z})")?,
            None => write!(f, ", warp {}", self.warp)?,
        }
        if let (Some(address), Some(size)) = (self.address, self.size) {
            write!(f, ", {size} bytes at {address:#x}")?;
        }
        write!(f, ": {}", self.explanation)?;
        if !self.instruction.is_empty() {
            write!(f, " [{}]", self.instruction)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
