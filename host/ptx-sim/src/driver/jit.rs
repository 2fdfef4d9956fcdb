//! The options of `cuModuleLoadDataEx`: of these the logs and the wall time mean something here.

use std::{ffi::c_void, time::Duration};

use super::{
    abi::{HostTarget, In, Out},
    status::{Answer, Status},
};

// Numbers of `CUjit_option`.
const WALL_TIME: u32 = 2;
const INFO_LOG_BUFFER: u32 = 3;
const INFO_LOG_BUFFER_SIZE_BYTES: u32 = 4;
const ERROR_LOG_BUFFER: u32 = 5;
const ERROR_LOG_BUFFER_SIZE_BYTES: u32 = 6;
/// The highest of CUDA 13.0; all others tune a compiler that the simulator has none of.
const LAST: u32 = 36;

/// The options of one call. Each value is a pointer-wide slot that holds a number or a pointer.
pub(super) struct Options {
    count: usize,
    names: In<u32>,
    values: Slots,
}

/// The array of values, into which sizes are also written back.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Slots(*mut *mut c_void);

impl Options {
    pub(super) fn none() -> Self {
        Self { count: 0, names: In::null(), values: Slots(std::ptr::null_mut()) }
    }

    pub(super) fn new(count: u32, names: In<u32>, values: Slots) -> Answer<Self> {
        let options = Self { count: count as usize, names, values };
        for index in 0..options.count {
            let name = names.at(index)?;
            if name > LAST {
                return Err(Status::InvalidValue.because(format!("there is no JIT option {name}")));
            }
        }
        Ok(options)
    }

    fn index_of(&self, name: u32) -> Answer<Option<usize>> {
        for index in 0..self.count {
            if self.names.at(index)? == name {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    pub(super) fn set_wall_time(&self, time: Duration) -> Answer<()> {
        if let Some(index) = self.index_of(WALL_TIME)? {
            // cuda.h has a float here: its bits are the low half of the slot.
            self.values.set(index, (time.as_secs_f32() * 1e3).to_bits() as usize);
        }
        Ok(())
    }

    /// What was loaded, for the caller's information.
    pub(super) fn write_info(&self, text: &str) -> Answer<()> {
        self.write_log(text, INFO_LOG_BUFFER, INFO_LOG_BUFFER_SIZE_BYTES)
    }

    /// Why nothing was loaded; empty where it was.
    pub(super) fn write_error(&self, text: &str) -> Answer<()> {
        self.write_log(text, ERROR_LOG_BUFFER, ERROR_LOG_BUFFER_SIZE_BYTES)
    }

    /// Fills a log, cut to its room, and writes back how many bytes it took.
    fn write_log(&self, text: &str, buffer: u32, size: u32) -> Answer<()> {
        let (Some(buffer), Some(size)) = (self.index_of(buffer)?, self.index_of(size)?) else {
            return Ok(());
        };
        // Sizes are 32 bits wide; what stands above them in the slot is not theirs.
        let room = self.values.get(size).addr() as u32 as usize;
        let target = self.values.get(buffer);
        if room == 0 || target.is_null() {
            return Ok(());
        }
        HostTarget::new(target).write_text(text, room)?;
        // With its NUL, except that a log with nothing in it has no size.
        let length = text.len().min(room - 1);
        self.values.set(size, if length == 0 { 0 } else { length + 1 });
        Ok(())
    }
}

impl Slots {
    fn get(self, index: usize) -> *mut c_void {
        // SAFETY: the caller of cuModuleLoadDataEx passes a value for every option with a log.
        unsafe { *self.0.add(index) }
    }

    fn set(self, index: usize, value: usize) {
        // SAFETY: as above; cuda.h says that these slots are written.
        let slot = Out::new(unsafe { self.0.add(index) });
        slot.set_if_wanted(std::ptr::without_provenance_mut(value));
    }
}
