//! How many clocks a product takes by a variant, modelled: what it multiplies, what it moves, what it waits for.
//!
//! Nothing here was fitted to a measurement: none was to be had. The sums are those of the facts in [`super::chips`],
//! and what they decide is which of several variants is least bound. A table that `outerscale tune` measured goes first.

use super::chips::{Chip, MEMORY_LATENCY, PEER_LATENCY, SHARED_READ_BYTES};

/// Which instruction multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiply {
    /// `mma.sync` by warps whose tiles are so many rows × columns: each reads its operands from shared memory.
    Mma {
        /// Rows of a warp's tile.
        warp_m: u32,
        /// Columns of a warp's tile.
        warp_n: u32,
    },
    /// `mma.sync` with operands that go from memory to registers, tokens rounded up to 16.
    Stream,
    /// `wgmma`, which reads shared memory itself.
    Wgmma,
}

/// How blocks come by their tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// A tile belongs to one block.
    Tiles,
    /// Whole waves of tiles go to blocks one each; the steps of those left over are dealt out evenly, and blocks that share
    /// a tile add up in a workspace (`contract::stream_k`).
    LastWave,
    /// The steps of all tiles are dealt out evenly; blocks that share a tile add up in a workspace.
    Steps,
}

/// What a multiprocessor does from one tile of a block to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// It stores, and starts a block.
    Starts,
    /// It stores; the next tile is on its way already.
    Stores,
    /// Nothing: one tile is stored while the next is multiplied.
    Nothing,
}

/// How a variant works: what the model goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Rows of y (tokens) of a tile.
    pub block_m: u32,
    /// Columns of y of a tile.
    pub block_n: u32,
    /// Codes of K in a step.
    pub step: u32,
    /// What multiplies.
    pub multiply: Multiply,
    /// Bytes that a block has on their way at a time.
    pub in_flight: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Shared memory of a block.
    pub shared_bytes: u32,
    /// Blocks that fit a multiprocessor by their registers.
    pub by_registers: u32,
    /// How tiles are shared.
    pub sharing: Sharing,
    /// Blocks that load w, and blocks that load x, once for all of them: a cluster along M, and along N.
    pub cluster: (u32, u32),
    /// What lies between two tiles.
    pub between: Between,
}

/// A product as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Tokens.
    pub m: u64,
    /// Outputs.
    pub n: u64,
    /// Inputs.
    pub k: u64,
    /// Multiprocessors.
    pub multiprocessors: u64,
    /// Bytes of an element of y.
    pub output_bytes: u64,
}

/// What bounds a product, in clocks of a multiprocessor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Until all is done.
    pub clocks: f64,
    /// Of them on the busiest multiprocessor: steps along K.
    pub steps: f64,
    /// Starting, filling the pipeline, storing, adding up.
    pub overhead: f64,
    /// What memory alone would take.
    pub memory: f64,
    /// Multiplications, those of rows and columns that are not there included.
    pub multiplications: u64,
}

/// Clocks of a launch before the first instruction and after the last, of a block's start and end.
const LAUNCH: f64 = 3000.0;
const BLOCK: f64 = 600.0;
/// Clocks of a step that no other work hides: the barrier and the addresses, shared by the blocks of a multiprocessor.
const STEP: f64 = 40.0;
/// Clocks of the counter that blocks meet at: two rounds to L2.
const MEETING: f64 = 1500.0;
/// The share of the memory's peak that a copy reaches (NVIDIA H100 and H200, many sources: 90 to 94 %).
const REACHED: f64 = 0.92;

/// Clocks of work that goes on at the same time: the longest, and more the nearer the others come to it, since they do
/// not fit into each other's gaps for nothing. The norm of order 4 makes of two that are alike a fifth more than one.
fn together(clocks: [f64; 4]) -> f64 {
    clocks.iter().map(|clocks| clocks.powi(4)).sum::<f64>().sqrt().sqrt()
}

impl Plan {
    /// Blocks that a multiprocessor holds.
    pub fn resident(&self, chip: &Chip) -> u64 {
        // The system takes 1 KiB of shared memory for each block.
        let shared = chip.shared_bytes / (self.shared_bytes + 1024);
        u64::from(shared.min(chip.threads / self.threads.max(1)).min(self.by_registers).max(1))
    }

    const fn is_clustered(&self) -> bool {
        self.cluster.0 * self.cluster.1 > 1
    }

