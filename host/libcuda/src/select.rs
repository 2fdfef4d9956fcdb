//! Which driver serves this process: asked for before the first call, settled by `cuInit`.

use std::{
    ffi::CString,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    errors,
    real::{NoUse, Real},
    sim,
};

/// Which driver to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// NVIDIA's where its library opens, initialises and finds a device, else the simulator's.
    #[default]
    Auto,
    /// NVIDIA's, or an error from `cuInit` ([`why_not_cuda`] tells the reason).
    Cuda,
    /// The simulator's, whatever the machine has.
    Sim,
}

/// The driver that serves this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// NVIDIA's libcuda.so.1.
    Cuda,
    /// The simulated GPU of ptx-sim.
    Sim,
}

impl fmt::Display for Driver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Cuda => "cuda",
            Self::Sim => "sim",
        })
    }
}

/// A choice that came after `cuInit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate {
    asked: Choice,
    chosen: Option<Driver>,
}

impl fmt::Display for TooLate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "libcuda::select({:?}) came after cuInit, ", self.asked)?;
        match self.chosen {
            Some(driver) => write!(out, "which chose the {driver} driver for this process")?,
            None => write!(out, "which found no driver")?,
        }
        out.write_str(": select before the first call")
    }
}

impl std::error::Error for TooLate {}

/// What is known so far. One driver a process: handles of two would be mixed up.
enum State {
    Open(Choice),
    Cuda(Real),
    Sim,
    Failed(u32),
}

struct Selection {
    state: State,
    why_not_cuda: Option<String>,
    /// The text of NoDevice with the reason in it; C callers may keep the pointer, so it never changes.
    no_device_text: Option<&'static CString>,
}

static SELECTION: Mutex<Selection> =
    Mutex::new(Selection { state: State::Open(Choice::Auto), why_not_cuda: None, no_device_text: None });

fn selection() -> MutexGuard<'static, Selection> {
    SELECTION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for a driver. The last word before `cuInit` (cust: `cust::init`) counts.
///
/// Errors: [`TooLate`] after `cuInit`, whether that found a driver or not.
pub fn select(choice: Choice) -> Result<(), TooLate> {
    let mut selection = selection();
    match selection.state {
        State::Open(_) => {
            selection.state = State::Open(choice);
            Ok(())
        }
        _ => Err(TooLate { asked: choice, chosen: selection.chosen() }),
    }
}

/// The driver that `cuInit` chose; nothing before, and nothing where it failed.
pub fn chosen() -> Option<Driver> {
    selection().chosen()
}

/// Why NVIDIA's driver does not serve this process: not found, without a device, or its own error.
/// Nothing where it does, where it was not asked (`Choice::Sim`), and before `cuInit`.
pub fn why_not_cuda() -> Option<String> {
    selection().why_not_cuda.clone()
}

/// Chooses on the first call and answers the same ever after.
pub(crate) fn init() -> u32 {
    let mut selection = selection();
    let State::Open(choice) = selection.state else {
        return match selection.state {
            State::Failed(code) => code,
            _ => errors::SUCCESS,
        };
    };
    selection.state = match choice {
        Choice::Sim => start_simulator(),
        Choice::Cuda | Choice::Auto => match Real::open() {
            Ok(real) => {
                real.fill_table();
                State::Cuda(real)
            }
            Err(no_use) => {
                selection.note(&no_use);
                if choice == Choice::Auto { start_simulator() } else { State::Failed(no_use.code) }
            }
        },
    };
    match selection.state {
        State::Failed(code) => code,
        _ => errors::SUCCESS,
    }
}

fn start_simulator() -> State {
    match sim::init() {
        Ok(()) => {
            sim::fill_table();
            State::Sim
        }
        Err(code) => State::Failed(code),
    }
}

impl Selection {
    fn chosen(&self) -> Option<Driver> {
        match self.state {
            State::Cuda(_) => Some(Driver::Cuda),
            State::Sim => Some(Driver::Sim),
            State::Open(_) | State::Failed(_) => None,
        }
    }

    fn note(&mut self, no_use: &NoUse) {
        self.why_not_cuda = Some(no_use.why.clone());
        if no_use.code == errors::NO_DEVICE {
            let text = format!("no CUDA-capable device is detected ({})", no_use.why);
            // Leaked once a process: cuGetErrorString hands out pointers that live for ever.
            self.no_device_text = CString::new(text).ok().map(|text| &*Box::leak(Box::new(text)));
        }
    }
}

/// The function of NVIDIA's driver where that is chosen.
pub(crate) fn real_function(name: &str) -> Option<*const std::ffi::c_void> {
    match &selection().state {
        State::Cuda(real) => real.function(name),
        _ => None,
    }
}

/// The text of NoDevice with its reason, after a `cuInit` that failed for want of a device.
pub(crate) fn no_device_text() -> Option<&'static CString> {
    selection().no_device_text
}
