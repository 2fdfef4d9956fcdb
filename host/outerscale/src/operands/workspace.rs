//! Memory of the caller's in which the blocks of a launch meet.

use crate::{Gpu, Result, memory::DeviceMemory};
use std::sync::Arc;

/// Device memory for variants whose blocks share a tile of y (split-K, stream-K): sums and counters.
///
/// It is zero before a launch and the launch leaves it zero, so that one serves any number of products one after the
/// other, and nothing has to be cleared between them. It is borrowed mutably for a launch: two at once would meet in it.
#[derive(Default)]
pub struct Workspace {
    memory: Option<Arc<DeviceMemory>>,
    bytes: u64,
}

impl Workspace {
    /// None: only variants whose blocks do not meet are eligible.
    pub const fn none() -> Self {
        Workspace { memory: None, bytes: 0 }
    }

    /// `bytes` bytes, cleared. How many a product would like, [`ops::workspace_bytes`](crate::ops::workspace_bytes)
    /// says.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn new(gpu: &Gpu, bytes: u64) -> Result<Self> {
        if bytes == 0 {
            return Ok(Workspace::none());
        }
        Ok(Workspace { memory: Some(Arc::new(DeviceMemory::filled(gpu, bytes, 0)?)), bytes })
    }

    /// Bytes that it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Copies its bytes to the host, after what was launched before has ended: all zero, whatever ran.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<i8>> {
        self.memory.as_ref().map_or(Ok(Vec::new()), |memory| memory.download(self.bytes))
    }

    pub(crate) fn memory(&self) -> Option<&Arc<DeviceMemory>> {
        self.memory.as_ref()
    }

    pub(crate) fn as_arg(&self) -> contract::args::Workspace {
        contract::args::Workspace { ptr: self.memory.as_ref().map_or(0, |memory| memory.ptr()), bytes: self.bytes }
    }
}
