//! Events: the moment at which a stream had done its work. Times are those of the simulation.

use std::{
    ffi::{c_float, c_uint},
    sync::Arc,
    time::Instant,
};

use super::{
    abi::Out,
    capture::Point,
    context::with_working_context,
    engine,
    graph::NodeKind,
    handle::{Handle, Kind},
    state::{Locked, State},
    status::{Answer, Code, Status, answer},
    stream::with_stream,
};

const DISABLE_TIMING: u32 = 2;
/// Blocking wait, no timing, shared between processes (which needs the one before).
const KNOWN_FLAGS: u32 = 7;

#[derive(Debug)]
pub(super) struct Event {
    pub(super) context: Handle,
    flags: u32,
    recorded: Option<Instant>,
    /// The place that it marks, where it was last recorded in a capture.
    pub(super) captured: Option<Point>,
}

/// `CU_EVENT_RECORD_EXTERNAL`.
const RECORD_EXTERNAL: u32 = 1;

fn with_event(handle: Handle) -> Answer<Locked> {
    let state = State::lock()?;
    let event = state.events.get(&handle).ok_or_else(|| handle.stale(Kind::Event))?;
    state.check_fault(event.context)?;
    Ok(state)
}

pub(super) extern "C" fn create(out: Out<Handle>, flags: c_uint) -> Code {
    answer(|| {
        if flags & !KNOWN_FLAGS != 0 || (flags & 4 != 0 && flags & DISABLE_TIMING == 0) {
            return Err(Status::InvalidValue.because(format!("event flags {flags:#x} are unknown or contradictory")));
        }
        let (mut state, context) = with_working_context()?;
        let handle = Handle::new(Kind::Event);
        out.set(handle)?;
        state.events.insert(handle, Event { context, flags, recorded: None, captured: None });
        Ok(())
    })
}

pub(super) extern "C" fn destroy(handle: Handle) -> Code {
    answer(|| {
        let mut state = State::lock()?;
        state.events.remove(&handle).map(drop).ok_or_else(|| handle.stale(Kind::Event))
    })
}

pub(super) extern "C" fn record(handle: Handle, stream: Handle) -> Code {
    record_with_flags(handle, stream, 0)
}

pub(super) extern "C" fn record_with_flags(handle: Handle, stream: Handle, flags: c_uint) -> Code {
    answer(|| record_event(handle, stream, flags))
}

/// In a stream that captures, an event marks a place in the graph, and only an external one becomes a node.
pub(super) fn record_event(handle: Handle, stream: Handle, flags: u32) -> Answer<()> {
    if flags & !RECORD_EXTERNAL != 0 {
        return Err(Status::InvalidValue.because(format!("flags {flags:#x} of cuEventRecordWithFlags are unknown")));
    }
    let (mut state, context) = with_stream(stream)?;
    let captures = state.captures(stream, context, "cuEventRecord")?;
    let point = if captures { state.point_of(stream)?.cloned() } else { None };
    let event = state.events.get_mut(&handle).ok_or_else(|| handle.stale(Kind::Event))?;
    if event.context != context {
        return Err(Status::InvalidHandle.because("the event and the stream are of different contexts"));
    }
    match (point, flags & RECORD_EXTERNAL != 0) {
        (Some(_), true) => state.append(stream, NodeKind::RecordEvent, Arc::new(move |_| record_now(handle))),
        (Some(point), false) => {
            event.captured = Some(point);
            Ok(())
        }
        (None, true) => Err(Status::InvalidValue.because(
            "CU_EVENT_RECORD_EXTERNAL makes a node of the graph that is captured, and the stream does not capture",
        )),
        (None, false) => {
            (event.recorded, event.captured) = (Some(Instant::now()), None);
            Ok(())
        }
    }
}

fn record_now(handle: Handle) -> Answer<()> {
    let mut state = State::lock()?;
    let event = state.events.get_mut(&handle).ok_or_else(|| handle.stale(Kind::Event))?;
    event.recorded = Some(Instant::now());
    Ok(())
}

/// The state, for a call that waits for events or asks about them: not for captured ones, and not for others while
/// a capture forbids that.
fn with_waited_event(handle: Handle, call: &str) -> Answer<Locked> {
    let mut state = with_event(handle)?;
    let event = state.events.get(&handle).ok_or_else(|| handle.stale(Kind::Event))?;
    match (&event.captured, event.recorded) {
        (Some(point), _) => {
            let ids = [point.capture];
            let why = format!("{call} of an event that was last recorded in a capture: it marks nothing that runs");
            return Err(state.break_captures(&ids, Status::CapturedEvent, why));
        }
        (None, Some(_)) => state.refuse_unsafe(call)?,
        // Nothing to ask for.
        (None, None) => {}
    }
    Ok(state)
}

/// What an event marks is done; one that was never recorded counts as done, as on hardware.
pub(super) extern "C" fn query(handle: Handle) -> Code {
    answer(|| with_waited_event(handle, "cuEventQuery").map(drop))
}

pub(super) extern "C" fn synchronize(handle: Handle) -> Code {
    answer(|| {
        drop(engine::turn());
        with_waited_event(handle, "cuEventSynchronize").map(drop)
    })
}

/// Milliseconds of the wall clock between two events.
pub(super) extern "C" fn elapsed_time(out: Out<c_float>, start: Handle, end: Handle) -> Code {
    answer(|| {
        drop(with_waited_event(start, "cuEventElapsedTime")?);
        let state = with_waited_event(end, "cuEventElapsedTime")?;
        let time = |handle| {
            let event: &Event = state.events.get(&handle).ok_or_else(|| handle.stale(Kind::Event))?;
            if event.flags & DISABLE_TIMING != 0 {
                return Err(Status::InvalidHandle.because(format!("event {handle:?} was made without timing")));
            }
            event.recorded.ok_or_else(|| Status::InvalidHandle.because(format!("event {handle:?} was never recorded")))
        };
        let (from, to) = (time(start)?, time(end)?);
        // Negative where the events came in the other order, as on hardware.
        let milliseconds = match to.checked_duration_since(from) {
            Some(forward) => forward.as_secs_f32(),
            None => -(from - to).as_secs_f32(),
        };
        out.set(milliseconds * 1e3)
    })
}
