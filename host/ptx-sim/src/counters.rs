//! What a launch did, counted in PTX instructions: they are not the instructions of the machine code.

/// A class of PTX instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Integer and predicate arithmetic, logic, comparison and selection; moves.
    Integer,
    /// Floating-point arithmetic and comparison.
    Float,
    /// Conversions.
    Convert,
    /// Loads, stores and atomics of global memory, and copies from it.
    Global,
    /// Loads, stores and atomics of shared memory, `ldmatrix` included.
    Shared,
    /// Loads and stores of local memory and parameters.
    Local,
    /// Matrix products.
    Matrix,
    /// Barriers, fences, and waits for copies.
    Sync,
    /// Shuffles, votes, matches and reductions in a warp.
    Warp,
    /// Branches and exits.
    Control,
}

impl Class {
    /// Number of classes.
    pub const COUNT: usize = 10;
    /// Every class, in the order of [`Counters::by_class`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Integer,
        Self::Float,
        Self::Convert,
        Self::Global,
        Self::Shared,
        Self::Local,
        Self::Matrix,
        Self::Sync,
        Self::Warp,
        Self::Control,
    ];

    /// The class in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Convert => "convert",
            Self::Global => "global",
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Matrix => "matrix",
            Self::Sync => "sync",
            Self::Warp => "warp",
            Self::Control => "control",
        }
    }

    /// What belongs to it, in words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Integer => "integers, predicates, moves",
            Self::Float => "floating-point arithmetic",
            Self::Convert => "conversions",
            Self::Global => "accesses to global memory",
            Self::Shared => "accesses to shared memory",
            Self::Local => "local memory and parameters",
            Self::Matrix => "matrix products",
            Self::Sync => "barriers, fences, waits",
            Self::Warp => "exchange in a warp",
            Self::Control => "branches and exits",
        }
    }
}

/// What instructions asked of one kind of memory. Nsight Compute's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Instructions of a warp that went to this memory.
    pub requests: u64,
    /// What the requests came to: distinct 32-byte sectors of global and local memory, wavefronts of shared
    /// memory. None are counted of copies by the bulk-copy engine, of other blocks' shared memory, and where
    /// [`crate::Launch::profile`] is off.
    pub moved: u64,
    /// The least that `moved` could have been for these lanes and widths.
    pub ideal: u64,
    /// Bytes, each lane's own.
    pub bytes: u64,
}

impl Traffic {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.moved += other.moved;
        self.ideal += other.ideal;
        self.bytes += other.bytes;
    }

    /// What better addresses would save.
    pub fn excessive(&self) -> u64 {
        self.moved - self.ideal
    }
}

/// How an instruction goes to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// `ld`, `ldmatrix`.
    Load,
    /// `st`, `stmatrix`.
    Store,
    /// `atom`.
    Atomic,
    /// `red`.
    Reduction,
    /// `cp.async`: out of global memory, into shared memory.
    Copy,
    /// `cp.async.bulk` out of global memory, into shared memory.
    BulkLoad,
    /// `cp.async.bulk` and `cp.reduce.async.bulk` out of shared memory.
    BulkStore,
}

impl Way {
    /// Number of ways.
    pub const COUNT: usize = 7;
}

/// [`Traffic`] with one kind of memory, split by [`Way`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways([Traffic; Way::COUNT]);

impl Ways {
    /// What went this way.
    pub fn way(&self, way: Way) -> Traffic {
        self.0[way as usize]
    }

    /// What went any way.
    pub fn total(&self) -> Traffic {
        let mut sum = Traffic::default();
        self.0.iter().for_each(|traffic| sum.add(traffic));
        sum
    }

    /// What went one of these ways.
    pub fn any(&self, ways: &[Way]) -> Traffic {
        let mut sum = Traffic::default();
        ways.iter().for_each(|way| sum.add(&self.way(*way)));
        sum
    }

