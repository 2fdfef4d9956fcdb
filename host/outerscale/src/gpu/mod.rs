//! The GPU, real or simulated: its context and stream, and the kernels loaded so far.

mod backend;
mod capture;
mod jit;
mod launch;
mod module;
mod sys;
mod tensor_map;

pub use backend::Backend;
pub use capture::Graph;
pub use jit::{Loaded, LoadedKernel, LoadedModule};
pub use launch::Launch;
pub use libcuda::Driver;
pub use sys::DriverError;

pub(crate) use capture::free;
pub(crate) use launch::{LaunchRequest, words};
pub(crate) use tensor_map::Tensor;

use crate::{
    Dtype, Error, Result,
    ops::Variant,
    ptx::{ARCHS, Arch, Module},
};
use cust::{
    context::{Context, CurrentContext},
    device::{Device, DeviceAttribute},
    error::CudaError,
    stream::{Stream, StreamFlags},
};
use module::Functions;
use std::sync::{Arc, Mutex, PoisonError};

/// What a launch may ask of the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Multiprocessors.
    pub multiprocessors: u64,
    /// Dynamic shared memory of a block after opting in, in bytes.
    pub shared_bytes: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of L2 cache.
    pub l2_bytes: u64,
}

/// A GPU and what is loaded on it. Clones share everything; usable from any thread.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>);

struct Inner {
    // Dropped in this order: functions and stream need the context.
    functions: Functions,
    stream: Stream,
    context: Context,
    driver: Driver,
    name: String,
    version: (u32, u32),
    arch: &'static Arch,
    limits: Limits,
    /// The kernel launched last, which an error that shows later is most likely about.
    last_kernel: Mutex<Option<String>>,
}

impl Gpu {
    /// Opens the first device of a backend. The first call of a process decides the driver for all others.
    ///
    /// # Errors
    /// [`Error::Backend`] where the backend has no device, another driver was chosen before, or no embedded
    /// PTX runs on the device; a CUDA error.
    pub fn open(backend: Backend) -> Result<Gpu> {
        Gpu::open_with_arch(backend, None)
    }

    /// As [`Gpu::open`], with the PTX of the architecture called `arch` (`sm_80`); on the simulator, that is
    /// the architecture that it simulates.
    ///
    /// # Errors
    /// As [`Gpu::open`], and where there is no PTX for `arch` or it does not run on the device.
    pub fn open_with_arch(backend: Backend, arch: Option<&str>) -> Result<Gpu> {
        let wanted = arch.map(named_arch).transpose()?;
        if let Some(arch) = wanted.filter(|_| backend != Backend::Cuda) {
            // Heard only where the simulator is chosen after this.
            libcuda::simulator::set_arch(arch.name).map_err(|e| Error::Backend(e.to_string()))?;
        }
        start_driver(backend)?;
        let driver = libcuda::chosen().ok_or_else(|| Error::Backend("cuInit chose no driver".to_owned()))?;
        let call = |name: &'static str| move |e: CudaError| cuda_error(name, String::new(), e);
        let device = Device::get_device(0).map_err(call("cuDeviceGet"))?;
        let context = Context::new(device).map_err(call("cuDevicePrimaryCtxRetain"))?;
        CurrentContext::set_current(&context).map_err(call("cuCtxSetCurrent"))?;
        let stream = Stream::new(StreamFlags::DEFAULT, None).map_err(call("cuStreamCreateWithPriority"))?;
        let attribute = |attribute| device.get_attribute(attribute).map_err(call("cuDeviceGetAttribute"));
        let version = (
            attribute(DeviceAttribute::ComputeCapabilityMajor)? as u32,
            attribute(DeviceAttribute::ComputeCapabilityMinor)? as u32,
        );
        let name = device.name().map_err(call("cuDeviceGetName"))?;
        let limits = Limits {
            multiprocessors: attribute(DeviceAttribute::MultiprocessorCount)? as u64,
            shared_bytes: device_attribute(&device, sys::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
            threads: attribute(DeviceAttribute::MaxThreadsPerBlock)? as u32,
            l2_bytes: attribute(DeviceAttribute::L2CacheSize)? as u64,
        };
        let arch = choose_arch(ARCHS, wanted, version, &name)?;
        log::info!("{} driver: {name}, sm_{}{}, kernels for {}", driver, version.0, version.1, arch.name);
        let functions = Functions::new(arch);
        let last_kernel = Mutex::new(None);
        Ok(Gpu(Arc::new(Inner { functions, stream, context, driver, name, version, arch, limits, last_kernel })))
    }

    /// The driver that carries the work.
    pub fn driver(&self) -> Driver {
        self.0.driver
    }

    /// The version of CUDA that the driver has: 13000 for 13.0.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn cuda_version(&self) -> Result<u32> {
        let version = cust::CudaApiVersion::get();
        let version = version.map_err(|e| self.cuda_error("cuDriverGetVersion", String::new(), e))?;
        Ok((1000 * version.major() + 10 * version.minor()) as u32)
    }

    /// The device's name, as its driver gives it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Major and minor version of the device's architecture.
    pub fn version(&self) -> (u32, u32) {
        self.0.version
    }

