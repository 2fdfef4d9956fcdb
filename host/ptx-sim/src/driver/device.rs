//! The simulated GPU: what it says of itself.

use std::{
    ffi::{c_int, c_uint},
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{
    abi::{HostTarget, Out, Text},
    attributes,
    state::State,
    status::{Answer, Code, Status, answer},
};
pub(super) use crate::limits::{MAX_BLOCK, MAX_GRID, THREADS_PER_BLOCK};

/// Figures of one GPU, from NVIDIA's tables of compute capabilities and the data sheet of the model.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) arch: &'static str,
    /// Ten times the major number plus the minor one.
    pub(super) capability: u32,
    pub(super) model: &'static str,
    pub(super) multiprocessors: u32,
    pub(super) shared_per_multiprocessor: u32,
    /// Dynamic plus static shared memory of a block that opted in.
    pub(super) shared_per_block_optin: u32,
    pub(super) threads_per_multiprocessor: u32,
    pub(super) blocks_per_multiprocessor: u32,
    pub(super) l2_bytes: u32,
    pub(super) clock_khz: u32,
    pub(super) memory_clock_khz: u32,
    pub(super) memory_bus_bits: u32,
    pub(super) memory_bytes: u64,
}

/// Shared memory of a block without opting in, and what the system keeps of each block's.
pub(super) const SHARED_PER_BLOCK: u32 = 48 << 10;
pub(super) const SHARED_RESERVED_PER_BLOCK: u32 = 1 << 10;
pub(super) const REGISTERS_PER_MULTIPROCESSOR: u32 = 64 << 10;
pub(super) const WARP: u32 = 32;

/// CUDA 13.0, as `cuDriverGetVersion` has it.
const DRIVER_VERSION: c_int = 13_000;

const SPECS: [Spec; 4] = [
    Spec {
        arch: "sm_80",
        capability: 80,
        model: "A100-like",
        multiprocessors: 108,
        shared_per_multiprocessor: 164 << 10,
        shared_per_block_optin: 163 << 10,
        threads_per_multiprocessor: 2048,
        blocks_per_multiprocessor: 32,
        l2_bytes: 40 << 20,
        clock_khz: 1_410_000,
        memory_clock_khz: 1_512_000,
        memory_bus_bits: 5120,
        memory_bytes: 80 << 30,
    },
    Spec {
        arch: "sm_86",
        capability: 86,
        model: "A10-like",
        multiprocessors: 72,
        shared_per_multiprocessor: 100 << 10,
        shared_per_block_optin: 99 << 10,
        threads_per_multiprocessor: 1536,
        blocks_per_multiprocessor: 16,
        l2_bytes: 6 << 20,
        clock_khz: 1_695_000,
        memory_clock_khz: 6_251_000,
        memory_bus_bits: 384,
        memory_bytes: 24 << 30,
    },
    Spec {
        arch: "sm_89",
        capability: 89,
        model: "L4-like",
        multiprocessors: 58,
        shared_per_multiprocessor: 100 << 10,
        shared_per_block_optin: 99 << 10,
        threads_per_multiprocessor: 1536,
        blocks_per_multiprocessor: 24,
        l2_bytes: 48 << 20,
        clock_khz: 2_040_000,
        memory_clock_khz: 6_251_000,
        memory_bus_bits: 192,
        memory_bytes: 24 << 30,
    },
    Spec {
        arch: "sm_90",
        capability: 90,
        model: "H100-like",
        multiprocessors: 132,
        shared_per_multiprocessor: 228 << 10,
        shared_per_block_optin: 227 << 10,
        threads_per_multiprocessor: 2048,
        blocks_per_multiprocessor: 32,
        l2_bytes: 50 << 20,
        clock_khz: 1_980_000,
        memory_clock_khz: 2_619_000,
        memory_bus_bits: 5120,
        memory_bytes: 80 << 30,
    },
];

/// The newest: it loads the PTX of every architecture before it.
const DEFAULT_ARCH: &str = "sm_90";
/// Names the architecture for a program that does not call [`set_arch`].
const ARCH_VARIABLE: &str = "PTX_SIM_ARCH";

/// What [`set_arch`] asked for; settled once the driver has started.
static WANTED: Mutex<Option<&'static Spec>> = Mutex::new(None);

/// Why an architecture cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchError {
    /// None of the simulated ones.
    Unknown(String),
    /// The driver has started as another.
    TooLate(&'static str),
}

impl fmt::Display for ArchError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                let known: Vec<_> = SPECS.iter().map(|spec| spec.arch).collect();
                write!(out, "there is no simulated GPU of architecture {name:?}: take one of {}", known.join(", "))
            }
            Self::TooLate(arch) => {
                write!(out, "the simulated GPU has started as {arch}: set the architecture before the first call")
            }
        }
    }
}

impl std::error::Error for ArchError {}

/// Makes the simulated GPU one of architecture `arch`, `sm_80` or `sm_90` say; a suffix, as in `sm_90a`, is
/// read over. Without it the environment's PTX_SIM_ARCH counts, else `sm_90`.
///
/// Errors: an architecture that is not simulated; a driver that has started as another.
pub fn set_arch(arch: &str) -> Result<(), ArchError> {
    let spec = find(arch)?;
    // Held while the state is asked, so that a start on another thread cannot come between.
    let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    match State::started() {
        Some(running) if !std::ptr::eq(running, spec) => Err(ArchError::TooLate(running.arch)),
        _ => {
            *wanted = Some(spec);
            Ok(())
        }
    }
}

fn find(arch: &str) -> Result<&'static Spec, ArchError> {
    let base = arch.trim_end_matches(['a', 'f']);
    SPECS.iter().find(|spec| spec.arch == base).ok_or_else(|| ArchError::Unknown(arch.to_owned()))
}