    /// Adds what went one way.
    pub(crate) fn put(&mut self, way: Way, traffic: &Traffic) {
        self.0[way as usize].add(traffic);
    }

    fn add(&mut self, other: &Self) {
        for (sum, other) in self.0.iter_mut().zip(&other.0) {
            sum.add(other);
        }
    }
}

/// Counts of one launch, or of several added up. The same launch always counts the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Launches that these counts are of.
    pub launches: u64,
    /// Blocks that ran.
    pub blocks: u64,
    /// PTX instructions, one for each warp that executed it (guarded off for all of it included).
    pub warp_instructions: u64,
    /// PTX instructions, one for each thread that executed it.
    pub thread_instructions: u64,
    /// PTX instructions, one for each thread that its guard kept from executing it.
    pub guarded_off: u64,
    /// [`Counters::warp_instructions`] split by [`Class`], in the order of [`Class::ALL`].
    pub by_class: [u64; Class::COUNT],
    /// Global memory: requests and sectors.
    pub global: Ways,
    /// The block's own shared memory: requests and wavefronts. What matrix products read by descriptor is not in it.
    pub shared: Ways,
    /// Shared memory of other blocks of the cluster: requests and bytes.
    pub remote: Ways,
    /// Local memory: requests and sectors.
    pub local: Ways,
    /// Bytes that loads and asynchronous copies read from global memory.
    pub global_bytes_read: u64,
    /// Bytes that stores and bulk copies wrote to global memory.
    pub global_bytes_written: u64,
    /// Bytes that loads, `ldmatrix` and bulk copies read from shared memory.
    pub shared_bytes_read: u64,
    /// Bytes that stores, `stmatrix` and asynchronous copies wrote to shared memory.
    pub shared_bytes_written: u64,
    /// Bytes of shared memory filled by `cp.async`.
    pub async_copy_bytes: u64,
    /// Bytes moved by bulk copies, either way.
    pub bulk_copy_bytes: u64,
    /// Atomic operations, one for each thread.
    pub atomics: u64,
    /// `mma.sync` instructions, one for each warp.
    pub mma: u64,
    /// Those of [`Counters::mma`] that multiply integers.
    pub mma_integer: u64,
    /// `wgmma.mma_async` instructions, one for each warp.
    pub wgmma: u64,
    /// Multiply-accumulate operations of the matrix instructions.
    pub macs: u64,
    /// Block barriers, one for each warp that arrived.
    pub barriers: u64,
    /// Branches at which the active threads of a warp parted.
    pub divergent_branches: u64,
}

impl Counters {
    /// The warp instructions of one class.
    pub fn class(&self, class: Class) -> u64 {
        self.by_class[class as usize]
    }

    /// Adds the counts of other launches.
    pub fn add(&mut self, other: &Self) {
        self.launches += other.launches;
        self.blocks += other.blocks;
        self.warp_instructions += other.warp_instructions;
        self.thread_instructions += other.thread_instructions;
        self.guarded_off += other.guarded_off;
        for (sum, count) in self.by_class.iter_mut().zip(other.by_class) {
            *sum += count;
        }
        self.global.add(&other.global);
        self.shared.add(&other.shared);
        self.remote.add(&other.remote);
        self.local.add(&other.local);
        self.global_bytes_read += other.global_bytes_read;
        self.global_bytes_written += other.global_bytes_written;
        self.shared_bytes_read += other.shared_bytes_read;
        self.shared_bytes_written += other.shared_bytes_written;
        self.async_copy_bytes += other.async_copy_bytes;
        self.bulk_copy_bytes += other.bulk_copy_bytes;
        self.atomics += other.atomics;
        self.mma += other.mma;
        self.mma_integer += other.mma_integer;
        self.wgmma += other.wgmma;
        self.macs += other.macs;
        self.barriers += other.barriers;
        self.divergent_branches += other.divergent_branches;
    }
}
