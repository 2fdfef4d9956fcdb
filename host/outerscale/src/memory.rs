//! Device memory: allocations that free themselves, and what is laid out in them.

use crate::{
    Element, Error, Gpu, Layout, Result,
    element::{as_bytes, as_bytes_mut},
};
use cust::memory::{CopyDestination, DeviceBuffer};
use std::{marker::PhantomData, sync::Arc};

/// What the host puts between the rows of a matrix: NaN in every element type, so that a kernel which
/// reads a gap shows it.
pub(crate) const GAP: u8 = 0xff;

/// Bytes of device memory. Freed when the last user goes.
pub(crate) struct DeviceMemory {
    // An `Option` only so that `drop` can free it while the context is current.
    buffer: Option<DeviceBuffer<u8>>,
    gpu: Gpu,
}

// SAFETY: a device address and a length. The driver takes calls from any thread, and every use makes the
// context current first.
unsafe impl Send for DeviceMemory {}
// SAFETY: as above; `&self` methods only copy to the host.
unsafe impl Sync for DeviceMemory {}

impl DeviceMemory {
    /// `bytes` of memory with unknown content.
    pub(crate) fn uninitialized(gpu: &Gpu, bytes: u64) -> Result<DeviceMemory> {
        gpu.make_current()?;
        // SAFETY: bytes are never read as anything but `Element`s, valid for every bit pattern.
        let buffer = unsafe { DeviceBuffer::uninitialized(bytes as usize) }
            .map_err(|e| gpu.cuda_error("cuMemAlloc", format!(" for {bytes} bytes"), e))?;
        Ok(DeviceMemory { buffer: Some(buffer), gpu: gpu.clone() })
    }

    /// `bytes` of memory, every byte `value`.
    pub(crate) fn filled(gpu: &Gpu, bytes: u64, value: u8) -> Result<DeviceMemory> {
        let mut memory = DeviceMemory::uninitialized(gpu, bytes)?;
        if let Some(buffer) = memory.buffer.as_mut().filter(|b| !b.is_empty()) {
            buffer.set_8(value).map_err(|e| gpu.cuda_error("cuMemsetD8", String::new(), e))?;
        }
        Ok(memory)
    }

    /// A copy of `data`.
    pub(crate) fn from_bytes(gpu: &Gpu, data: &[u8]) -> Result<DeviceMemory> {
        let mut memory = DeviceMemory::uninitialized(gpu, data.len() as u64)?;
        if let Some(buffer) = memory.buffer.as_mut().filter(|b| !b.is_empty()) {
            buffer.copy_from(data).map_err(|e| gpu.cuda_error("cuMemcpyHtoD", String::new(), e))?;
        }
        Ok(memory)
    }

    /// Address of the first byte; 0 if there is none.
    pub(crate) fn ptr(&self) -> u64 {
        self.buffer.as_ref().map_or(0, |b| b.as_device_ptr().as_raw())
    }

    /// Whether `gpu` is what it was allocated with.
    pub(crate) fn is_of(&self, gpu: &Gpu) -> bool {
        self.gpu.is(gpu)
    }

    fn bytes(&self) -> usize {
        self.buffer.as_ref().map_or(0, |b| b.len())
    }

    /// All of it, after what was launched before has ended.
    pub(crate) fn download<T: Element>(&self) -> Result<Vec<T>> {
        self.gpu.synchronize()?;
        let mut host = vec![T::ZERO; self.bytes() / size_of::<T>()];
        if let Some(buffer) = self.buffer.as_ref().filter(|b| !b.is_empty()) {
            buffer
                .copy_to(as_bytes_mut(&mut host))
                .map_err(|e| self.gpu.cuda_error("cuMemcpyDtoH", String::new(), e))?;
        }
        Ok(host)
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // Freeing needs the context current in this thread; where that fails the driver is gone, and the
        // memory with it.
        let _ = self.gpu.make_current();
        self.buffer.take();
    }
}

