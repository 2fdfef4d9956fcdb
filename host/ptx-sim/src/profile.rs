//! What each instruction of a kernel did.

use crate::counters::{Class, Traffic};

/// One PTX instruction of a launch and what it was counted for. A `.func` that is called from several places
/// has its instructions once, with the counts of all calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line of the PTX, from 1.
    pub ptx_line: u32,
    /// The instruction as the PTX has it.
    pub instruction: String,
    /// Source file and line where the PTX has `.loc`.
    pub source: Option<(String, u32)>,
    /// Its class.
    pub class: Class,
    /// How often a warp executed it (guarded off for all of it included).
    pub warps: u64,
    /// How often a thread executed it.
    pub threads: u64,
    /// How often its guard kept a thread from executing it.
    pub guarded_off: u64,
    /// How often the active threads of a warp parted at it.
    pub divergent: u64,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Global memory.
    pub global: Traffic,
    /// The block's own shared memory.
    pub shared: Traffic,
    /// Shared memory of other blocks of the cluster.
    pub remote: Traffic,
    /// Local memory.
    pub local: Traffic,
}
