//! Device memory: allocations that free themselves, and what is laid out in them.

use crate::{
    Element, Error, Gpu, Layout, Result,
    element::{as_bytes, as_bytes_mut},
    gpu,
};
use cust::memory::{AsyncCopyDestination, CopyDestination, DeviceBuffer, DevicePointer, DeviceSlice};
use std::{borrow::Cow, marker::PhantomData, sync::Arc};

/// What the host puts between the rows of a matrix: NaN in every element type, so that a kernel which
/// reads a gap shows it.
pub(crate) const GAP: u8 = 0xff;

/// Bytes of device memory. Freed when the last user goes, unless they are somebody else's.
pub(crate) struct DeviceMemory {
    ptr: u64,
    bytes: u64,
    /// The allocation where it is ours; an `Option` also so that `drop` can free it while the context is current.
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
        let ptr = if bytes == 0 { 0 } else { buffer.as_device_ptr().as_raw() };
        Ok(DeviceMemory { ptr, bytes, buffer: Some(buffer), gpu: gpu.clone() })
    }

    /// Memory that somebody else has allocated.
    ///
    /// # Safety
    /// It is device memory of the Gpu's context, and outlives this value and all launches that use it.
    pub(crate) unsafe fn borrowed(gpu: &Gpu, ptr: u64, bytes: u64) -> DeviceMemory {
        DeviceMemory { ptr, bytes, buffer: None, gpu: gpu.clone() }
    }

    /// `bytes` bytes from byte `first` on, for a copy.
    fn slice(&self, first: u64, bytes: u64) -> DeviceSlice<u8> {
        assert!(first + bytes <= self.bytes, "{bytes} bytes from {first} on of {}", self.bytes);
        // SAFETY: inside the memory; a slice is an address and a length, and only copies look through it.
        unsafe { DeviceSlice::from_raw_parts(DevicePointer::from_raw(self.ptr + first), bytes as usize) }
    }

    /// `bytes` of memory, every byte `value`.
    pub(crate) fn filled(gpu: &Gpu, bytes: u64, value: u8) -> Result<DeviceMemory> {
        let memory = DeviceMemory::uninitialized(gpu, bytes)?;
        if bytes > 0 {
            let filled = memory.slice(0, bytes).set_8(value);
            filled.map_err(|e| gpu.cuda_error("cuMemsetD8", String::new(), e))?;
        }
        Ok(memory)
    }

    /// A copy of `data`.
    pub(crate) fn from_bytes(gpu: &Gpu, data: &[u8]) -> Result<DeviceMemory> {
        let memory = DeviceMemory::uninitialized(gpu, data.len() as u64)?;
        memory.copy_from(data)?;
        Ok(memory)
    }

    /// Address of the first byte; 0 if there is none.
    pub(crate) fn ptr(&self) -> u64 {
        self.ptr
    }

    /// Whether `gpu` is what it was allocated with.
    pub(crate) fn is_of(&self, gpu: &Gpu) -> bool {
        self.gpu.is(gpu)
    }

    /// Copies `data` over the first bytes, after what was launched before has ended.
    ///
    /// # Panics
    /// If there are not as many.
    pub(crate) fn write(&self, data: &[u8]) -> Result<()> {
        self.gpu.synchronize()?;
        self.copy_from(data)
    }

    fn copy_from(&self, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let copied = self.slice(0, data.len() as u64).copy_from(data);
        copied.map_err(|e| self.gpu.cuda_error("cuMemcpyHtoD", String::new(), e))
    }

    /// Copies all of `from`, which has as many bytes, once the stream gets there.
    pub(crate) fn copy_in_stream(&mut self, from: &DeviceMemory) -> Result<()> {
        self.gpu.make_current()?;
        if self.bytes != from.bytes {
            let rule = format!("a copy needs {} bytes, got {}", from.bytes, self.bytes);
            return Err(Error::argument("copy", "to", rule));
        }
        if self.bytes == 0 {
            return Ok(());
        }
        let (mut to, from) = (self.slice(0, self.bytes), from.slice(0, from.bytes));
        // SAFETY: freeing either waits for the device, and the stream orders the copy with all that uses them.
        unsafe { to.async_copy_from(&from, self.gpu.stream()) }
            .map_err(|e| self.gpu.cuda_error("cuMemcpyDtoDAsync", String::new(), e))
    }

    /// `count` elements from element `first` on, after what was launched before has ended.
    ///
    /// # Panics
    /// If there are not as many.
    pub(crate) fn download_part<T: Element>(&self, first: u64, count: u64) -> Result<Vec<T>> {
        self.gpu.synchronize()?;
        let mut host = vec![T::ZERO; count as usize];
        if count > 0 {
            let bytes = as_bytes_mut(&mut host);
            let copied = self.slice(first * T::DTYPE.bytes(), bytes.len() as u64).copy_to(bytes);
            copied.map_err(|e| self.gpu.cuda_error("cuMemcpyDtoH", String::new(), e))?;
        }
        Ok(host)
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first `count` elements, after what was launched before has ended.
    ///
    /// # Panics
    /// If there are not as many.
    pub(crate) fn download<T: Element>(&self, count: u64) -> Result<Vec<T>> {
        self.download_part(0, count)
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // Freeing needs the context current in this thread; where that fails the driver is gone, and the
        // memory with it.
        let _ = self.gpu.make_current();
        if let Some(buffer) = self.buffer.take() {
            gpu::free(buffer);
        }
    }
}