/// A matrix of `T` in device memory.
#[derive(Clone)]
pub(crate) struct DeviceMatrix<T> {
    pub(crate) memory: Arc<DeviceMemory>,
    pub(crate) layout: Layout,
    element: PhantomData<T>,
}

impl<T: Element> DeviceMatrix<T> {
    /// A copy of `host`, row-major without gaps [rows, cols]; gaps of the layout are filled with [`GAP`].
    pub(crate) fn upload(gpu: &Gpu, argument: &'static str, host: &[T], layout: Layout) -> Result<Self> {
        layout.check(argument, T::DTYPE.bytes())?;
        if host.len() as u64 != layout.len() {
            let rule =
                format!("[{}, {}] needs {} elements, got {}", layout.rows, layout.cols, layout.len(), host.len());
            return Err(Error::argument("upload", argument, rule));
        }
        let memory = if layout.span() == layout.len() {
            DeviceMemory::from_bytes(gpu, as_bytes(host))?
        } else {
            let mut bytes = vec![GAP; layout.span() as usize * size_of::<T>()];
            for (range, row) in layout.row_ranges().zip(host.chunks_exact(layout.cols.max(1) as usize)) {
                bytes[range.start * size_of::<T>()..range.end * size_of::<T>()].copy_from_slice(as_bytes(row));
            }
            DeviceMemory::from_bytes(gpu, &bytes)?
        };
        Ok(DeviceMatrix { memory: Arc::new(memory), layout, element: PhantomData })
    }

    /// Memory for a matrix; every byte is `fill`, or unknown.
    pub(crate) fn allocate(gpu: &Gpu, argument: &'static str, layout: Layout, fill: Option<u8>) -> Result<Self> {
        layout.check(argument, T::DTYPE.bytes())?;
        let bytes = layout.span() * T::DTYPE.bytes();
        let memory = match fill {
            Some(value) => DeviceMemory::filled(gpu, bytes, value)?,
            None => DeviceMemory::uninitialized(gpu, bytes)?,
        };
        Ok(DeviceMatrix { memory: Arc::new(memory), layout, element: PhantomData })
    }

    /// The elements, row-major without gaps.
    pub(crate) fn download(&self) -> Result<Vec<T>> {
        let all = self.download_span()?;
        if self.layout.span() == self.layout.len() {
            return Ok(all);
        }
        Ok(self.layout.row_ranges().flat_map(|range| all[range].iter().copied()).collect())
    }

    /// The elements and the gaps between them, from the start of the memory.
    pub(crate) fn download_span(&self) -> Result<Vec<T>> {
        self.memory.download()
    }

    /// As a kernel takes it.
    pub(crate) fn as_arg(&self) -> contract::args::Matrix {
        contract::args::Matrix {
            ptr: self.memory.ptr() + self.layout.offset * T::DTYPE.bytes(),
            rows: self.layout.rows,
            cols: self.layout.cols,
            row_stride: self.layout.row_stride,
        }
    }
}

/// Elements in a row in device memory: what the reductions give. A clone is the same memory.
#[derive(Clone)]
pub struct DeviceVector<T> {
    pub(crate) memory: Arc<DeviceMemory>,
    len: u64,
    element: PhantomData<T>,
}

impl<T: Element> DeviceVector<T> {
    /// Memory for `len` elements with unknown content.
    pub(crate) fn uninitialized(gpu: &Gpu, len: u64) -> Result<Self> {
        let memory = Arc::new(DeviceMemory::uninitialized(gpu, len * T::DTYPE.bytes())?);
        Ok(DeviceVector { memory, len, element: PhantomData })
    }

    /// A copy of `host`.
    pub(crate) fn upload(gpu: &Gpu, host: &[T]) -> Result<Self> {
        let memory = Arc::new(DeviceMemory::from_bytes(gpu, as_bytes(host))?);
        Ok(DeviceVector { memory, len: host.len() as u64, element: PhantomData })
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies the elements to the host, after what was launched before has ended.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<T>> {
        self.memory.download()
    }
}
