//! What hardware allows of one launch, on every GPU (CUDA C++ Programming Guide, "Compute Capabilities").

/// Blocks of a grid along each axis.
pub(crate) const MAX_GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];
/// Threads of a block along each axis.
pub(crate) const MAX_BLOCK: [u32; 3] = [1024, 1024, 64];
/// Threads of a block in all.
pub(crate) const THREADS_PER_BLOCK: u32 = 1024;
/// Shared memory of a block, static and dynamic, on the GPU that has most; others have less.
pub(crate) const MOST_SHARED: u32 = 227 << 10;
