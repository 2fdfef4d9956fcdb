//! How many blocks of a kernel a multiprocessor holds.

use crate::{Dtype, Gpu, Result, gpu::Driver, ops::Variant, ptx::Module};
use cust::device::DeviceAttribute;

/// A kernel's theoretical occupancy on this GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occupancy {
    /// Blocks that a multiprocessor holds at once.
    pub blocks: u32,
    /// Share of the threads that a multiprocessor can hold, 0 to 1.
    pub share: f64,
    /// Whether registers are counted in: NVIDIA's driver knows them, the simulator needs to be told.
    pub counts_registers: bool,
}

/// What a multiprocessor has for its blocks.
#[derive(Clone, Copy, Debug)]
struct Multiprocessor {
    threads: u32,
    blocks: u32,
    shared_bytes: u32,
}

/// Registers of a multiprocessor, the unit in which a warp takes them, and the shared memory that the system takes of
/// each block (CUDA C++ Programming Guide, compute capabilities): the same from sm_80 to sm_120.
const REGISTERS: u32 = 64 * 1024;
const REGISTER_UNIT: u32 = 256;
const SHARED_RESERVED: u32 = 1024;
const SHARED_UNIT: u32 = 128;

/// The occupancy of a variant's kernel for elements of type `dtype`: NVIDIA's driver knows it. For the simulated GPU it
/// is worked out from `registers` of a thread, as ptxas tells them, or without them.
///
/// # Errors
/// A CUDA error.
pub fn occupancy(
    gpu: &Gpu,
    module: Module,
    (variant, dtype): (&Variant, Dtype),
    registers: Option<u32>,
) -> Result<Occupancy> {
    let threads = gpu.attribute(DeviceAttribute::MaxThreadsPerMultiprocessor)?;
    let blocks = match gpu.driver() {
        Driver::Cuda => gpu.max_active_blocks(module, variant, dtype)?,
        Driver::Sim => {
            let shared_bytes = gpu.attribute(DeviceAttribute::MaxSharedMemoryPerMultiprocessor)?;
            let has = Multiprocessor { threads, blocks: gpu.max_blocks_per_multiprocessor()?, shared_bytes };
            has.holds(variant.block, variant.shared_bytes, registers.unwrap_or(0))
        }
    };
    let share = f64::from(blocks * variant.block) / f64::from(threads.max(1));
    Ok(Occupancy { blocks, share, counts_registers: gpu.driver() == Driver::Cuda || registers.is_some() })
}

impl Multiprocessor {
    /// Blocks that fit at once: the least of four limits.
    fn holds(self, block: u32, shared_bytes: u32, registers: u32) -> u32 {
        let warps = block.div_ceil(32).max(1);
        let registers = (registers * 32).next_multiple_of(REGISTER_UNIT) * warps;
        let shared = (shared_bytes + SHARED_RESERVED).next_multiple_of(SHARED_UNIT);
        (self.threads / (32 * warps))
            .min(self.blocks)
            .min(self.shared_bytes / shared)
            .min(REGISTERS.checked_div(registers).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_decides() {
        // sm_80; the counts of NVIDIA's occupancy calculator.
        let has = Multiprocessor { threads: 2048, blocks: 32, shared_bytes: 164 * 1024 };
        assert_eq!(has.holds(256, 0, 32), 8);
        assert_eq!(has.holds(256, 0, 33), 6);
        assert_eq!(has.holds(256, 0, 255), 1);
        assert_eq!(has.holds(32, 0, 16), 32);
        assert_eq!(has.holds(128, 98_304, 168), 1);
        assert_eq!(has.holds(128, 40_960, 64), 4);
        assert_eq!(has.holds(128, 0, 0), 16);
    }
}
