//! Loading PTX: each module when its first kernel is wanted, each function once.

use super::{
    Gpu,
    capture::relaxed,
    jit, one_line,
    sys::{self, CuFunction, CuModule, check},
};
use crate::{
    Error, Result,
    ptx::{Arch, Module},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::{CString, c_void},
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Shared memory that a block may have without opting in.
const SHARED_WITHOUT_OPT_IN: u32 = 48 * 1024;

/// Room for the JIT's messages.
const LOG_BYTES: usize = 16 * 1024;

/// A loaded function.
#[derive(Clone, Copy)]
pub(super) struct Function(pub(super) CuFunction);

// SAFETY: a handle of the driver, which takes calls from any thread.
unsafe impl Send for Function {}

struct LoadedModule {
    handle: CuModule,
    /// Seconds of the load.
    seconds: f64,
}

// SAFETY: as `Function`.
unsafe impl Send for LoadedModule {}

/// The modules and functions loaded so far.
pub(super) struct Functions {
    arch: &'static Arch,
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Loaded {
    modules: HashMap<Module, LoadedModule>,
    functions: HashMap<String, Function>,
}

impl Functions {
    pub(super) fn new(arch: &'static Arch) -> Self {
        Functions { arch, loaded: Mutex::default() }
    }

    /// The function of an entry, ready for blocks with `shared_bytes` of dynamic shared memory.
    pub(super) fn get(&self, gpu: &Gpu, module: Module, entry: &str, shared_bytes: u32) -> Result<Function> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = loaded.functions.get(entry) {
            return Ok(*function);
        }
        let handle = match loaded.modules.entry(module) {
            Entry::Occupied(loaded) => loaded.get().handle,
            Entry::Vacant(vacant) => {
                let start = Instant::now();
                let handle = relaxed(|| load(gpu, self.arch, module))?;
                vacant.insert(LoadedModule { handle, seconds: start.elapsed().as_secs_f64() }).handle
            }
        };
        let function = relaxed(|| find(gpu, handle, entry, shared_bytes))?;
        loaded.functions.insert(entry.to_owned(), function);
        Ok(function)
    }

    /// The modules and functions that are loaded so far.
    pub(super) fn loaded(&self) -> (Vec<jit::LoadedModule>, Vec<(String, Function)>) {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(module, loaded): (&Module, &LoadedModule)| (module.name(), loaded.seconds);
        let modules = loaded.modules.iter().map(of).map(|(module, seconds)| jit::LoadedModule { module, seconds });
        let functions = loaded.functions.iter().map(|(entry, function)| (entry.clone(), *function));
        (modules.collect(), functions.collect())
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        let loaded = self.loaded.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (_, module) in loaded.modules.drain() {
            // SAFETY: the handle came from `load`, and its functions go with this value.
            unsafe { sys::cuModuleUnload(module.handle) };
        }
    }
}

/// Loads a module's PTX with `cuModuleLoadDataEx`: cust's own loader keeps the JIT's log to itself.
fn load(gpu: &Gpu, arch: &Arch, module: Module) -> Result<CuModule> {
    let text = arch.text(module).ok_or_else(|| {
        Error::Backend(format!("module {} is not compiled for a GPU of {}", module.name(), arch.name))
    })?;
    let about = format!(" for module {} ({})", module.name(), text.arch.name);
    let ptx = CString::new(text.ptx).map_err(|_| Error::Backend(format!("the PTX{about} holds a zero byte")))?;
    let mut log = vec![0u8; LOG_BYTES];
    let mut options = [sys::CU_JIT_ERROR_LOG_BUFFER, sys::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
    // A size travels as a pointer-sized value (cuda.h, CUjit_option).
    let mut values = [log.as_mut_ptr().cast::<c_void>(), LOG_BYTES as *mut c_void];
    let mut handle = std::ptr::null_mut();
    log::debug!("loading module {} ({})", module.name(), text.arch.name);
    // SAFETY: the text is NUL-terminated, both arrays have two elements, the log has the size it says.
    let status = unsafe {
        sys::cuModuleLoadDataEx(&mut handle, ptx.as_ptr().cast(), 2, options.as_mut_ptr(), values.as_mut_ptr())
    };
    check(status).map(|()| handle).map_err(|source| {
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        let jit = one_line(&String::from_utf8_lossy(&log[..end]));
        match gpu.cuda_error("cuModuleLoadDataEx", about, source) {
            // The simulator's refusal is its JIT's log.
            Error::Cuda { call, about, source, explanation } if !jit.is_empty() && !explanation.contains(&jit) => {
                Error::Cuda { call, about, source, explanation: format!("; JIT: {jit}{explanation}") }
            }
            other => other,
        }
    })
}

fn find(gpu: &Gpu, module: CuModule, entry: &str, shared_bytes: u32) -> Result<Function> {
    let about = || format!(" for kernel {entry}");
    let name = CString::new(entry).map_err(|_| Error::Backend(format!("{entry:?} is no name of a kernel")))?;
    let mut function = std::ptr::null_mut();
    // SAFETY: the module is loaded, the name NUL-terminated, `function` outlives the call.
    check(unsafe { sys::cuModuleGetFunction(&mut function, module, name.as_ptr()) })
        .map_err(|e| gpu.cuda_error("cuModuleGetFunction", about(), e))?;
    if shared_bytes > SHARED_WITHOUT_OPT_IN {
        let attribute = sys::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function was just found.
        check(unsafe { sys::cuFuncSetAttribute(function, attribute, shared_bytes as i32) })
            .map_err(|e| gpu.cuda_error("cuFuncSetAttribute", about(), e))?;
    }
    Ok(Function(function))
}
