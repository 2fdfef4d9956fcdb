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
    /// [`Counters::warp_instructions`] split by [`Class`], in the order of [`Class::ALL`].
    pub by_class: [u64; Class::COUNT],
    /// Bytes that loads and asynchronous copies read from global memory.
    pub global_bytes_read: u64,
    /// Bytes that stores wrote to global memory.
    pub global_bytes_written: u64,
    /// Bytes that loads and `ldmatrix` read from shared memory.
    pub shared_bytes_read: u64,
    /// Bytes that stores and asynchronous copies wrote to shared memory.
    pub shared_bytes_written: u64,
    /// Bytes of shared memory filled by asynchronous copies.
    pub async_copy_bytes: u64,
    /// Atomic operations, one for each thread.
    pub atomics: u64,
    /// `mma.sync` instructions, one for each warp.
    pub mma: u64,
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
        for (sum, count) in self.by_class.iter_mut().zip(other.by_class) {
            *sum += count;
        }
        self.global_bytes_read += other.global_bytes_read;
        self.global_bytes_written += other.global_bytes_written;
        self.shared_bytes_read += other.shared_bytes_read;
        self.shared_bytes_written += other.shared_bytes_written;
        self.async_copy_bytes += other.async_copy_bytes;
        self.atomics += other.atomics;
        self.mma += other.mma;
        self.macs += other.macs;
        self.barriers += other.barriers;
        self.divergent_branches += other.divergent_branches;
    }
}
