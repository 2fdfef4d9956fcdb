//! Pinned host memory: plain memory here, which kernels cannot reach.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    ffi::{c_uint, c_void},
    ptr::NonNull,
};

use super::{
    abi::Out,
    context::with_working_context,
    handle::Handle,
    status::{Code, Refused, Status, answer},
};

/// Pinned memory is made of whole pages.
const PAGE: usize = 4096;
/// Portable and write-combined; mapping into the device (2) is not simulated.
const KNOWN_FLAGS: u32 = 1 | 4;
const MAPPED: u32 = 2;

/// One allocation; dropping it frees it.
pub(super) struct HostBlock {
    pub(super) context: Handle,
    pointer: NonNull<u8>,
    layout: Layout,
    flags: u32,
}

// SAFETY: the block is memory that nobody else frees; the map that holds it is behind a lock.
unsafe impl Send for HostBlock {}

impl HostBlock {
    fn new(context: Handle, bytes: usize, flags: u32) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, PAGE).ok()?;
        // SAFETY: `bytes` is not 0, which the callers check.
        let pointer = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { context, pointer, layout, flags })
    }
}

impl Drop for HostBlock {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this layout, and freed only here.
        unsafe { dealloc(self.pointer.as_ptr(), self.layout) };
    }
}

pub(super) extern "C" fn alloc_host(out: Out<*mut c_void>, bytes: usize) -> Code {
    host_alloc(out, bytes, 0)
}

pub(super) extern "C" fn host_alloc(out: Out<*mut c_void>, bytes: usize, flags: c_uint) -> Code {
    answer(|| {
        if flags & MAPPED != 0 {
            return Err(Status::NotSupported.because("host memory cannot be mapped into the simulated GPU: copy it"));
        }
        if flags & !KNOWN_FLAGS != 0 || bytes == 0 {
            return Err(Status::InvalidValue.because(format!("{bytes} bytes of host memory with flags {flags:#x}")));
        }
        let (mut state, context) = with_working_context()?;
        state.refuse_unsafe("cuMemHostAlloc")?;
        let Some(block) = HostBlock::new(context, bytes, flags) else {
            return Err(Status::OutOfMemory.because(format!("the host has no {bytes} bytes to pin")));
        };
        let pointer = block.pointer.as_ptr();
        out.set(pointer.cast())?;
        state.host_blocks.insert(pointer.addr(), block);
        Ok(())
    })
}

pub(super) extern "C" fn free_host(pointer: *mut c_void) -> Code {
    answer(|| {
        let (mut state, _) = with_working_context()?;
        state.refuse_unsafe("cuMemFreeHost")?;
        match state.host_blocks.remove(&pointer.addr()) {
            Some(block) => {
                drop(block);
                Ok(())
            }
            None => Err(not_pinned(pointer)),
        }
    })
}

pub(super) extern "C" fn get_flags(out: Out<c_uint>, pointer: *mut c_void) -> Code {
    answer(|| {
        let (state, _) = with_working_context()?;
        let block = state.host_blocks.get(&pointer.addr()).ok_or_else(|| not_pinned(pointer))?;
        out.set(block.flags)
    })
}

fn not_pinned(pointer: *mut c_void) -> Refused {
    Status::InvalidValue.because(format!("{pointer:?} is not the start of pinned host memory that is still there"))
}
