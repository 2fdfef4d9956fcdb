//! Error codes, each with its reason, and the boundary at which they become numbers.

use std::{
    any::Any,
    borrow::Cow,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

/// What a function of the driver answers: a value of `CUresult`.
pub(super) type Code = u32;

/// The codes of `CUresult` that the simulated driver uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Status {
    InvalidValue = 1,
    OutOfMemory = 2,
    NotInitialized = 3,
    InvalidDevice = 101,
    InvalidContext = 201,
    NoBinaryForGpu = 209,
    UnsupportedLimit = 215,
    InvalidPtx = 218,
    FileNotFound = 301,
    InvalidHandle = 400,
    IllegalState = 401,
    NotFound = 500,
    IllegalAddress = 700,
    LaunchTimeout = 702,
    ContextIsDestroyed = 709,
    IllegalInstruction = 715,
    MisalignedAddress = 716,
    LaunchFailed = 719,
    NotPermitted = 800,
    NotSupported = 801,
    CaptureUnsupported = 900,
    CaptureInvalidated = 901,
    CaptureMerge = 902,
    CaptureUnmatched = 903,
    CaptureUnjoined = 904,
    CaptureIsolation = 905,
    CaptureImplicit = 906,
    CapturedEvent = 907,
    CaptureWrongThread = 908,
    InvalidClusterSize = 912,
    Unknown = 999,
}

/// An error code and the reason in words, which the C interface has no room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: Status,
    pub(super) why: Cow<'static, str>,
}

pub(super) type Answer<T> = Result<T, Refused>;

impl Status {
    pub(super) fn because(self, why: impl Into<Cow<'static, str>>) -> Refused {
        Refused { status: self, why: why.into() }
    }
}

thread_local! {
    static REFUSAL: RefCell<Option<String>> = const { RefCell::new(None) };
}
static FAULT: Mutex<Option<String>> = Mutex::new(None);

/// The reason for the latest error code that a function of this driver answered to this thread.
pub fn last_refusal() -> Option<String> {
    REFUSAL.try_with(|slot| slot.borrow().clone()).ok().flatten()
}

pub(super) fn last_fault() -> Option<String> {
    FAULT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(super) fn set_fault(text: Option<String>) {
    *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// Runs a function's body and turns what comes of it into a code. A panic is a mistake of the simulator
/// and must not unwind into C: it answers CUDA_ERROR_UNKNOWN, with its message in [`last_fault`].
pub(super) fn answer(body: impl FnOnce() -> Answer<()>) -> Code {
    // Unwind safety: state is behind mutexes whose poison is ignored on purpose, and changed in one step.
    let refused = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return 0,
        Ok(Err(refused)) => refused,
        Err(panic) => {
            let text = format!("the simulated driver panicked, which is a mistake in it: {}", message(&*panic));
            set_fault(Some(text.clone()));
            Status::Unknown.because(text)
        }
    };
    // At a thread's end, when drops still call the driver, the slot may be gone already.
    let _ = REFUSAL.try_with(|slot| slot.replace(Some(refused.why.into_owned())));
    refused.status as Code
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_unknown_error_with_its_message() {
        assert_eq!(answer(|| panic!("lost count at {}", 7)), 999);
        assert!(last_refusal().unwrap().contains("lost count at 7"));
    }

    #[test]
    fn a_refusal_keeps_its_reason_for_the_thread() {
        assert_eq!(answer(|| Err(Status::NotFound.because("no kernel of that name"))), 500);
        assert_eq!(last_refusal().unwrap(), "no kernel of that name");
        std::thread::spawn(|| assert_eq!(last_refusal(), None)).join().unwrap();
    }
}
