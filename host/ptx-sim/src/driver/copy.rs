//! Copies and fills. Each checks its whole range first (a 2D copy that of each row), and does nothing where
//! that is not one live allocation.

use std::{
    ffi::{c_uchar, c_uint, c_ushort, c_void},
    sync::Arc,
};

use super::{
    abi::{HostSource, HostTarget, In, Kept},
    context::with_working_context,
    engine,
    graph::NodeKind,
    handle::Handle,
    queue::enqueue_on_memory,
    status::{Answer, Code, Status, answer},
};
use crate::Memory;

/// One piece of work that is done when its call returns, once its turn has come and if the context is still whole.
fn at_once(call: &str, body: impl FnOnce(&Memory) -> Answer<()>) -> Code {
    answer(|| {
        let _turn = engine::turn();
        let (mut state, context) = with_working_context()?;
        state.refuse_synchronous(context, call)?;
        let memory = Arc::clone(&state.memory);
        drop(state);
        body(&memory)
    })
}

fn copy_in(stream: Handle, call: &str, body: impl Fn(&Memory) -> Answer<()> + Send + Sync + 'static) -> Code {
    answer(|| enqueue_on_memory(stream, call, NodeKind::Copy, body))
}

fn fill_in(stream: Handle, call: &str, body: impl Fn(&Memory) -> Answer<()> + Send + Sync + 'static) -> Code {
    answer(|| enqueue_on_memory(stream, call, NodeKind::Fill, body))
}

fn to_device(memory: &Memory, target: u64, source: HostSource<'_>, bytes: usize) -> Answer<()> {
    Ok(memory.write(target, source.bytes(0, bytes)?)?)
}

fn to_host(memory: &Memory, mut target: HostTarget<'_>, source: u64, bytes: usize) -> Answer<()> {
    Ok(memory.read(source, target.bytes(0, bytes)?)?)
}

/// One end of a copy.
#[derive(Clone, Copy)]
enum Place {
    Host(*mut c_void),
    Device(u64),
}

impl Place {
    /// A pointer that may be either tells by itself, as with unified addressing.
    fn of(memory: &Memory, pointer: u64) -> Self {
        if memory.owns(pointer) { Self::Device(pointer) } else { Self::Host(pointer as usize as *mut c_void) }
    }
}

fn between(memory: &Memory, target: Place, source: Place, bytes: usize) -> Answer<()> {
    match (target, source) {
        (Place::Device(target), Place::Device(source)) => Ok(memory.copy(target, source, bytes as u64)?),
        (Place::Device(target), Place::Host(source)) => to_device(memory, target, HostSource::new(source), bytes),
        (Place::Host(target), Place::Device(source)) => to_host(memory, HostTarget::new(target), source, bytes),
        (Place::Host(target), Place::Host(source)) => HostTarget::new(target).copy_from(HostSource::new(source), bytes),
    }
}

fn anywhere(memory: &Memory, target: u64, source: u64, bytes: usize) -> Answer<()> {
    between(memory, Place::of(memory, target), Place::of(memory, source), bytes)
}

pub(super) extern "C" fn host_to_device(target: u64, source: HostSource<'_>, bytes: usize) -> Code {
    at_once("cuMemcpyHtoD", |memory| to_device(memory, target, source, bytes))
}

pub(super) extern "C" fn host_to_device_async(
    target: u64,
    source: *const c_void,
    bytes: usize,
    stream: Handle,
) -> Code {
    let source = Kept::new(source);
    copy_in(stream, "cuMemcpyHtoDAsync", move |memory| to_device(memory, target, HostSource::new(source.get()), bytes))
}

pub(super) extern "C" fn device_to_host(target: HostTarget<'_>, source: u64, bytes: usize) -> Code {
    at_once("cuMemcpyDtoH", |memory| to_host(memory, target, source, bytes))
}

pub(super) extern "C" fn device_to_host_async(target: *mut c_void, source: u64, bytes: usize, stream: Handle) -> Code {
    let target = Kept::new(target);
    copy_in(stream, "cuMemcpyDtoHAsync", move |memory| to_host(memory, HostTarget::new(target.get()), source, bytes))
}

pub(super) extern "C" fn device_to_device(target: u64, source: u64, bytes: usize) -> Code {
    at_once("cuMemcpyDtoD", |memory| Ok(memory.copy(target, source, bytes as u64)?))
}

pub(super) extern "C" fn device_to_device_async(target: u64, source: u64, bytes: usize, stream: Handle) -> Code {
    copy_in(stream, "cuMemcpyDtoDAsync", move |memory| Ok(memory.copy(target, source, bytes as u64)?))
}

pub(super) extern "C" fn copy(target: u64, source: u64, bytes: usize) -> Code {
    at_once("cuMemcpy", |memory| anywhere(memory, target, source, bytes))
}