/// The bytes of a matrix, row-major without gaps, as they lie under `layout`.
fn laid_out<'a, T: Element>(
    op: &'static str,
    argument: &'static str,
    host: &'a [T],
    layout: Layout,
) -> Result<Cow<'a, [u8]>> {
    if host.len() as u64 != layout.len() {
        let rule = format!("[{}, {}] needs {} elements, got {}", layout.rows, layout.cols, layout.len(), host.len());
        return Err(Error::argument(op, argument, rule));
    }
    if layout.span() == layout.len() {
        return Ok(Cow::Borrowed(as_bytes(host)));
    }
    let mut bytes = vec![GAP; layout.span() as usize * size_of::<T>()];
    for (range, row) in layout.row_ranges().zip(host.chunks_exact(layout.cols.max(1) as usize)) {
        bytes[range.start * size_of::<T>()..range.end * size_of::<T>()].copy_from_slice(as_bytes(row));
    }
    Ok(Cow::Owned(bytes))
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
        Self::upload_with_room(gpu, argument, host, layout, 0)
    }

    /// As [`DeviceMatrix::upload`], in memory of at least `room` elements; those past the layout's are [`GAP`] too.
    pub(crate) fn upload_with_room(
        gpu: &Gpu,
        argument: &'static str,
        host: &[T],
        layout: Layout,
        room: u64,
    ) -> Result<Self> {
        layout.check(argument, T::DTYPE.bytes())?;
        let mut bytes = laid_out("upload", argument, host, layout)?;
        let room = (room * T::DTYPE.bytes()) as usize;
        if bytes.len() < room {
            bytes.to_mut().resize(room, GAP);
        }
        Ok(DeviceMatrix { memory: Arc::new(DeviceMemory::from_bytes(gpu, &bytes)?), layout, element: PhantomData })
    }

    /// Copies `host` over what is there.
    pub(crate) fn write(&mut self, argument: &'static str, host: &[T]) -> Result<()> {
        self.memory.write(&laid_out("write", argument, host, self.layout)?)
    }

    /// A matrix in memory that somebody else has allocated, `bytes` from `ptr` on.
    ///
    /// # Safety
    /// As [`DeviceMemory::borrowed`].
    pub(crate) unsafe fn borrow(
        gpu: &Gpu,
        argument: &'static str,
        (ptr, bytes): (u64, u64),
        layout: Layout,
    ) -> Result<Self> {
        layout.check(argument, T::DTYPE.bytes())?;
        let needed = layout.span() * T::DTYPE.bytes();
        if needed > bytes {
            let rule = format!("{layout:?} takes {needed} bytes, there are {bytes}");
            return Err(Error::argument("borrow", argument, rule));
        }
        if !ptr.is_multiple_of(T::DTYPE.bytes()) {
            let rule = format!("must be aligned to {} bytes, is at {ptr:#x}", T::DTYPE.bytes());
            return Err(Error::argument("borrow", argument, rule));
        }
        // SAFETY: the caller's.
        let memory = Arc::new(unsafe { DeviceMemory::borrowed(gpu, ptr, bytes) });
        Ok(DeviceMatrix { memory, layout, element: PhantomData })
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
        self.memory.download(self.layout.span())
    }

    /// The elements of one row.
    pub(crate) fn download_row(&self, row: u64) -> Result<Vec<T>> {
        if row >= self.layout.rows {
            let rule = format!("there are {} rows, no row {row}", self.layout.rows);
            return Err(Error::argument("download_row", "row", rule));
        }
        self.memory.download_part(self.layout.offset + row * self.layout.row_stride, self.layout.cols)
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

    /// Room for `most` elements, none there yet: an operation that writes here says how many there are.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn with_room(gpu: &Gpu, most: u64) -> Result<Self> {
        Ok(DeviceVector { len: 0, ..Self::uninitialized(gpu, most)? })
    }

    /// A copy of `host`.
    pub(crate) fn upload(gpu: &Gpu, host: &[T]) -> Result<Self> {
        let memory = Arc::new(DeviceMemory::from_bytes(gpu, as_bytes(host))?);
        Ok(DeviceVector { memory, len: host.len() as u64, element: PhantomData })
    }

    /// Sets the number of elements, as `op` is to write them.
    ///
    /// # Errors
    /// `argument` where there is no room for as many.
    pub(crate) fn resize(&mut self, op: &'static str, argument: &'static str, len: u64) -> Result<()> {
        let room = self.memory.bytes() / T::DTYPE.bytes();
        if len > room {
            let rule = format!("has room for {room} {} elements, {len} are to be written", T::DTYPE);
            return Err(Error::argument(op, argument, rule));
        }
        self.len = len;
        Ok(())
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
        self.memory.download(self.len)
    }
}