    /// Clocks of one step where `blocks` run on a multiprocessor: what it multiplies, reads from shared memory, gets from
    /// L2, and waits for with so much on its way, all at a time.
    fn step_clocks(&self, chip: &Chip, blocks: u64) -> f64 {
        let (rows, cols, step) = (f64::from(self.block_m), f64::from(self.block_n), f64::from(self.step));
        let share = if self.multiply == Multiply::Wgmma { 1.0 } else { chip.mma_share };
        // An operand of the tensor cores has 16 tokens, whether or not all are there.
        let multiplied_rows = if self.multiply == Multiply::Stream { rows.max(16.0) } else { rows };
        let tensor = 2.0 * multiplied_rows * cols * step / (chip.int8_operations * share);
        let shared = match self.multiply {
            Multiply::Mma { warp_m, warp_n } => {
                // Each warp reads the rows and columns of its own tile.
                let warps = rows * cols / f64::from(warp_m * warp_n);
                warps * f64::from(warp_m + warp_n) * step / SHARED_READ_BYTES
            }
            Multiply::Stream | Multiply::Wgmma => 0.0,
        };
        let (along_m, along_n) = (f64::from(self.cluster.0), f64::from(self.cluster.1));
        let loaded = (rows / along_n + cols / along_m) * step;
        let l2 = loaded / chip.l2_bytes;
        // Little's law: what is on its way arrives once a latency. A cluster's slot is free when all its blocks have said so.
        let latency = MEMORY_LATENCY + if self.is_clustered() { PEER_LATENCY } else { 0.0 };
        let waited = latency * (rows + cols) * step / (f64::from(self.in_flight) * blocks as f64);
        together([tensor, shared, l2, waited]) + STEP / blocks as f64
    }

    /// How many blocks share the tiles that whole waves leave over; None where each has its own, because there are few or
    /// nearly a wave of them. As `contract::stream_k::Deal::shared` has it.
    fn shared_tiles(&self, tiles: u64, steps: u64, room: u64) -> Option<u64> {
        let cluster = u64::from(self.cluster.0 * self.cluster.1);
        let (rest, room) = (tiles % room / cluster, room / cluster);
        let sharers = room.min(rest * steps / u64::from(contract::stream_k::MIN_SHARE));
        (8 * rest < 7 * room && sharers > rest).then_some(sharers * cluster)
    }

    /// The modelled cost of a product.
    pub fn cost(&self, product: &Product, chip: &Chip) -> Cost {
        let Product { m, n, k, multiprocessors, output_bytes } = *product;
        let (along_m, along_n) = (u64::from(self.cluster.0), u64::from(self.cluster.1));
        let tiles_m = m.div_ceil(u64::from(self.block_m)).next_multiple_of(along_m);
        let tiles = tiles_m * n.div_ceil(u64::from(self.block_n)).next_multiple_of(along_n);
        let steps = k.div_ceil(u64::from(self.step));
        let sums = u64::from(self.block_m) * u64::from(self.block_n);
        let store = (sums * output_bytes) as f64 / chip.l2_bytes;
        // A cluster needs its multiprocessors side by side: one may be left over.
        let cluster = along_m * along_n;
        let places = (multiprocessors / cluster).max(1) * cluster;
        // Adding up in L2 (read and written), reading and clearing, a tile for each block.
        let met = |blocks: u64| MEETING + (blocks * 4 * 4 * sums) as f64 / chip.l2_bytes;
        // A cluster's blocks meet before the first copy and before the end.
        let meetings = if self.is_clustered() { 2.0 * PEER_LATENCY } else { 0.0 };
        let start = BLOCK + meetings + MEMORY_LATENCY + store;
        // Of so many tiles one after the other in the same place.
        let between = |turns: f64| match self.between {
            Between::Starts => turns * start,
            Between::Stores => start + (turns - 1.0) * store,
            Between::Nothing => start,
        };
        let room = self.resident(chip) * places;
        let (resident, steps_of_all, overhead) = match self.sharing {
            Sharing::LastWave if self.shared_tiles(tiles, steps, room).is_some() => {
                let sharers = self.shared_tiles(tiles, steps, room).unwrap_or(1);
                let (whole, beside) = (tiles / room, sharers.div_ceil(places));
                let resident = if whole > 0 { self.resident(chip) } else { beside };
                let dealt = (tiles % room * steps).div_ceil(sharers) * beside;
                let turns = (whole + 1) as f64;
                (resident, whole * self.resident(chip) * steps + dealt, between(turns) + met(beside))
            }
            Sharing::Tiles | Sharing::LastWave => {
                let each = tiles.div_ceil(places);
                let resident = self.resident(chip).min(each);
                // While one block starts or stores, others that are resident multiply.
                let turns = each as f64 / resident as f64;
                (resident, each * steps, between(turns))
            }
            Sharing::Steps => {
                let blocks = room.min(tiles * steps).max(1);
                let resident = blocks.div_ceil(places);
                let each = (tiles * steps).div_ceil(blocks) * resident;
                let alone = steps <= 1;
                (resident, each, start + if alone { 0.0 } else { met(resident) })
            }
        };
        let steps = steps_of_all as f64 * self.step_clocks(chip, resident.max(1));
        let bytes = (m * k + n * k + m * n * output_bytes) as f64;
        let memory = bytes / (chip.dram_bytes * REACHED * multiprocessors as f64);
        // Operands stream in while tiles are multiplied.
        let both = together([steps, memory, 0.0, 0.0]);
        let multiplications = tiles * sums * k;
        Cost { clocks: LAUNCH + both + overhead, steps, overhead, memory, multiplications }
    }
}
