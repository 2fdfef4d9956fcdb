//! What the driver's JIT made of the kernels.

use super::{Gpu, sys};
use crate::Result;
use std::ffi::c_int;

/// A module that was loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedModule {
    /// Its name.
    pub module: &'static str,
    /// Seconds of `cuModuleLoadDataEx`. All of the JIT's work is in them where `CUDA_MODULE_LOADING` is `EAGER` and
    /// `CUDA_CACHE_DISABLE` is 1; else the driver may put it off, or find it done.
    pub seconds: f64,
}

/// What `cuFuncGetAttribute` says of a loaded kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedKernel {
    /// Its entry.
    pub entry: String,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of local memory of a thread: spills, and arrays that are indexed at run time.
    pub local_bytes: u32,
    /// Bytes of shared memory that the kernel itself declares.
    pub static_shared_bytes: u32,
    /// Bytes of constant memory.
    pub constant_bytes: u32,
    /// The architecture of the machine code, 90 for sm_90.
    pub binary_version: u32,
    /// The architecture that the PTX is for.
    pub ptx_version: u32,
    /// The most threads that a block can have.
    pub max_threads: u32,
}

/// All that is loaded on a GPU.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The modules, by name.
    pub modules: Vec<LoadedModule>,
    /// The kernels, by name.
    pub kernels: Vec<LoadedKernel>,
}

impl Gpu {
    /// What is loaded so far, and what the driver says of it.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn loaded(&self) -> Result<Loaded> {
        self.make_current()?;
        let (mut modules, functions) = self.0.functions.loaded();
        let mut kernels = Vec::with_capacity(functions.len());
        for (entry, function) in functions {
            let attribute = |attribute: c_int| {
                let mut value = 0;
                // SAFETY: the function stays loaded as long as the GPU is open; `value` outlives the call.
                let status = unsafe { sys::cuFuncGetAttribute(&mut value, attribute, function.0) };
                let about = || format!(" for kernel {entry}");
                sys::check(status).map(|()| value as u32).map_err(|e| self.cuda_error("cuFuncGetAttribute", about(), e))
            };
            kernels.push(LoadedKernel {
                registers: attribute(sys::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
                local_bytes: attribute(sys::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
                static_shared_bytes: attribute(sys::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?,
                constant_bytes: attribute(sys::CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES)?,
                binary_version: attribute(sys::CU_FUNC_ATTRIBUTE_BINARY_VERSION)?,
                ptx_version: attribute(sys::CU_FUNC_ATTRIBUTE_PTX_VERSION)?,
                max_threads: attribute(sys::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
                entry,
            });
        }
        modules.sort_by_key(|module| module.module);
        kernels.sort_by(|a, b| a.entry.cmp(&b.entry));
        Ok(Loaded { modules, kernels })
    }
}
