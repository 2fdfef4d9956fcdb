//! Events: the moment at which a stream had done its work. Times are those of the simulation.

use std::{
    ffi::{c_float, c_uint},
    time::Instant,
};

use super::{
    abi::Out,
    context::with_working_context,
    engine,
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
}

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
        state.events.insert(handle, Event { context, flags, recorded: None });
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
    answer(|| {
        let (mut state, context) = with_stream(stream)?;
        let event = state.events.get_mut(&handle).ok_or_else(|| handle.stale(Kind::Event))?;
        if event.context != context {
            return Err(Status::InvalidHandle.because("the event and the stream are of different contexts"));
        }
        event.recorded = Some(Instant::now());
        Ok(())
    })
}

pub(super) extern "C" fn record_with_flags(handle: Handle, stream: Handle, flags: c_uint) -> Code {
    match flags {
        0 => record(handle, stream),
        _ => answer(|| Err(Status::InvalidValue.because("flags of cuEventRecordWithFlags are for captures only"))),
    }
}

/// What an event marks is done; one that was never recorded counts as done, as on hardware.
pub(super) extern "C" fn query(handle: Handle) -> Code {
    answer(|| with_event(handle).map(drop))
}

pub(super) extern "C" fn synchronize(handle: Handle) -> Code {
    answer(|| {
        drop(engine::turn());
        with_event(handle).map(drop)
    })
}

/// Milliseconds of the wall clock between two events.
pub(super) extern "C" fn elapsed_time(out: Out<c_float>, start: Handle, end: Handle) -> Code {
    answer(|| {
        drop(with_event(start)?);
        let state = with_event(end)?;
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
