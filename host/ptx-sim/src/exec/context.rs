//! What the warps of a block share while they run, and how a fault is worded.

use crate::fault::{Fault, FaultKind, Party, Severity};
use crate::ir::Program;
use crate::ir::lower::SHARED_BASE;
use crate::launch::Launch;
use crate::memory::{Memory, POISON, View};
use crate::module::Module;

use super::asynchronous::Asynchronous;
use super::matrix::Warpgroups;
use super::notes::Notes;
use super::order::{Agent, Locations, Order};
use super::races::{Races, Tracker};
use super::shadow::{Flights, Shadow};
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
    /// `None` when races are not looked for.
    pub(crate) races: Option<Races>,
    /// First values of constants with the addresses of module variables in place.
    pub(crate) constants: crate::ir::Constants,
    pub(crate) shared_bytes: usize,
    pub(crate) threads: u32,
    /// Blocks of a cluster along x, y, z.
    pub(crate) cluster: [u32; 3],
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

/// The shared memory of one block, and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Coordinates of the block.
    pub(crate) block: [u32; 3],
    pub(crate) bytes: Vec<u8>,
    pub(crate) shadow: Shadow,
    /// What strong accesses to it have released.
    pub(crate) locations: Locations,
    pub(crate) tensor: Warpgroups,
}

/// A place in shared memory: the block's rank in its cluster, and the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) rank: usize,
    pub(crate) at: usize,
}

/// One cluster, one block at a time: its shared memory, the order of its warps, and what is counted.
pub(crate) struct Context<'a> {
    pub(crate) grid: &'a Grid<'a>,
    /// Rank and coordinates of the block whose warp runs now.
    pub(crate) rank: usize,
    pub(crate) block: [u32; 3],
    /// By rank.
    pub(crate) shared: Vec<Shared>,
    pub(crate) order: Order,
    pub(crate) flights: Flights,
    pub(crate) asynchronous: Asynchronous,
    pub(crate) notes: Notes,
    pub(crate) tracker: Tracker,
    /// Faults of other blocks that this one has found, with the numbers of the blocks.
    pub(crate) findings: Vec<(u64, Stopped)>,
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
            rank: 0,
            block: [0; 3],
            shared: Vec::new(),
            order: Order::default(),
            flights: Flights::default(),
            asynchronous: Asynchronous::default(),
            notes: Notes::default(),
            tracker: Tracker::new(),
            findings: Vec::new(),
            sites: vec![0; places],
            executed: vec![Executed::default(); places],
            moved: vec![Moved::default(); places],
            ticks: 0,
        }
    }

    /// Begins a cluster of these blocks, the `number`th of the grid.
    pub(crate) fn enter(&mut self, blocks: &[[u32; 3]], number: u64) {
        self.ticks = 0;
        let threads = self.grid.threads;
        let warps = threads.div_ceil(32);
        let lanes = |warp: u32| u32::MAX >> (32 - (threads - warp * 32).min(32));
        self.order.reset(blocks.iter().flat_map(|_| (0..warps).map(lanes)));
        self.flights.clear();
        if let Some(races) = &self.grid.races {
            self.tracker.enter(races, blocks[0]);
        }
        let schedule = self.grid.launch.schedule;
        self.asynchronous.reset(blocks.len(), blocks.len() * warps as usize, schedule, number);
        self.shared.resize_with(blocks.len(), Shared::default);
        let agents = warps * blocks.len() as u32;
        for (rank, (shared, block)) in self.shared.iter_mut().zip(blocks).enumerate() {
            shared.block = *block;
            shared.bytes.clear();
            shared.bytes.resize(self.grid.shared_bytes, POISON);
            let first = rank as u32 * warps;
            shared.shadow.reset(self.grid.shared_bytes, first..first + warps, agents, self.grid.launch.checks);
            shared.locations.clear();
            shared.tensor.clear();
        }
        self.turn_to(0);
    }

    /// A warp of the block of that rank runs next.
    pub(crate) fn turn_to(&mut self, rank: usize) {
        self.rank = rank;
        self.block = self.shared[rank].block;
    }

    /// The agent of warp `index` of the block of rank `rank`.
    pub(crate) fn agent(&self, rank: usize, index: u32) -> Agent {
        Agent(rank as u32 * self.grid.threads.div_ceil(32) + index)
    }

    /// Place in shared memory of the address `at` of its window, if `len` bytes lie in one block's.
    #[inline(always)]
    pub(crate) fn shared_place(&self, at: u64, len: usize) -> Option<Place> {
        let place = at.wrapping_sub(u64::from(SHARED_BASE));
        let room = self.grid.shared_bytes.checked_sub(len)? as u64;
        match place <= room {
            true => Some(Place { rank: self.rank, at: place as usize }),
            false => self.named_place(at, len),
        }
    }

    /// The other side of a fault: `lanes` of the warp `agent` at place `pc`.
    #[cold]
    pub(crate) fn party(&self, agent: Agent, lanes: u32, pc: usize) -> Box<Party> {
        let warps = self.grid.threads.div_ceil(32);
        let (rank, warp) = ((agent.0 / warps) as usize, agent.0 % warps);
        let lane = lanes.is_power_of_two().then(|| lanes.trailing_zeros());
        let origin = self.grid.program.origins.get(pc);
        Box::new(Party {
            block: self.shared.get(rank).map_or(self.block, |shared| shared.block),
            thread: lane.map(|lane| self.thread(warp * 32 + lane)),
            warp,
            ptx_line: origin.map_or(0, |origin| origin.line),
            instruction: origin.map_or_else(String::new, |origin| origin.text.clone()),
            source: self.grid.source(pc),
        })
    }

    fn thread(&self, linear: u32) -> [u32; 3] {
        let [x, y, _] = self.grid.launch.block;
        [linear % x, linear / x % y, linear / (x * y)]
    }

    /// A fault at place `pc` of the code.
    #[cold]
    pub(crate) fn fault(&self, kind: FaultKind, pc: usize, who: Who, explanation: String) -> Stopped {
        let launch = self.grid.launch;
        let origin = self.grid.program.origins.get(pc);
        let thread = who.lane.map(|lane| self.thread(who.warp * 32 + lane));
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
