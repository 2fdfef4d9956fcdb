//! The CUDA driver's functions, found when the program runs: NVIDIA's, or the simulator's.
//!
//! cust calls `cuLaunchKernel` and its like as functions of a shared library, `libcuda.so.1`, and a
//! program linked to that does not start on a machine without NVIDIA's driver. This crate defines the
//! functions instead: each jumps through a slot of a table, which `cuInit` fills from the driver that
//! it chooses. So one program runs on a GPU where there is one, and on a simulated GPU elsewhere.
//!
//! ```
//! use libcuda::{Choice, Driver};
//!
//! libcuda::select(Choice::Sim)?; // before the first call; Auto unless said otherwise
//! cust::init(cust::CudaFlags::empty())?;
//! assert_eq!(libcuda::chosen(), Some(Driver::Sim));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program that uses cust and nothing of this crate must still name it (`use libcuda as _;`), else
//! the linker does not see its symbols. Linux on x86-64 and aarch64 only, as NVIDIA's driver is for
//! this purpose. Do not build a `cdylib` with it: that would export the symbols.

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("libcuda knows how to jump on x86-64 and aarch64 only: add a `jump_through!` in table.rs");

mod errors;
mod real;
mod select;
mod sim;
mod table;

use std::ffi::{CStr, c_char, c_uint, c_void};

/// The simulated GPU's own controls: its architecture, the counters of its launches.
pub use ptx_sim::driver as simulator;
pub use select::{Choice, Driver, TooLate, chosen, select, why_not_cuda};

/// The simulator's explanation of the error that broke the context: kernel, line, block, thread,
/// address. Nothing on NVIDIA's driver, which has none to give, and nothing while all is well.
pub fn fault() -> Option<String> {
    (chosen() == Some(Driver::Sim)).then(simulator::last_fault).flatten()
}

/// The simulator's reason for the latest error code that it answered to this thread (which limit a
/// launch exceeded, which handle was stale, where PTX does not parse, why it did not start). Nothing on
/// NVIDIA's driver.
pub fn refusal() -> Option<String> {
    (chosen() != Some(Driver::Cuda)).then(simulator::last_refusal).flatten()
}

/// Chooses the driver on the first call, then answers the same again.
#[unsafe(no_mangle)]
extern "C" fn cuInit(flags: c_uint) -> u32 {
    // NVIDIA's would refuse too, and Auto must not take the caller's mistake for a missing GPU.
    if flags != 0 { errors::INVALID_VALUE } else { select::init() }
}

/// # Safety
/// `text` is null or points to a pointer that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(code: u32, text: *mut *const c_char) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { explain("cuGetErrorString", code, text, |(_, meaning)| meaning) }
}

/// # Safety
/// `text` is null or points to a pointer that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorName(code: u32, text: *mut *const c_char) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { explain("cuGetErrorName", code, text, |(name, _)| name) }
}

/// Asks NVIDIA's driver where that is chosen, else the table of [`errors`].
///
/// # Safety
/// `text` is null or points to a pointer that may be written.
unsafe fn explain(
    function: &str,
    code: u32,
    text: *mut *const c_char,
    column: impl Fn((&'static CStr, &'static CStr)) -> &'static CStr,
) -> u32 {
    type Explain = unsafe extern "C" fn(u32, *mut *const c_char) -> u32;
    if let Some(real) = select::real_function(function) {
        // SAFETY: both functions have this signature in cuda.h.
        let real = unsafe { std::mem::transmute::<*const c_void, Explain>(real) };
        // SAFETY: passed on from the caller.
        return unsafe { real(code, text) };
    }
    if text.is_null() {
        return errors::INVALID_VALUE;
    }
    let with_reason = (code == errors::NO_DEVICE && function == "cuGetErrorString").then(select::no_device_text);
    let found = match with_reason.flatten() {
        Some(reason) => Some(reason.as_c_str()),
        None => errors::describe(code).map(column),
    };
    // SAFETY: the caller's promise, and not null.
    unsafe { *text = found.map_or(std::ptr::null(), CStr::as_ptr) };
    if found.is_some() { errors::SUCCESS } else { errors::INVALID_VALUE }
}