    /// The newest architecture of embedded kernels that the device runs; modules that are not compiled for it come
    /// from one before ([`Arch::text`]).
    pub fn arch(&self) -> &'static Arch {
        self.0.arch
    }

    /// What a launch may ask for.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// An attribute of the device.
    pub(crate) fn attribute(&self, attribute: DeviceAttribute) -> Result<u32> {
        let device = Device::get_device(0).map_err(|e| self.cuda_error("cuDeviceGet", String::new(), e))?;
        let value = device.get_attribute(attribute);
        value.map(|v| v as u32).map_err(|e| self.cuda_error("cuDeviceGetAttribute", String::new(), e))
    }

    /// Blocks of any kind that a multiprocessor holds at once.
    pub(crate) fn max_blocks_per_multiprocessor(&self) -> Result<u32> {
        let device = Device::get_device(0).map_err(|e| self.cuda_error("cuDeviceGet", String::new(), e))?;
        device_attribute(&device, sys::CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR)
    }

    /// Blocks of a variant's kernel that a multiprocessor holds at once.
    pub(crate) fn max_active_blocks(&self, module: Module, variant: &Variant, dtype: Dtype) -> Result<u32> {
        self.make_current()?;
        let entry = variant.entry(dtype);
        let function = self.0.functions.get(self, module, &entry, variant.shared_bytes)?;
        let mut blocks = 0;
        // SAFETY: the function is loaded, `blocks` outlives the call.
        let status = unsafe {
            sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(
                &mut blocks,
                function.0,
                variant.block as i32,
                variant.shared_bytes as usize,
            )
        };
        let about = format!(" for kernel {entry}");
        sys::check(status).map_err(|e| self.cuda_error("cuOccupancyMaxActiveBlocksPerMultiprocessor", about, e))?;
        Ok(blocks as u32)
    }

    /// Whether the two are one, with one stream.
    pub(crate) fn is(&self, other: &Gpu) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The stream that everything runs on.
    pub(crate) fn stream(&self) -> &Stream {
        &self.0.stream
    }

    /// Waits until what was launched has ended.
    ///
    /// # Errors
    /// A CUDA error of anything launched before, with the simulator's explanation where it has one.
    pub fn synchronize(&self) -> Result<()> {
        self.make_current()?;
        self.0.stream.synchronize().map_err(|e| self.cuda_error("cuStreamSynchronize", String::new(), e))
    }

    /// A context is current in one thread; this makes it so in the calling one.
    pub(crate) fn make_current(&self) -> Result<()> {
        CurrentContext::set_current(&self.0.context).map_err(|e| cuda_error("cuCtxSetCurrent", String::new(), e))
    }

    /// An error of `call`; where `about` does not say what it was about, the kernel launched last.
    pub(crate) fn cuda_error(&self, call: &'static str, about: String, source: impl Into<DriverError>) -> Error {
        let last = self.0.last_kernel.lock().unwrap_or_else(PoisonError::into_inner);
        let about = match last.as_ref() {
            Some(kernel) if about.is_empty() => format!(" (last kernel launched: {kernel})"),
            _ => about,
        };
        cuda_error(call, about, source)
    }

    fn note_launch(&self, kernel: &str) {
        *self.0.last_kernel.lock().unwrap_or_else(PoisonError::into_inner) = Some(kernel.to_owned());
    }
}

/// A CUDA error with the simulator's explanation, on one line.
fn cuda_error(call: &'static str, about: String, source: impl Into<DriverError>) -> Error {
    let explanation = libcuda::fault().or_else(libcuda::refusal);
    let explanation = explanation.map_or(String::new(), |text| format!("; {}", one_line(&text)));
    Error::Cuda { call, about, source: source.into(), explanation }
}

/// `text` with its lines joined.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn named_arch(name: &str) -> Result<&'static Arch> {
    Arch::named(name).ok_or_else(|| {
        let names: Vec<_> = ARCHS.iter().map(|arch| arch.name).collect();
        Error::Backend(format!("no kernels for {name:?} in this build; there are {}", names.join(", ")))
    })
}

/// Chooses the driver, or finds it chosen, and initialises it.
fn start_driver(backend: Backend) -> Result<()> {
    // Too late is no error in itself: a second Gpu of the same kind is welcome.
    let too_late = libcuda::select(backend.as_choice()).err();
    cust::init(cust::CudaFlags::empty()).map_err(|e| match (backend, libcuda::why_not_cuda()) {
        (Backend::Cuda, Some(why)) => Error::Backend(format!("no CUDA device: {why}; --backend sim needs none")),
        _ => cuda_error("cuInit", String::new(), e),
    })?;
    match (too_late, libcuda::chosen()) {
        (Some(too_late), Some(driver)) if !backend.accepts(driver) => Err(Error::Backend(too_late.to_string())),
        _ => Ok(()),
    }
}

/// An attribute that cust 0.3 has no name for.
fn device_attribute(device: &Device, attribute: i32) -> Result<u32> {
    let mut value = 0;
    // SAFETY: `value` outlives the call.
    let status = unsafe { sys::cuDeviceGetAttribute(&mut value, attribute, device.as_raw()) };
    sys::check(status).map_err(|e| cuda_error("cuDeviceGetAttribute", String::new(), e))?;
    Ok(value as u32)
}

/// The newest embedded architecture that runs on a device, or the wanted one if it does.
fn choose_arch(
    archs: &'static [Arch],
    wanted: Option<&'static Arch>,
    version: (u32, u32),
    device: &str,
) -> Result<&'static Arch> {
    let runs = |arch: &&Arch| arch.runs_on(version.0, version.1);
    let found = match wanted {
        Some(arch) => Some(arch).filter(runs),
        None => archs.iter().rev().find(runs),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = wanted.map_or(archs.iter().map(|a| a.name).collect(), |a| vec![a.name]);
        Error::Backend(format!(
            "{device} is sm_{}{}, and kernels for {} do not run there",
            version.0,
            version.1,
            names.join(", ")
        ))
    })
}
