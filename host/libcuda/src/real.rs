//! NVIDIA's driver: opened and asked for a device before anything is decided.

use std::ffi::{c_int, c_uint, c_void};

use libloading::Library;

use crate::{
    errors,
    table::{self, Absent},
};

const LIBRARY: &str = "libcuda.so.1";

/// NVIDIA's library, initialised, with at least one device.
pub(crate) struct Real(Library);

/// Why NVIDIA's driver is of no use here: the code for the caller, the reason for the reader.
pub(crate) struct NoUse {
    pub(crate) code: u32,
    pub(crate) why: String,
}

type Init = unsafe extern "C" fn(c_uint) -> u32;
type DeviceGetCount = unsafe extern "C" fn(*mut c_int) -> u32;

impl Real {
    /// Opens the library, initialises it and counts its devices.
    ///
    /// Errors: [`NoUse`] where the library does not open, lacks a function, fails, or has no device.
    pub(crate) fn open() -> Result<Self, NoUse> {
        // SAFETY: the loader's search path names NVIDIA's driver; running its initialisers is the point.
        let library = unsafe { Library::new(LIBRARY) }.map_err(|error| NoUse {
            code: errors::NO_DEVICE,
            why: format!("{LIBRARY} was not found or could not be opened: {error}"),
        })?;
        let real = Self(library);
        match real.count_devices() {
            Ok(()) => Ok(real),
            Err(no_use) => {
                // The driver may have started threads: its code must stay mapped although nobody calls it.
                std::mem::forget(real);
                Err(no_use)
            }
        }
    }

    fn count_devices(&self) -> Result<(), NoUse> {
        let lacking = |name| NoUse {
            code: errors::SHARED_OBJECT_SYMBOL_NOT_FOUND,
            why: format!("{LIBRARY} has no {name}: it is not NVIDIA's driver"),
        };
        let failed = |name, code| NoUse { code: errors::known_to_cust(code), why: self.failure(name, code) };
        // SAFETY: the signatures are those of cuda.h.
        let init = unsafe { self.0.get::<Init>("cuInit") }.map_err(|_| lacking("cuInit"))?;
        // SAFETY: as above.
        let get_count = unsafe { self.0.get::<DeviceGetCount>("cuDeviceGetCount") };
        let get_count = get_count.map_err(|_| lacking("cuDeviceGetCount"))?;

        // SAFETY: 0 is the only flag that cuInit knows.
        match unsafe { init(0) } {
            errors::SUCCESS => {}
            code => return Err(failed("cuInit", code)),
        }
        let mut count = 0;
        // SAFETY: `count` is written during the call only.
        match unsafe { get_count(&mut count) } {
            errors::SUCCESS if count > 0 => Ok(()),
            errors::SUCCESS => {
                Err(NoUse { code: errors::NO_DEVICE, why: format!("{LIBRARY} works, but finds no device") })
            }
            code => Err(failed("cuDeviceGetCount", code)),
        }
    }

    fn failure(&self, function: &str, code: u32) -> String {
        match errors::describe(code) {
            Some((name, text)) => {
                format!(
                    "{function} of {LIBRARY} answers {code} ({}): {}",
                    name.to_string_lossy(),
                    text.to_string_lossy()
                )
            }
            None => format!("{function} of {LIBRARY} answers error {code}"),
        }
    }

    /// The library's function of that name.
    pub(crate) fn function(&self, name: &str) -> Option<*const c_void> {
        // SAFETY: only the address is taken; whoever calls it knows the signature.
        unsafe { self.0.get::<*const c_void>(name) }.ok().map(|symbol| *symbol)
    }

    /// Sends every call to this library, for the rest of the process.
    pub(crate) fn fill_table(&self) {
        table::fill(Absent::NotInThisDriver, |name| self.function(name));
    }
}
