//! What a launch is stopped with, and what it is told of besides.

use std::fmt;

/// How bad a [`Fault`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Harmless as it stands, as two threads that store the same value.
    Info,
    /// Works on hardware of today but is not promised.
    Warning,
    /// Wrong: the launch stops.
    #[default]
    Error,
}

impl Severity {
    /// The severity in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The kind of a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// An access that leaves every live allocation, or the window of its state space.
    OutOfBounds,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// Two threads touch a byte of shared memory, unordered, one of them writing.
    SharedRace,
    /// Two threads touch a byte of global memory, unordered, one of them writing.
    GlobalRace,
    /// Bytes or a register are read that nobody has written.
    Uninitialised,
    /// Bytes are touched that an asynchronous copy in flight writes, or written that it or a `wgmma` still reads.
    CopyInFlight,
    /// A fence between the generic and the asynchronous proxy is missing.
    Proxy,
    /// A thread exits while copies that it sent are pending.
    PendingAtExit,
    /// A `wgmma` out of its order, or its registers touched while it runs.
    Wgmma,
    /// An mbarrier is used against its rules.
    Mbarrier,
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
            Self::GlobalRace => "global-memory race",
            Self::Uninitialised => "uninitialised read",
            Self::CopyInFlight => "access to a copy in flight",
            Self::Proxy => "missing proxy fence",
            Self::PendingAtExit => "exit with pending copies",
            Self::Wgmma => "wgmma hazard",
            Self::Mbarrier => "mbarrier misuse",
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

/// The other side of a [`Fault`] between two: who it was and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The block.
    pub block: [u32; 3],
    /// The thread in its block; `None` when a whole warp is meant.
    pub thread: Option<[u32; 3]>,
    /// The warp in its block.
    pub warp: u32,
    /// Line of its instruction in the PTX.
    pub ptx_line: u32,
    /// The instruction as the PTX has it.
    pub instruction: String,
    /// Source file and line where the PTX has `.loc`.
    pub source: Option<(String, u32)>,
}

/// Why a launch was stopped, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is; [`Severity::Error`] for what stops a launch.
    pub severity: Severity,
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
    /// The other side of a race or of a hazard between two instructions.
    pub other: Option<Box<Party>>,
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
        match &self.other {
            Some(other) => write!(f, "; the other: {other}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.block;
        write!(f, "line {}", self.ptx_line)?;
        if let Some((file, line)) = &self.source {
            write!(f, " ({file}:{line})")?;
        }
        write!(f, ", block ({x}, {y}, {z})")?;
        match self.thread {
            Some([x, y, z]) => write!(f, ", thread ({x}, {y}, {z})")?,
            None => write!(f, ", warp {}", self.warp)?,
        }
        if self.instruction.is_empty() { Ok(()) } else { write!(f, " [{}]", self.instruction) }
    }
}

impl std::error::Error for Fault {}
