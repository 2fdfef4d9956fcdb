//! Launching a kernel: one by-value argument, operands kept alive until it has ended.

use super::{Gpu, module::Function, sys};
use crate::{
    Dtype, Error, Result,
    choice::Why,
    memory::DeviceMemory,
    ops::{Choice, Problem, Table, Variant, choose},
};
use std::{ffi::c_void, sync::Arc};

/// What is to be launched, before a variant is chosen.
pub(crate) struct LaunchRequest<'a> {
    table: &'static Table,
    problem: Problem,
    dtype: Dtype,
    choice: Choice<'a>,
    keep: Vec<Arc<DeviceMemory>>,
}

impl<'a> LaunchRequest<'a> {
    pub(crate) fn new(table: &'static Table, problem: Problem, dtype: Dtype, choice: Choice<'a>) -> Self {
        LaunchRequest { table, problem, dtype, choice, keep: Vec::new() }
    }

    /// Names memory that the kernel uses.
    pub(crate) fn keep<'m>(mut self, memory: impl IntoIterator<Item = &'m Arc<DeviceMemory>>) -> Self {
        self.keep.extend(memory.into_iter().cloned());
        self
    }
}

/// What was launched. It keeps its operands alive and can be launched again, as benches do.
#[derive(Clone)]
pub struct Launch {
    /// The kernel's entry.
    pub entry: String,
    /// The variant, by its name in the op's table.
    pub variant: &'static str,
    /// Why that variant.
    pub why: Why,
    /// Blocks; 0 where there was nothing to do and nothing was launched.
    pub grid: u32,
    /// Threads of a block.
    pub block: u32,
    /// Rows of threads of a block.
    pub block_rows: u32,
    /// Blocks of a cluster.
    pub cluster: u32,
    /// Dynamic shared memory of a block, in bytes.
    pub shared_bytes: u32,
    // Keeps the function's module loaded.
    gpu: Gpu,
    function: Option<Function>,
    // In words, so that the alignment is that of every argument.
    args: Vec<u64>,
    keep: Vec<Arc<DeviceMemory>>,
}

impl Gpu {
    /// Chooses a variant and launches it on the stream; `rows` = 0 launches nothing. What the stream orders, the kernels
    /// count on: that an operand is written before it is read, and a running state by one launch at a time.
    ///
    /// # Errors
    /// `gpu` where an operand is of another; a variant that cannot be used; a CUDA error.
    ///
    /// # Safety
    /// `args` is what the table's kernels take, and describes memory of `request.keep` truthfully.
    pub(crate) unsafe fn launch<A: Copy>(&self, request: LaunchRequest<'_>, args: A, rows: u64) -> Result<Launch> {
        // SAFETY: the caller's.
        unsafe { self.launch_with(request, rows, |_| Ok(words(args))) }
    }

    /// As [`Gpu::launch`], for a table whose variants take arguments of several types: `args` makes those of the chosen one.
    ///
    /// # Errors
    /// As there, and those of `args`.
    ///
    /// # Safety
    /// As there, for what `args` gives.
    pub(crate) unsafe fn launch_with(
        &self,
        request: LaunchRequest<'_>,
        rows: u64,
        args: impl FnOnce(&Variant) -> Result<Vec<u64>>,
    ) -> Result<Launch> {
        let LaunchRequest { table, problem, dtype, choice, keep } = request;
        if !keep.iter().all(|memory| memory.is_of(self)) {
            let rule = "must be the one that all operands were made with: streams of two run in no order";
            return Err(Error::argument(table.op, "gpu", rule));
        }
        let problem = choice.limit_problem(problem);
        let chosen = choose(table, &problem, dtype, choice)?;
        let entry = chosen.variant.entry(dtype);
        let mut launch = Launch {
            entry,
            variant: chosen.variant.name,
            why: chosen.why,
            grid: 0,
            block: chosen.variant.block,
            block_rows: chosen.variant.block_rows,
            cluster: chosen.variant.cluster,
            shared_bytes: chosen.variant.shared_bytes,
            gpu: self.clone(),
            function: None,
            args: Vec::new(),
            keep,
        };
        if rows > 0 {
            self.make_current()?;
            launch.args = args(chosen.variant)?;
            launch.grid = choice.limit((chosen.variant.grid)(&problem));
            launch.function =
                Some(self.0.functions.get(self, chosen.variant.module, &launch.entry, launch.shared_bytes)?);
        }
        let clusters = if launch.cluster > 1 { format!(" in clusters of {}", launch.cluster) } else { String::new() };
        log::info!(
            "{}: {} ({}), grid {}{clusters}, block {}, {} bytes of shared memory",
            table.op,
            launch.entry,
            launch.why,
            launch.grid,
            launch.block,
            launch.shared_bytes
        );
        launch.again()?;
        Ok(launch)
    }
}