pub(super) extern "C" fn copy_async(target: u64, source: u64, bytes: usize, stream: Handle) -> Code {
    copy_in(stream, "cuMemcpyAsync", move |memory| anywhere(memory, target, source, bytes))
}

/// Fills `count` elements, each the bytes of `value`.
fn fill(memory: &Memory, target: u64, value: &[u8], count: usize) -> Answer<()> {
    if !target.is_multiple_of(value.len() as u64) {
        let why = format!("{target:#x} is not a multiple of the {} bytes that the elements have", value.len());
        return Err(Status::InvalidValue.because(why));
    }
    let bytes = (count as u64).checked_mul(value.len() as u64);
    let bytes = bytes.ok_or_else(|| Status::InvalidValue.because("more elements than there are addresses"))?;
    Ok(memory.fill(target, bytes, value)?)
}

pub(super) extern "C" fn fill_8(target: u64, value: c_uchar, count: usize) -> Code {
    at_once("cuMemsetD8", |memory| fill(memory, target, &value.to_le_bytes(), count))
}

pub(super) extern "C" fn fill_16(target: u64, value: c_ushort, count: usize) -> Code {
    at_once("cuMemsetD16", |memory| fill(memory, target, &value.to_le_bytes(), count))
}

pub(super) extern "C" fn fill_32(target: u64, value: c_uint, count: usize) -> Code {
    at_once("cuMemsetD32", |memory| fill(memory, target, &value.to_le_bytes(), count))
}

pub(super) extern "C" fn fill_8_async(target: u64, value: c_uchar, count: usize, stream: Handle) -> Code {
    fill_in(stream, "cuMemsetD8Async", move |memory| fill(memory, target, &value.to_le_bytes(), count))
}

pub(super) extern "C" fn fill_16_async(target: u64, value: c_ushort, count: usize, stream: Handle) -> Code {
    fill_in(stream, "cuMemsetD16Async", move |memory| fill(memory, target, &value.to_le_bytes(), count))
}

pub(super) extern "C" fn fill_32_async(target: u64, value: c_uint, count: usize, stream: Handle) -> Code {
    fill_in(stream, "cuMemsetD32Async", move |memory| fill(memory, target, &value.to_le_bytes(), count))
}

/// One side of a `CUDA_MEMCPY2D`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Side {
    x_bytes: usize,
    y: usize,
    memory_type: c_uint,
    host: *mut c_void,
    device: u64,
    array: *mut c_void,
    pitch: usize,
}

/// `CUDA_MEMCPY2D` of cuda.h.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Copy2d {
    source: Side,
    target: Side,
    width_bytes: usize,
    height: usize,
}

impl Side {
    /// Where row `index` starts, after a check that rows of `width` bytes do not run into each other.
    fn row(&self, memory: &Memory, width: usize, index: usize) -> Answer<Place> {
        const HOST: u32 = 1;
        const DEVICE: u32 = 2;
        const UNIFIED: u32 = 4;
        let too_far = || Status::InvalidValue.because("a 2D copy reaches past the last address");
        let row_end = self.x_bytes.checked_add(width).ok_or_else(too_far)?;
        if self.pitch != 0 && self.pitch < row_end {
            let why = format!("a pitch of {} bytes is less than a row of {row_end}", self.pitch);
            return Err(Status::InvalidValue.because(why));
        }
        // A pitch of 0 stands for rows without a gap.
        let pitch = if self.pitch == 0 { row_end } else { self.pitch };
        let row = self.y.checked_add(index).and_then(|row| row.checked_mul(pitch));
        let offset = row.and_then(|row| row.checked_add(self.x_bytes)).ok_or_else(too_far)?;
        let device = || self.device.checked_add(offset as u64).ok_or_else(too_far);
        match self.memory_type {
            HOST => Ok(Place::Host(self.host.wrapping_byte_add(offset))),
            DEVICE => Ok(Place::Device(device()?)),
            UNIFIED => Ok(Place::of(memory, device()?)),
            other => Err(Status::NotSupported.because(format!("2D copies of memory type {other} (3 is an array)"))),
        }
    }
}

fn rows(memory: &Memory, plan: &Copy2d) -> Answer<()> {
    for index in 0..plan.height {
        let target = plan.target.row(memory, plan.width_bytes, index)?;
        let source = plan.source.row(memory, plan.width_bytes, index)?;
        between(memory, target, source, plan.width_bytes)?;
    }
    Ok(())
}

pub(super) extern "C" fn copy_2d(plan: In<Copy2d>) -> Code {
    at_once("cuMemcpy2D", |memory| rows(memory, &plan.get()?))
}

pub(super) extern "C" fn copy_2d_async(plan: In<Copy2d>, stream: Handle) -> Code {
    answer(|| {
        let plan = Kept::new(plan.get()?);
        enqueue_on_memory(stream, "cuMemcpy2DAsync", NodeKind::Copy, move |memory| rows(memory, &plan.get()))
    })
}
