//! Functions: a kernel in its module, with what a caller has set for its launches.

use std::{
    ffi::{CString, c_char, c_int, c_uint},
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU32, Ordering::Relaxed},
    },
};

use super::{
    abi::Out,
    cluster,
    context::with_context,
    device::{REGISTERS_PER_MULTIPROCESSOR, SHARED_PER_BLOCK, Spec, THREADS_PER_BLOCK},
    handle::{Handle, Kind},
    state::State,
    status::{Answer, Code, Refused, Status, answer},
};
use crate::{Instance, Kernel};

// Numbers of `CUfunction_attribute`.
const MAX_THREADS_PER_BLOCK: u32 = 0;
const SHARED_SIZE_BYTES: u32 = 1;
const CONST_SIZE_BYTES: u32 = 2;
const LOCAL_SIZE_BYTES: u32 = 3;
const NUM_REGS: u32 = 4;
const PTX_VERSION: u32 = 5;
const BINARY_VERSION: u32 = 6;
const CACHE_MODE_CA: u32 = 7;
const MAX_DYNAMIC_SHARED_SIZE_BYTES: u32 = 8;
const PREFERRED_SHARED_MEMORY_CARVEOUT: u32 = 9;

/// Stands for the registers of a thread, which PTX does not tell: ptxas gives them out. It is the most with
/// which a block of 1024 threads, the largest, fits a multiprocessor.
pub(super) const REGISTERS_PER_THREAD: u32 = REGISTERS_PER_MULTIPROCESSOR / THREADS_PER_BLOCK;

pub(super) struct Function {
    pub(super) context: Handle,
    pub(super) module: Handle,
    pub(super) instance: Instance,
    pub(super) kernel: Kernel,
    max_dynamic_shared: AtomicU32,
    carveout: AtomicI32,
    pub(super) clusters: cluster::Settings,
    name: CString,
}

impl Function {
    pub(super) fn new(context: Handle, module: Handle, instance: Instance, kernel: Kernel) -> Self {
        let max_dynamic_shared = AtomicU32::new(SHARED_PER_BLOCK.saturating_sub(kernel.static_shared()));
        let name = CString::new(kernel.name()).unwrap_or_default();
        let (carveout, clusters) = (AtomicI32::new(-1), cluster::Settings::default());
        Self { context, module, instance, kernel, max_dynamic_shared, carveout, clusters, name }
    }

    /// Bytes of dynamic shared memory that a launch may ask for: 48 KiB with the static, until set higher.
    pub(super) fn max_dynamic_shared(&self) -> u32 {
        self.max_dynamic_shared.load(Relaxed)
    }

    /// Threads of the largest block: the launch bound, or what every GPU has.
    pub(super) fn max_threads(&self) -> u32 {
        let bound = self.kernel.max_threads().unwrap_or([THREADS_PER_BLOCK, 1, 1]);
        bound.into_iter().fold(1, u32::saturating_mul).min(THREADS_PER_BLOCK)
    }

    fn attribute(&self, spec: &Spec, attribute: u32) -> Answer<c_int> {
        let target = self.instance.module().target().trim_start_matches("sm_").trim_end_matches(['a', 'f']);
        Ok(match attribute {
            MAX_THREADS_PER_BLOCK => self.max_threads() as c_int,
            SHARED_SIZE_BYTES => self.kernel.static_shared() as c_int,
            CONST_SIZE_BYTES => {
                let constants = self.instance.module().globals().filter(|global| global.constant);
                constants.map(|global| global.size).sum::<u64>() as c_int
            }
            LOCAL_SIZE_BYTES | CACHE_MODE_CA => 0,
            NUM_REGS => REGISTERS_PER_THREAD as c_int,
            PTX_VERSION => target.parse().unwrap_or(0),
            BINARY_VERSION => spec.capability as c_int,
            MAX_DYNAMIC_SHARED_SIZE_BYTES => self.max_dynamic_shared() as c_int,
            PREFERRED_SHARED_MEMORY_CARVEOUT => self.carveout.load(Relaxed),
            attribute if cluster::ATTRIBUTES.contains(&attribute) => self.cluster_attribute(attribute) as c_int,
            _ => return Err(unknown(attribute)),
        })
    }

