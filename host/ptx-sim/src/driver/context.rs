//! Contexts: the one that is shared, those that are created, and which of them a thread uses.

use std::{
    cell::RefCell,
    ffi::{c_int, c_uint},
};

use super::{
    abi::Out,
    context_settings::Settings,
    device::device,
    engine,
    handle::{Handle, Kind},
    state::{Locked, State},
    status::{self, Answer, Code, Refused, Status, answer},
};

/// A context, with the error that broke it.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) flags: u32,
    pub(super) settings: Settings,
    /// Sticky: only a reset or the end of the context clears it.
    pub(super) fault: Option<Refused>,
}

impl Context {
    fn new(flags: u32) -> Self {
        Self { flags, ..Self::default() }
    }
}

thread_local! {
    /// The contexts that this thread pushed; the last one is current.
    static STACK: RefCell<Vec<Handle>> = const { RefCell::new(Vec::new()) };
}

/// The current context's handle, whatever its condition.
pub(super) fn current_handle() -> Option<Handle> {
    with_stack(|stack| stack.last().copied()).ok().flatten()
}

/// Drops at a thread's end may come after its stack is gone: then nothing is current.
fn with_stack<T>(body: impl FnOnce(&mut Vec<Handle>) -> T) -> Answer<T> {
    let result = STACK.try_with(|stack| body(&mut stack.borrow_mut()));
    result.map_err(|_| Status::InvalidContext.because("this thread is ending and has no contexts any more"))
}

/// The state, with a current context that is alive. For calls that a fault does not stop.
pub(super) fn with_context() -> Answer<(Locked, Handle)> {
    let state = State::lock()?;
    let Some(handle) = current_handle() else {
        return Err(Status::InvalidContext.because("this thread has no current context: make one, or cuCtxSetCurrent"));
    };
    if !state.contexts.contains_key(&handle) {
        return Err(Status::ContextIsDestroyed.because(format!("the current context {handle:?} was destroyed")));
    }
    Ok((state, handle))
}

/// The state, with a current context that is alive and unbroken.
pub(super) fn with_working_context() -> Answer<(Locked, Handle)> {
    let (state, handle) = with_context()?;
    state.check_fault(handle)?;
    Ok((state, handle))
}

