//! Streams. Work is done when a call returns, so a stream holds no queue, only its context.

use std::{
    ffi::{c_int, c_uint, c_void},
    sync::Arc,
};

use super::{
    abi::{Kept, Out},
    capture::Point,
    context::{current_handle, with_context, with_working_context},
    engine,
    graph::NodeKind,
    handle::{Handle, Kind},
    queue::enqueue,
    state::{Locked, State},
    status::{Answer, Code, Refused, Status, answer},
};

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) context: Handle,
    flags: u32,
    priority: i32,
    /// Where it stands in a capture.
    pub(super) point: Option<Point>,
    /// The nodes that cuStreamGetCaptureInfo showed last, which its caller may still look at.
    pub(super) shown: Vec<Handle>,
}

impl Stream {
    /// Whether the legacy stream waits for this one.
    pub(super) fn is_blocking(&self) -> bool {
        self.flags & NON_BLOCKING == 0
    }
}

const NON_BLOCKING: u32 = 1;
/// `CU_EVENT_WAIT_EXTERNAL`.
const WAIT_EXTERNAL: u32 = 1;

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
        state.streams.insert(handle, Stream { context, flags, priority: 0, point: None, shown: Vec::new() });
        Ok(())
    })
}

pub(super) extern "C" fn destroy(handle: Handle) -> Code {
    answer(|| {
        let mut state = State::lock()?;
        let stream = state.streams.get(&handle).ok_or_else(|| handle.stale(Kind::Stream))?;
        if let Some(capture) = stream.point.as_ref().map(|point| point.capture) {
            let why = "cuStreamDestroy of a stream that captures: end the capture first";
            return Err(state.break_captures(&[capture], Status::CaptureUnsupported, why.to_owned()));
        }
        state.streams.remove(&handle);
        Ok(())
    })
}

fn wait_for(handle: Handle, call: &str) -> Code {
    answer(|| {
        drop(engine::turn());
        let (mut state, context) = with_stream(handle)?;
        state.refuse_wait(handle, context, call)
    })
}

pub(super) extern "C" fn synchronize(handle: Handle) -> Code {
    wait_for(handle, "cuStreamSynchronize")
}

/// Work of this thread is done; work of another may not be, and is waited for rather than reported.
pub(super) extern "C" fn query(handle: Handle) -> Code {
    wait_for(handle, "cuStreamQuery")
}

pub(super) extern "C" fn wait_event(handle: Handle, event: Handle, flags: c_uint) -> Code {
    answer(|| {
        let (mut state, context) = with_stream(handle)?;
        if flags & !WAIT_EXTERNAL != 0 {
            return Err(Status::InvalidValue.because(format!("flags {flags:#x} of cuStreamWaitEvent are unknown")));
        }
        let found = state.events.get(&event).ok_or_else(|| event.stale(Kind::Event))?;
        let marked = found.captured.clone();
        let captures = state.captures(handle, context, "cuStreamWaitEvent")?;
        match (captures, flags & WAIT_EXTERNAL != 0) {
            (true, true) => state.append(handle, NodeKind::WaitEvent, Arc::new(move |_| event_is_there(event))),
            (false, true) => Err(Status::InvalidValue.because(
                "CU_EVENT_WAIT_EXTERNAL makes a node of the graph that is captured, and the stream does not capture",
            )),
            (_, false) => match marked {
                Some(marked) => state.wait_in_capture(handle, context, &marked),
                // What the event marks was done when it was recorded.
                None if !captures => Ok(()),
                None => Err(state.break_capture_of(
                    handle,
                    Status::CaptureIsolation,
                    "cuStreamWaitEvent, in a stream that captures, for an event that was recorded outside the capture: \
                     record it inside, or pass CU_EVENT_WAIT_EXTERNAL",
                )),
            },
        }
    })
}

fn event_is_there(event: Handle) -> Answer<()> {
    State::lock()?.events.get(&event).map(drop).ok_or_else(|| event.stale(Kind::Event))
}

impl State {
    fn break_capture_of(&mut self, stream: Handle, status: Status, why: &str) -> Refused {
        let point = self.streams.get(&stream).and_then(|stream| stream.point.as_ref());
        let ids: Vec<u64> = point.map(|point| point.capture).into_iter().collect();
        self.break_captures(&ids, status, why.to_owned())
    }

    /// A wait for what an event marks in a capture: orders what follows behind it, and takes a stream that did not
    /// capture yet into the capture.
    fn wait_in_capture(&mut self, handle: Handle, context: Handle, marked: &Point) -> Answer<()> {
        if self.captures.get(marked.capture).is_none() {
            let why =
                "the event was last recorded in a capture that has ended: it marks nothing that runs; record it anew";
            return Err(Status::CapturedEvent.because(why));
        }
        self.check_capture(marked.capture)?;
        if handle.is_legacy() {
            let why = "the legacy stream cannot wait for work that is captured: use a stream of its own";
            return Err(self.break_captures(&[marked.capture], Status::CaptureImplicit, why.to_owned()));
        }
        let Some(stream) = self.streams.get_mut(&handle) else {
            let why = format!("the per-thread stream of context {context:?} does not capture here: create a stream");
            return Err(Status::NotSupported.because(why));
        };
        match &mut stream.point {
            Some(point) if point.capture == marked.capture => {
                point.tips.extend(&marked.tips);
                point.tips.sort_unstable();
                point.tips.dedup();
            }
            Some(point) => {
                let both = [point.capture, marked.capture];
                let why = "the event was recorded in another capture than the stream's: two captures cannot be merged";
                return Err(self.break_captures(&both, Status::CaptureMerge, why.to_owned()));
            }
            none => *none = Some(marked.clone()),
        }
        Ok(())
    }
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

type HostFunction = unsafe extern "C" fn(*mut c_void);
type Callback = unsafe extern "C" fn(Handle, Code, *mut c_void);

pub(super) extern "C" fn launch_host_function(
    handle: Handle,
    function: Option<HostFunction>,
    data: *mut c_void,
) -> Code {
    answer(|| {
        let function = function.ok_or_else(|| Status::InvalidValue.because("the host function is null"))?;
        let data = Kept::new(data);
        enqueue(handle, "cuLaunchHostFunc", NodeKind::Host, move |_| {
            // SAFETY: the caller pairs the function with its data; all work before it is done.
            unsafe { function(data.get()) };
            Ok(())
        })
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
        let mut state = State::lock()?;
        let current = current_handle().unwrap_or(Handle::NULL);
        let context = state.context_of_stream(handle, current)?;
        if state.captures(handle, context, "cuStreamAddCallback")? {
            let why = "cuStreamAddCallback cannot be captured: use cuLaunchHostFunc";
            return Err(state.break_capture_of(handle, Status::CaptureUnsupported, why));
        }
        // A callback runs on a broken context too, and is told so.
        let code = state.check_fault(context).err().map_or(0, |fault| fault.status as Code);
        drop(state);
        // SAFETY: the caller pairs the callback with its data; all work before it is done.
        unsafe { callback(handle, code, data) };
        Ok(())
    })
}
