//! How many blocks of a kernel a multiprocessor holds.

use crate::{Dtype, Gpu, Result, gpu::Driver, ops::Variant, ptx::Module};
use cust::device::DeviceAttribute;

/// A kernel's theoretical occupancy on this GPU, as its driver gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occupancy {
    /// Blocks that a multiprocessor holds at once.
    pub blocks: u32,
    /// Share of the threads that a multiprocessor can hold, 0 to 1.
    pub share: f64,
    /// Whether the driver knows the registers that the machine code takes: the simulator does not.
    pub counts_registers: bool,
}

/// The occupancy of a variant's kernel for elements of type `dtype`.
///
/// # Errors
/// A CUDA error.
pub fn occupancy(gpu: &Gpu, module: Module, variant: &Variant, dtype: Dtype) -> Result<Occupancy> {
    let blocks = gpu.max_active_blocks(module, variant, dtype)?;
    let most = gpu.attribute(DeviceAttribute::MaxThreadsPerMultiprocessor)?;
    let share = f64::from(blocks * variant.block) / f64::from(most.max(1));
    Ok(Occupancy { blocks, share, counts_registers: gpu.driver() == Driver::Cuda })
}
