//! What the warps of a block share while they run, and how a fault is worded.

use crate::fault::{Fault, FaultKind, Severity};
use crate::ir::Program;
use crate::ir::lower::SHARED_BASE;
use crate::launch::Launch;
use crate::memory::{Memory, POISON, View};
use crate::module::Module;

use super::race::Race;
use super::traffic::Moved;

pub(crate) type Stopped = Box<Fault>;

/// Generic addresses of the windows of the other state spaces, above all global memory.
pub(crate) const SHARED_WINDOW: u64 = 0x0000_7E00_0000_0000;
pub(crate) const LOCAL_WINDOW: u64 = 0x0000_7D00_0000_0000;
pub(crate) const PARAM_WINDOW: u64 = 0x0000_7C00_0000_0000;
/// Length of each window.
pub(crate) const WINDOW: u64 = 1 << 32;

/// One launch, the same for all blocks.
pub(crate) struct Grid<'a> {
    pub(crate) module: &'a Module,
    pub(crate) program: &'a Program,
    pub(crate) launch: &'a Launch<'a>,
    pub(crate) memory: &'a Memory,
    pub(crate) view: View,
    /// First values of constants with the addresses of module variables in place.
    pub(crate) constants: crate::ir::Constants,
    pub(crate) shared_bytes: usize,
    pub(crate) threads: u32,
}

impl Grid<'_> {
    /// The line of the source that place `pc` of the code was made from.
    pub(crate) fn source(&self, pc: usize) -> Option<(String, u32)> {
        let (file, line) = self.program.origins.get(pc)?.source?;
        let (_, name) = self.module.inner.files.iter().find(|(number, _)| *number == file)?;
        Some((name.clone(), line))
    }
}

/// How often a place in the code was executed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Executed {
    pub(crate) warps: u64,
    pub(crate) threads: u64,
    /// Threads that the guard kept.
    pub(crate) guarded_off: u64,
    /// Times that it parted the lanes of a warp.
    pub(crate) divergent: u64,
}

/// One block: its shared memory and what is counted.
pub(crate) struct Context<'a> {
    pub(crate) grid: &'a Grid<'a>,
    pub(crate) block: [u32; 3],
    pub(crate) shared: Vec<u8>,
    pub(crate) race: Race,
    /// The allocation that each instruction found last.
    pub(crate) sites: Vec<u32>,
    pub(crate) executed: Vec<Executed>,
    pub(crate) moved: Vec<Moved>,
    /// A clock that moves with the instructions of this block only, so that it is the same on every run.
    pub(crate) ticks: u64,
}

impl<'a> Context<'a> {
    pub(crate) fn new(grid: &'a Grid<'a>) -> Self {
        let places = grid.program.code.len();
        Self {
            grid,
            block: [0; 3],
            shared: Vec::new(),
            race: Race::default(),
            sites: vec![0; places],
            executed: vec![Executed::default(); places],
            moved: vec![Moved::default(); places],
            ticks: 0,
        }
    }

    pub(crate) fn enter(&mut self, block: [u32; 3]) {
        self.block = block;
        self.ticks = 0;
        self.shared.clear();
        self.shared.resize(self.grid.shared_bytes, POISON);
        self.race.reset(self.grid.shared_bytes);
    }

    /// Place in this block's shared memory of the address `at` of its window, if `len` bytes lie in it.
    #[inline(always)]
    pub(crate) fn shared_place(&self, at: u64, len: usize) -> Option<usize> {
        let place = at.wrapping_sub(u64::from(SHARED_BASE));
        let room = self.shared.len().checked_sub(len)? as u64;
        (place <= room).then_some(place as usize)
    }

    /// A fault at place `pc` of the code.
    #[cold]
    pub(crate) fn fault(&self, kind: FaultKind, pc: usize, who: Who, explanation: String) -> Stopped {
        let launch = self.grid.launch;
        let origin = self.grid.program.origins.get(pc);
        let [x, y, _] = launch.block;
        let thread = who.lane.map(|lane| {
            let thread = who.warp * 32 + lane;
            [thread % x, thread / x % y, thread / (x * y)]
        });
        Box::new(Fault {
            severity: Severity::Error,
            kind,
            kernel: launch.kernel.name().to_owned(),
            ptx_file: self.grid.module.file_name().to_owned(),
            ptx_line: origin.map_or(0, |origin| origin.line),
            instruction: origin.map_or_else(String::new, |origin| origin.text.clone()),
            source: self.grid.source(pc),
            block: self.block,
            thread,
            warp: who.warp,
            address: who.access.map(|(address, _)| address),
            size: who.access.map(|(_, size)| size),
            other: None,
            explanation,
        })
    }
}

/// Whom a fault is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) warp: u32,
    pub(crate) lane: Option<u32>,
    pub(crate) access: Option<(u64, u32)>,
}

impl Who {
    pub(crate) fn warp(warp: u32) -> Self {
        Self { warp, lane: None, access: None }
    }

    pub(crate) fn lane(warp: u32, lane: usize) -> Self {
        Self { warp, lane: Some(lane as u32), access: None }
    }

    pub(crate) fn access(warp: u32, lane: usize, address: u64, size: usize) -> Self {
        Self { warp, lane: Some(lane as u32), access: Some((address, size as u32)) }
    }
}