    fn set_attribute(&self, spec: &Spec, attribute: u32, value: c_int) -> Answer<()> {
        match attribute {
            MAX_DYNAMIC_SHARED_SIZE_BYTES => {
                let most = spec.shared_per_block_optin - self.kernel.static_shared().min(spec.shared_per_block_optin);
                let wanted = u32::try_from(value).ok().filter(|wanted| *wanted <= most);
                let Some(wanted) = wanted else {
                    return Err(Status::InvalidValue.because(format!(
                        "{value} bytes of dynamic shared memory were asked for {}; {most} are the most on {} ({} static)",
                        self.kernel.name(),
                        spec.name(),
                        self.kernel.static_shared()
                    )));
                };
                self.max_dynamic_shared.store(wanted, Relaxed);
            }
            PREFERRED_SHARED_MEMORY_CARVEOUT => {
                if !(-1..=100).contains(&value) {
                    return Err(Status::InvalidValue.because(format!("a carveout is -1 to 100 percent, not {value}")));
                }
                self.carveout.store(value, Relaxed);
            }
            attribute if cluster::ATTRIBUTES.contains(&attribute) => {
                self.set_cluster_attribute(spec, attribute, value)?;
            }
            _ => return Err(unknown(attribute)),
        }
        Ok(())
    }
}

fn unknown(attribute: u32) -> Refused {
    Status::InvalidValue.because(format!("function attribute {attribute} is unknown, or can only be read"))
}

impl State {
    pub(super) fn function(&self, handle: Handle) -> Answer<Arc<Function>> {
        self.functions.get(&handle).cloned().ok_or_else(|| handle.stale(Kind::Function))
    }
}

/// A live function and the figures of the GPU. No fault stops these calls: they touch no memory.
pub(super) fn with_function(handle: Handle) -> Answer<(Arc<Function>, &'static Spec)> {
    let (mut state, context) = with_context()?;
    // Occupancy is asked of a library's kernel too.
    let handle = state.function_or_kernel(handle, context)?;
    Ok((state.function(handle)?, state.spec))
}

pub(super) extern "C" fn get_attribute(out: Out<c_int>, attribute: c_uint, handle: Handle) -> Code {
    answer(|| {
        let (function, spec) = with_function(handle)?;
        out.set(function.attribute(spec, attribute)?)
    })
}

pub(super) extern "C" fn set_attribute(handle: Handle, attribute: c_uint, value: c_int) -> Code {
    answer(|| {
        let (function, spec) = with_function(handle)?;
        function.set_attribute(spec, attribute, value)
    })
}

/// A preference without effect here, as it may be on hardware.
pub(super) extern "C" fn set_cache_config(handle: Handle, config: c_uint) -> Code {
    answer(|| match with_function(handle) {
        Ok(_) if config > 3 => Err(Status::InvalidValue.because(format!("cache configuration {config}: 0 to 3"))),
        other => other.map(drop),
    })
}

/// Banks are four bytes wide on every GPU that is simulated, whatever is preferred.
pub(super) extern "C" fn set_shared_config(handle: Handle, config: c_uint) -> Code {
    answer(|| match with_function(handle) {
        Ok(_) if config > 2 => Err(Status::InvalidValue.because(format!("bank configuration {config}: 0 to 2"))),
        other => other.map(drop),
    })
}

pub(super) extern "C" fn get_module(out: Out<Handle>, handle: Handle) -> Code {
    answer(|| out.set(with_function(handle)?.0.module))
}

/// The name lives as long as the function.
pub(super) extern "C" fn get_name(out: Out<*const c_char>, handle: Handle) -> Code {
    answer(|| out.set(with_function(handle)?.0.name.as_ptr()))
}

pub(super) extern "C" fn get_param_info(handle: Handle, index: usize, offset: Out<usize>, size: Out<usize>) -> Code {
    answer(|| {
        let (function, _) = with_function(handle)?;
        let params = function.kernel.params();
        let Some(param) = params.get(index) else {
            let why = format!("{} has {} parameters, no number {index}", function.kernel.name(), params.len());
            return Err(Status::InvalidValue.because(why));
        };
        offset.set(param.offset as usize)?;
        size.set_if_wanted(param.size as usize);
        Ok(())
    })
}
