//! Streams. Work is done when a call returns, so a stream holds no queue, only its context.

use std::ffi::{c_int, c_uint, c_void};

use super::{
    abi::Out,
    context::{current_handle, with_context, with_working_context},
    engine,
    handle::{Handle, Kind},
    state::{Locked, State},
    status::{Answer, Code, Status, answer},
};

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) context: Handle,
    flags: u32,
    priority: i32,
}

/// The state, with a stream whose context is alive and unbroken: the stream's own, and for the streams
/// that every context has, the current one.
pub(super) fn with_stream(handle: Handle) -> Answer<(Locked, Handle)> {
    let (state, current) = with_context()?;
    let context = state.context_of_stream(handle, current)?;
    state.check_fault(context)?;
    Ok((state, context))
}

impl State {
    fn context_of_stream(&self, handle: Handle, current: Handle) -> Answer<Handle> {
        match handle {
            Handle::NULL | Handle::LEGACY_STREAM | Handle::PER_THREAD_STREAM => Ok(current),
            _ => self.streams.get(&handle).map(|stream| stream.context).ok_or_else(|| handle.stale(Kind::Stream)),
        }
    }
}

pub(super) extern "C" fn create(out: Out<Handle>, flags: c_uint) -> Code {
    create_with_priority(out, flags, 0)
}

pub(super) extern "C" fn create_with_priority(out: Out<Handle>, flags: c_uint, _priority: c_int) -> Code {
    answer(|| {
        if flags > 1 {
            return Err(Status::InvalidValue.because(format!("stream flags {flags:#x} are unknown: 0 or 1")));
        }
        let (mut state, context) = with_working_context()?;
        let handle = Handle::new(Kind::Stream);
        out.set(handle)?;
        // A priority outside the range is brought into it, and the range has one value.
        state.streams.insert(handle, Stream { context, flags, priority: 0 });
        Ok(())
    })
}

pub(super) extern "C" fn destroy(handle: Handle) -> Code {
    answer(|| {
        let mut state = State::lock()?;
        state.streams.remove(&handle).map(drop).ok_or_else(|| handle.stale(Kind::Stream))
    })
}

pub(super) extern "C" fn synchronize(handle: Handle) -> Code {
    answer(|| {
        drop(engine::turn());
        with_stream(handle).map(drop)
    })
}

/// Work of this thread is done; work of another may not be, and is waited for rather than reported.
pub(super) extern "C" fn query(handle: Handle) -> Code {
    synchronize(handle)
}

pub(super) extern "C" fn wait_event(handle: Handle, event: Handle, flags: c_uint) -> Code {
    answer(|| {
        let (state, _) = with_stream(handle)?;
        if flags > 1 {
            return Err(Status::InvalidValue.because(format!("flags {flags:#x} of cuStreamWaitEvent are unknown")));
        }
        // What the event marks was done when it was recorded.
        state.events.get(&event).map(drop).ok_or_else(|| event.stale(Kind::Event))
    })
}

pub(super) extern "C" fn get_flags(handle: Handle, out: Out<c_uint>) -> Code {
    answer(|| {
        let (state, _) = with_stream(handle)?;
        out.set(state.streams.get(&handle).map_or(0, |stream| stream.flags))
    })
}

pub(super) extern "C" fn get_priority(handle: Handle, out: Out<c_int>) -> Code {
    answer(|| {
        let (state, _) = with_stream(handle)?;
        out.set(state.streams.get(&handle).map_or(0, |stream| stream.priority))
    })
}

pub(super) extern "C" fn get_context(handle: Handle, out: Out<Handle>) -> Code {
    answer(|| {
        let (_state, context) = with_stream(handle)?;
        out.set(context)
    })
}

/// 0: no stream of the simulated GPU ever captures.
pub(super) extern "C" fn is_capturing(handle: Handle, out: Out<c_uint>) -> Code {
    answer(|| with_stream(handle).and_then(|_| out.set(0)))
}

type HostFunction = unsafe extern "C" fn(*mut c_void);
type Callback = unsafe extern "C" fn(Handle, Code, *mut c_void);

pub(super) extern "C" fn launch_host_function(
    handle: Handle,
    function: Option<HostFunction>,
    data: *mut c_void,
) -> Code {
    answer(|| {
        let function = function.ok_or_else(|| Status::InvalidValue.because("the host function is null"))?;
        drop(with_stream(handle)?);
        // SAFETY: the caller pairs the function with its data; all work before it is done.
        unsafe { function(data) };
        Ok(())
    })
}

pub(super) extern "C" fn add_callback(
    handle: Handle,
    callback: Option<Callback>,
    data: *mut c_void,
    flags: c_uint,
) -> Code {
    answer(|| {
        let callback = callback.ok_or_else(|| Status::InvalidValue.because("the callback is null"))?;
        if flags != 0 {
            return Err(Status::InvalidValue.because("cuStreamAddCallback has no flags"));
        }
        let state = State::lock()?;
        let current = current_handle().unwrap_or(Handle::NULL);
        let context = state.context_of_stream(handle, current)?;
        // A callback runs on a broken context too, and is told so.
        let code = state.check_fault(context).err().map_or(0, |fault| fault.status as Code);
        drop(state);
        // SAFETY: the caller pairs the callback with its data; all work before it is done.
        unsafe { callback(handle, code, data) };
        Ok(())
    })
}