impl Gpu {
    /// Writes `word` over the first `count` words of memory, in the order of the launches: nothing waits.
    ///
    /// # Errors
    /// A CUDA error.
    ///
    /// # Panics
    /// If there are not as many words.
    pub(crate) fn fill_words(&self, memory: &Arc<DeviceMemory>, word: u32, count: u64) -> Result<()> {
        assert!(4 * count <= memory.bytes(), "{count} words in {} bytes", memory.bytes());
        if count == 0 {
            return Ok(());
        }
        self.make_current()?;
        self.note_recorded(&[], std::slice::from_ref(memory));
        // SAFETY: inside the memory, which is freed by a call that waits for the device.
        let status = unsafe { sys::cuMemsetD32Async(memory.ptr(), word, count as usize, self.launch_stream()) };
        sys::check(status).map_err(|e| self.cuda_error("cuMemsetD32Async", String::new(), e))
    }
}

impl Launch {
    /// Launches the same kernel on the same operands once more.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn again(&self) -> Result<()> {
        let (gpu, Some(function)) = (&self.gpu, self.function) else { return Ok(()) };
        gpu.make_current()?;
        gpu.note_launch(&self.entry);
        gpu.note_recorded(std::slice::from_ref(&self.entry), &self.keep);
        let mut parameters = [self.args.as_ptr().cast_mut().cast::<c_void>()];
        let cluster = sys::LaunchAttribute {
            id: sys::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
            padding: 0,
            value: std::array::from_fn(|i| if i == 0 { self.cluster } else { u32::from(i < 3) }),
        };
        let config = sys::LaunchConfig {
            grid: [self.grid, 1, 1],
            block: [self.block / self.block_rows, self.block_rows, 1],
            shared_bytes: self.shared_bytes,
            stream: gpu.launch_stream(),
            attributes: &cluster,
            // GPUs before sm_90 know no clusters, not even of one block.
            attribute_count: u32::from(self.cluster > 1),
        };
        // SAFETY: `Gpu::launch` made the arguments under its caller's promise; the operands are kept alive by this value and,
        // being freed by a call that waits for the device, beyond it. The driver copies the one parameter before it returns.
        let status =
            unsafe { sys::cuLaunchKernelEx(&config, function.0, parameters.as_mut_ptr(), std::ptr::null_mut()) };
        sys::check(status).map_err(|e| gpu.cuda_error("cuLaunchKernelEx", format!(" for kernel {}", self.entry), e))
    }
}

/// An argument as words, as a launch keeps it.
pub(crate) fn words<A: Copy>(args: A) -> Vec<u64> {
    const { assert!(align_of::<A>() <= align_of::<u64>(), "arguments are kept as words") };
    let mut words = vec![0u64; size_of::<A>().div_ceil(8)];
    // SAFETY: `words` has room for an `A`, and its alignment was checked.
    unsafe { words.as_mut_ptr().cast::<A>().write(args) };
    words
}
