//! Where a thread stands in its block and grid (PTX ISA, section 10). Blocks and grids here are one-dimensional.

use crate::instruction;

/// `%tid.x`: index of the thread in its block.
#[inline(always)]
pub fn thread_idx_x() -> u32 {
    // SAFETY: reads a special register.
    instruction!("%tid.x", unsafe { core::arch::nvptx::_thread_idx_x() as u32 })
}

/// `%ntid.x`: threads of a block.
#[inline(always)]
pub fn block_dim_x() -> u32 {
    // SAFETY: reads a special register.
    instruction!("%ntid.x", unsafe { core::arch::nvptx::_block_dim_x() as u32 })
}

/// `%tid.y`: index of the thread's row of threads in its block.
#[inline(always)]
pub fn thread_idx_y() -> u32 {
    // SAFETY: reads a special register.
    instruction!("%tid.y", unsafe { core::arch::nvptx::_thread_idx_y() as u32 })
}

/// `%ntid.y`: rows of threads of a block.
#[inline(always)]
pub fn block_dim_y() -> u32 {
    // SAFETY: reads a special register.
    instruction!("%ntid.y", unsafe { core::arch::nvptx::_block_dim_y() as u32 })
}

/// `%ctaid.x`: index of the block in the grid.
#[inline(always)]
pub fn block_idx_x() -> u32 {
    // SAFETY: reads a special register.
    instruction!("%ctaid.x", unsafe { core::arch::nvptx::_block_idx_x() as u32 })
}

/// `%nctaid.x`: blocks of the grid.
#[inline(always)]
pub fn grid_dim_x() -> u32 {
    // SAFETY: reads a special register.
    instruction!("%nctaid.x", unsafe { core::arch::nvptx::_grid_dim_x() as u32 })
}

/// Index of the thread in its grid, in 64 bits: 2³¹ blocks of 1,024 threads do not fit into 32.
#[inline(always)]
pub fn index() -> u64 {
    block_idx_x() as u64 * block_dim_x() as u64 + thread_idx_x() as u64
}
