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

/// Registers of a multiprocessor, and the unit in which a warp takes them (CUDA C++ Programming Guide, table of
/// technical specifications): the same from sm_80 to sm_120.
const REGISTERS: u32 = 64 * 1024;
const REGISTER_UNIT: u32 = 256;

/// The occupancy of a variant's kernel for elements of type `dtype`. `registers` of a thread, as ptxas tells
/// them, count where the driver does not know them.
///
/// # Errors
/// A CUDA error.
pub fn occupancy(
    gpu: &Gpu,
    module: Module,
    (variant, dtype): (&Variant, Dtype),
    registers: Option<u32>,
) -> Result<Occupancy> {
    let of_driver = gpu.max_active_blocks(module, variant, dtype)?;
    let known = gpu.driver() == Driver::Cuda;
    let blocks = match registers {
        Some(registers) if !known => of_driver.min(blocks_by_registers(registers, variant.block)),
        _ => of_driver,
    };
    let most = gpu.attribute(DeviceAttribute::MaxThreadsPerMultiprocessor)?;
    let share = f64::from(blocks * variant.block) / f64::from(most.max(1));
    Ok(Occupancy { blocks, share, counts_registers: known || registers.is_some() })
}

/// Blocks whose registers a multiprocessor has.
fn blocks_by_registers(registers: u32, block: u32) -> u32 {
    let warp = (registers * 32).next_multiple_of(REGISTER_UNIT);
    let block = warp * block.div_ceil(32);
    REGISTERS.checked_div(block).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_limit_blocks() {
        // As NVIDIA's occupancy calculator has them for sm_80.
        assert_eq!(blocks_by_registers(32, 256), 8);
        assert_eq!(blocks_by_registers(33, 256), 6);
        assert_eq!(blocks_by_registers(255, 256), 1);
        assert_eq!(blocks_by_registers(168, 128), 3);
        assert_eq!(blocks_by_registers(0, 256), u32::MAX);
    }
}
