//! What a layer remembers of its batches, in device memory.

use crate::{Error, Gpu, Result, element::Element, memory::DeviceMemory, operands::check_scale};
use contract::{args, limits::CODE_MAX};
use std::sync::Arc;

/// The state of a running scale on the device: no launch that reads or updates it waits for the host.
pub struct RunningState(pub(crate) Arc<DeviceMemory>);

impl RunningState {
    /// A state that begins with an absmax from calibration, or with the first batch.
    ///
    /// # Errors
    /// `absmax` where absmax / 127 is no scale that may be given; a CUDA error.
    pub fn new(gpu: &Gpu, absmax: Option<f32>) -> Result<Self> {
        if let Some(absmax) = absmax {
            check_scale(absmax / CODE_MAX).map_err(|rule| Error::argument("running_scale", "absmax", rule))?;
        }
        let bytes = [absmax.unwrap_or(0.0).to_bits(), 0, 0, 0].map(u32::to_le_bytes).concat();
        Ok(RunningState(Arc::new(DeviceMemory::from_bytes(gpu, &bytes)?)))
    }

    /// Copies the state to the host, after what was launched before has ended.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn read(&self) -> Result<args::RunningState> {
        let words: Vec<i32> = self.0.download(4)?;
        let word = |i: usize| words[i].bits();
        Ok(args::RunningState {
            average: f32::from_bits(word(0)),
            window: f32::from_bits(word(1)),
            samples: word(2),
            left_out: word(3),
        })
    }
}