/// Settles the figures of the GPU, for `start`, which runs before anyone can change them.
pub(super) fn settle<T>(start: impl FnOnce(&'static Spec) -> T) -> Answer<T> {
    let wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    let spec = match *wanted {
        Some(spec) => Ok(spec),
        None => find(std::env::var(ARCH_VARIABLE).as_deref().unwrap_or(DEFAULT_ARCH)),
    };
    let spec = spec.map_err(|error| Status::InvalidDevice.because(format!("{ARCH_VARIABLE}: {error}")))?;
    Ok(start(spec))
}

impl Spec {
    pub(super) fn name(&self) -> String {
        format!("ptx-sim (simulated {}, {})", self.arch, self.model)
    }

    /// Whether PTX of that `.target` runs here. Plain targets run on everything newer; those with the
    /// suffix `a` on their own architecture only (PTX ISA, `.target`).
    pub(super) fn runs(&self, target: &str) -> bool {
        let number = target.trim_start_matches("sm_");
        let capability = number.trim_end_matches(['a', 'f']).parse::<u32>();
        let tied = number.ends_with(['a', 'f']);
        capability
            .is_ok_and(|capability| if tied { capability == self.capability } else { capability <= self.capability })
    }

    /// The last bytes tell the architectures apart.
    fn uuid(&self) -> [u8; 16] {
        let mut uuid = *b"ptx-sim GPU sm00";
        uuid[14] += (self.capability / 10) as u8;
        uuid[15] += (self.capability % 10) as u8;
        uuid
    }
}

/// Checks a `CUdevice`: there is one, number 0.
pub(super) fn device(ordinal: c_int) -> Answer<&'static Spec> {
    let spec = State::lock()?.spec;
    match ordinal {
        0 => Ok(spec),
        _ => Err(Status::InvalidDevice.because(format!("device {ordinal} was asked for; there is one, number 0"))),
    }
}

pub(super) extern "C" fn driver_get_version(version: Out<c_int>) -> Code {
    answer(|| version.set(DRIVER_VERSION))
}

pub(super) extern "C" fn get_count(count: Out<c_int>) -> Code {
    answer(|| State::lock().and_then(|_| count.set(1)))
}

pub(super) extern "C" fn get(out: Out<c_int>, ordinal: c_int) -> Code {
    answer(|| device(ordinal).and_then(|_| out.set(ordinal)))
}

pub(super) extern "C" fn get_name(mut name: HostTarget<'_>, room: c_int, ordinal: c_int) -> Code {
    answer(|| name.write_text(&device(ordinal)?.name(), usize::try_from(room).unwrap_or(0)))
}

pub(super) extern "C" fn get_uuid(out: Out<[u8; 16]>, ordinal: c_int) -> Code {
    answer(|| out.set(device(ordinal)?.uuid()))
}

pub(super) extern "C" fn get_pci_bus_id(mut text: HostTarget<'_>, room: c_int, ordinal: c_int) -> Code {
    answer(|| {
        device(ordinal)?;
        text.write_text("0000:00:00.0", usize::try_from(room).unwrap_or(0))
    })
}

pub(super) extern "C" fn total_memory(bytes: Out<usize>, ordinal: c_int) -> Code {
    answer(|| bytes.set(device(ordinal)?.memory_bytes as usize))
}

pub(super) extern "C" fn get_attribute(out: Out<c_int>, attribute: c_uint, ordinal: c_int) -> Code {
    answer(|| out.set(attributes::of_device(device(ordinal)?, attribute)? as c_int))
}

pub(super) extern "C" fn compute_capability(major: Out<c_int>, minor: Out<c_int>, ordinal: c_int) -> Code {
    answer(|| {
        let capability = device(ordinal)?.capability as c_int;
        major.set(capability / 10)?;
        minor.set(capability % 10)
    })
}

/// One GPU, which is no peer of itself.
pub(super) extern "C" fn can_access_peer(out: Out<c_int>, ordinal: c_int, peer: c_int) -> Code {
    answer(|| {
        device(ordinal)?;
        device(peer)?;
        out.set(0)
    })
}

/// A bus id names the device where it is the one that [`get_pci_bus_id`] gives.
pub(super) extern "C" fn get_by_pci_bus_id(out: Out<c_int>, text: Text<'_>) -> Code {
    answer(|| match text.get()? {
        "0000:00:00.0" | "00:00.0" => out.set(0),
        other => Err(Status::InvalidDevice.because(format!("there is no device at {other:?}"))),
    })
}

/// For the tests of whatever depends on the figures.
#[cfg(test)]
pub(super) fn spec_of(arch: &str) -> &'static Spec {
    find(arch).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_targets_run_on_newer_gpus_and_suffixed_ones_on_their_own() {
        let (ampere, hopper) = (spec_of("sm_80"), spec_of("sm_90a"));
        assert!(hopper.runs("sm_80") && hopper.runs("sm_90") && hopper.runs("sm_90a"));
        assert!(ampere.runs("sm_80") && ampere.runs("sm_75"));
        assert!(!ampere.runs("sm_90") && !ampere.runs("sm_90a") && !hopper.runs("sm_100") && !hopper.runs("sm_80a"));
        assert!(!hopper.runs("texmode"));
    }

    #[test]
    fn an_unknown_architecture_is_named_with_the_known_ones() {
        let text = set_arch("sm_61").unwrap_err().to_string();
        assert!(text.contains("\"sm_61\"") && text.contains("sm_80, sm_86, sm_89, sm_90"), "{text}");
    }
}