impl State {
    /// The sticky error of a context, where it has one.
    pub(super) fn check_fault(&self, context: Handle) -> Answer<()> {
        match self.contexts.get(&context).and_then(|context| context.fault.as_ref()) {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    /// Breaks a context. The first fault is the cause; another thread's may have come before.
    pub(super) fn break_context(&mut self, context: Handle, status: Status, text: String) {
        status::set_fault(Some(text.clone()));
        if let Some(context) = self.contexts.get_mut(&context) {
            context.fault.get_or_insert(status.because(text));
        }
    }

    fn live_context(&mut self, handle: Handle) -> Answer<&mut Context> {
        self.contexts.get_mut(&handle).ok_or_else(|| handle.stale(Kind::Context))
    }
}

pub(super) extern "C" fn primary_retain(out: Out<Handle>, ordinal: c_int) -> Code {
    answer(|| {
        device(ordinal)?;
        let mut state = State::lock()?;
        let (handle, flags) = (state.primary.handle, state.primary.flags);
        out.set(handle)?;
        state.primary.retained += 1;
        state.contexts.entry(handle).or_insert_with(|| Context::new(flags));
        Ok(())
    })
}

pub(super) extern "C" fn primary_release(ordinal: c_int) -> Code {
    answer(|| {
        device(ordinal)?;
        let _turn = engine::turn();
        let mut state = State::lock()?;
        match state.primary.retained {
            0 => return Err(Status::InvalidContext.because("the primary context is not retained")),
            1 => {
                let handle = state.primary.handle;
                state.clear_context(handle);
                state.contexts.remove(&handle);
            }
            _ => {}
        }
        state.primary.retained -= 1;
        Ok(())
    })
}

pub(super) extern "C" fn primary_reset(ordinal: c_int) -> Code {
    answer(|| {
        device(ordinal)?;
        let _turn = engine::turn();
        let mut state = State::lock()?;
        let handle = state.primary.handle;
        state.clear_context(handle);
        Ok(())
    })
}

pub(super) extern "C" fn primary_set_flags(ordinal: c_int, flags: c_uint) -> Code {
    answer(|| {
        device(ordinal)?;
        check_flags(flags)?;
        let mut state = State::lock()?;
        state.primary.flags = flags;
        let handle = state.primary.handle;
        if let Some(context) = state.contexts.get_mut(&handle) {
            context.flags = flags;
        }
        Ok(())
    })
}

pub(super) extern "C" fn primary_get_state(ordinal: c_int, flags: Out<c_uint>, active: Out<c_int>) -> Code {
    answer(|| {
        device(ordinal)?;
        let state = State::lock()?;
        flags.set(state.primary.flags)?;
        active.set((state.primary.retained > 0).into())
    })
}

/// Scheduling (one of 1, 2, 4), mapped host memory and stack flags: all without effect here.
fn check_flags(flags: u32) -> Answer<()> {
    if flags & !0xff == 0 && (flags & 7).count_ones() <= 1 {
        Ok(())
    } else {
        Err(Status::InvalidValue.because(format!("context flags {flags:#x} contradict each other or are unknown")))
    }
}

pub(super) extern "C" fn create(out: Out<Handle>, flags: c_uint, ordinal: c_int) -> Code {
    answer(|| {
        device(ordinal)?;
        check_flags(flags)?;
        let handle = Handle::new(Kind::Context);
        out.set(handle)?;
        State::lock()?.contexts.insert(handle, Context::new(flags));
        with_stack(|stack| stack.push(handle))
    })
}

pub(super) extern "C" fn destroy(handle: Handle) -> Code {
    answer(|| {
        let _turn = engine::turn();
        let mut state = State::lock()?;
        if handle == state.primary.handle {
            return Err(Status::InvalidContext.because("the primary context is released, not destroyed"));
        }
        state.live_context(handle)?;
        state.clear_context(handle);
        state.contexts.remove(&handle);
        with_stack(|stack| stack.pop_if(|top| *top == handle)).map(drop)
    })
}

pub(super) extern "C" fn push(handle: Handle) -> Code {
    answer(|| {
        State::lock()?.live_context(handle)?;
        with_stack(|stack| stack.push(handle))
    })
}

pub(super) extern "C" fn pop(out: Out<Handle>) -> Code {
    answer(|| {
        let _state = State::lock()?;
        match with_stack(Vec::pop)? {
            Some(handle) => {
                out.set_if_wanted(handle);
                Ok(())
            }
            None => Err(Status::InvalidContext.because("this thread has no context to pop")),
        }
    })
}

pub(super) extern "C" fn set_current(handle: Handle) -> Code {
    answer(|| {
        let mut state = State::lock()?;
        if handle != Handle::NULL {
            state.live_context(handle)?;
        }
        with_stack(|stack| {
            stack.pop();
            if handle != Handle::NULL {
                stack.push(handle);
            }
        })
    })
}

pub(super) extern "C" fn get_current(out: Out<Handle>) -> Code {
    answer(|| State::lock().and_then(|_| out.set(current_handle().unwrap_or(Handle::NULL))))
}

pub(super) extern "C" fn get_device(out: Out<c_int>) -> Code {
    answer(|| with_context().and_then(|_| out.set(0)))
}

/// Every call runs to its end, so there is nothing to wait for but other threads' calls.
pub(super) extern "C" fn synchronize() -> Code {
    answer(|| {
        drop(with_context()?);
        drop(engine::turn());
        let (mut state, context) = with_working_context()?;
        state.refuse_context_wait(context)
    })
}
