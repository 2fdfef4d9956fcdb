//! Device memory: allocated and freed. Pointers hold in every context, as with unified addressing.

use std::ffi::c_uint;

use super::{
    abi::Out,
    context::with_working_context,
    engine,
    handle::Handle,
    state::{Locked, State},
    status::{Answer, Code, Refused, Status, answer},
    stream::with_stream,
};
use crate::MemoryError;

/// Rows of a pitched allocation start at multiples of this, as on hardware.
const PITCH: usize = 512;

impl From<MemoryError> for Refused {
    fn from(error: MemoryError) -> Self {
        let status = match error {
            MemoryError::OutOfMemory { .. } => Status::OutOfMemory,
            MemoryError::Empty | MemoryError::NotABase { .. } | MemoryError::OutOfBounds { .. } => Status::InvalidValue,
        };
        status.because(error.to_string())
    }
}

fn allocate(state: &mut State, context: Handle, bytes: usize, out: &Out<u64>) -> Answer<()> {
    let base = state.memory.alloc(bytes as u64)?;
    state.allocations.insert(base, context);
    out.set(base)
}

fn free(state: &mut State, base: u64) -> Answer<()> {
    // Null is freed without effect; a variable of a module is not the caller's to free.
    if base != 0 && state.allocations.remove(&base).is_none() {
        let nearest = state.memory.describe(base);
        let why = format!("{base:#x} is not an allocation of cuMemAlloc that is still there ({nearest})");
        return Err(Status::InvalidValue.because(why));
    }
    if base != 0 {
        state.memory.free(base)?;
    }
    Ok(())
}

pub(super) extern "C" fn mem_alloc(out: Out<u64>, bytes: usize) -> Code {
    answer(|| {
        let (mut state, context) = with_working_context()?;
        state.refuse_unsafe("cuMemAlloc")?;
        allocate(&mut state, context, bytes, &out)
    })
}

/// The state, with a stream that allocates and frees in its order. Graphs with allocations of their own are not
/// simulated.
fn with_allocating_stream(stream: Handle, call: &str) -> Answer<(Locked, Handle)> {
    let (mut state, context) = with_stream(stream)?;
    if state.captures(stream, context, call)? {
        let why = format!("{call} in a stream that captures: graphs with their own allocations are not simulated");
        return Err(Status::NotSupported.because(why));
    }
    Ok((state, context))
}

pub(super) extern "C" fn mem_alloc_async(out: Out<u64>, bytes: usize, stream: Handle) -> Code {
    answer(|| {
        let (mut state, context) = with_allocating_stream(stream, "cuMemAllocAsync")?;
        allocate(&mut state, context, bytes, &out)
    })
}

pub(super) extern "C" fn mem_alloc_pitch(
    out: Out<u64>,
    pitch: Out<usize>,
    width: usize,
    height: usize,
    element: c_uint,
) -> Code {
    answer(|| {
        if ![4, 8, 16].contains(&element) {
            return Err(Status::InvalidValue.because(format!("elements of {element} bytes: 4, 8 or 16 are allowed")));
        }
        let row = width.checked_next_multiple_of(PITCH).filter(|row| row.checked_mul(height).is_some());
        let row = row.ok_or_else(|| Status::InvalidValue.because("width times height is too much"))?;
        let (mut state, context) = with_working_context()?;
        state.refuse_unsafe("cuMemAllocPitch")?;
        pitch.set(row)?;
        allocate(&mut state, context, row * height, &out)
    })
}

pub(super) extern "C" fn mem_free(base: u64) -> Code {
    answer(|| {
        // Freeing waits for the work that may use the memory, as on hardware.
        let _turn = engine::turn();
        let (mut state, _) = with_working_context()?;
        state.refuse_unsafe("cuMemFree")?;
        free(&mut state, base)
    })
}

pub(super) extern "C" fn mem_free_async(base: u64, stream: Handle) -> Code {
    answer(|| {
        let _turn = engine::turn();
        let (mut state, _) = with_allocating_stream(stream, "cuMemFreeAsync")?;
        free(&mut state, base)
    })
}

pub(super) extern "C" fn mem_get_info(free: Out<usize>, total: Out<usize>) -> Code {
    answer(|| {
        let (state, _) = with_working_context()?;
        let (capacity, used) = (state.memory.capacity(), state.memory.used());
        free.set(capacity.saturating_sub(used) as usize)?;
        total.set(capacity as usize)
    })
}

pub(super) extern "C" fn mem_get_address_range(base: Out<u64>, bytes: Out<usize>, address: u64) -> Code {
    answer(|| {
        let (state, _) = with_working_context()?;
        let Some(region) = state.memory.containing(address) else {
            let nearest = state.memory.describe(address);
            return Err(Status::NotFound.because(format!("{address:#x} is in no live allocation ({nearest})")));
        };
        base.set_if_wanted(region.base);
        bytes.set_if_wanted(region.bytes as usize);
        Ok(())
    })
}
