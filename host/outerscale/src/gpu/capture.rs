//! Launches recorded once as a CUDA graph and launched again as one.

use super::{
    Gpu,
    sys::{self, CuGraph, CuGraphExec, CuStream, check},
};
use crate::{Error, Result, memory::DeviceMemory};
use cust::memory::DeviceBuffer;
use std::{cell::RefCell, ptr::null_mut, sync::Arc};

thread_local! {
    /// What the calling thread records.
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// A capture in progress.
struct Recording {
    gpu: Gpu,
    /// A stream that does nothing but record: launches of other threads go on in the Gpu's own.
    stream: CuStream,
    kernels: Vec<String>,
    keep: Vec<Arc<DeviceMemory>>,
    /// Memory whose last user went meanwhile: freeing it would break the capture.
    to_free: Vec<DeviceBuffer<u8>>,
}

/// Launches that were captured: their kernels and arguments, to be launched again on whatever their memory holds then.
///
/// It keeps that memory alive, so that no order of dropping is wrong.
pub struct Graph {
    gpu: Gpu,
    exec: CuGraphExec,
    kernels: Vec<String>,
    keep: Vec<Arc<DeviceMemory>>,
}

// SAFETY: a handle of the driver, which takes calls from any thread; not from two at once, hence no `Sync`.
unsafe impl Send for Graph {}

impl Gpu {
    /// Records what `work` launches on this Gpu instead of running it. Kernels that were never launched before are
    /// loaded on the way.
    ///
    /// Only launches can be recorded: an allocation, a copy to or from the host or a wait inside `work` is an error
    /// (CUDA C++ Programming Guide, "Prohibited and Unhandled Operations"), and then there is no graph. Other threads
    /// may use the Gpu meanwhile.
    ///
    /// # Errors
    /// What `work` returns; `work` where it begins a capture itself; a CUDA error.
    pub fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        let active = Active::begin(self)?;
        let done = work();
        let captured = active.end();
        // The error of the call that broke the capture tells more than that of its end.
        done?;
        captured
    }

    /// The stream of the calling thread's launches.
    pub(super) fn launch_stream(&self) -> CuStream {
        let recorded = RECORDING.with_borrow(|recording| {
            recording.as_ref().filter(|recording| recording.gpu.is(self)).map(|recording| recording.stream)
        });
        recorded.unwrap_or_else(|| self.stream().as_inner().cast())
    }

    /// Notes kernels and their memory, where the calling thread records.
    pub(super) fn note_recorded(&self, kernels: &[String], keep: &[Arc<DeviceMemory>]) {
        RECORDING.with_borrow_mut(|recording| {
            if let Some(recording) = recording.as_mut().filter(|recording| recording.gpu.is(self)) {
                recording.kernels.extend_from_slice(kernels);
                recording.keep.extend(keep.iter().cloned());
            }
        });
    }
}

/// Frees memory: at once, or after the capture where the calling thread records and may free none.
pub(crate) fn free(buffer: DeviceBuffer<u8>) {
    let mut buffer = Some(buffer);
    // A thread that ends has nothing to record.
    let _ = RECORDING.try_with(|recording| {
        if let Some(recording) = recording.borrow_mut().as_mut() {
            recording.to_free.extend(buffer.take());
        }
    });
    drop(buffer);
}

/// Runs `load`, which loads a kernel, in a thread that may be recording: loading is no work of a stream, and what a
/// capture forbids of it is relaxed meanwhile (CUDA driver API, cuThreadExchangeStreamCaptureMode).
pub(super) fn relaxed<R>(load: impl FnOnce() -> R) -> R {
    if RECORDING.with_borrow(Option::is_none) {
        return load();
    }
    let mut mode = sys::CU_STREAM_CAPTURE_MODE_RELAXED;
    // SAFETY: `mode` outlives both calls; it holds the thread's own mode after the first.
    unsafe { sys::cuThreadExchangeStreamCaptureMode(&mut mode) };
    let result = load();
    // SAFETY: as above.
    unsafe { sys::cuThreadExchangeStreamCaptureMode(&mut mode) };
    result
}

/// The capture of the calling thread; ends with it, whatever happens in between.
struct Active {
    gpu: Gpu,
    stream: CuStream,
}

impl Active {
    fn begin(gpu: &Gpu) -> Result<Active> {
        if RECORDING.with_borrow(Option::is_some) {
            let rule = "begins a capture inside of another in the same thread; end the outer one first";
            return Err(Error::argument("capture", "work", rule));
        }
        gpu.make_current()?;
        let mut stream = null_mut();
        // SAFETY: `stream` outlives the call.
        check(unsafe { sys::cuStreamCreate(&mut stream, sys::CU_STREAM_NON_BLOCKING) })
            .map_err(|e| gpu.cuda_error("cuStreamCreate", String::new(), e))?;
        let active = Active { gpu: gpu.clone(), stream };
        // SAFETY: the stream was just created.
        check(unsafe { sys::cuStreamBeginCapture_v2(stream, sys::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) })
            .map_err(|e| gpu.cuda_error("cuStreamBeginCapture", String::new(), e))?;
        let (kernels, keep, to_free) = (Vec::new(), Vec::new(), Vec::new());
        RECORDING.set(Some(Recording { gpu: gpu.clone(), stream, kernels, keep, to_free }));
        Ok(active)
    }

    /// Ends the capture and makes the graph ready to launch.
    fn end(self) -> Result<Graph> {
        let gpu = &self.gpu;
        let error = |call| move |e| gpu.cuda_error(call, " of a capture".to_owned(), e);
        let graph = self.take_graph().map_err(error("cuStreamEndCapture"))?;
        let recording = RECORDING.take();
        let mut exec = null_mut();
        // SAFETY: the graph is the driver's, `exec` outlives the call; the graph is not used again.
        let status = unsafe {
            let status = sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0);
            sys::cuGraphDestroy(graph);
            status
        };
        check(status).map_err(error("cuGraphInstantiate"))?;
        let (kernels, keep) = recording.map(|recording| (recording.kernels, recording.keep)).unwrap_or_default();
        Ok(Graph { gpu: gpu.clone(), exec, kernels, keep })
    }

    fn take_graph(&self) -> std::result::Result<CuGraph, super::DriverError> {
        let mut graph = null_mut();
        // SAFETY: the stream is alive, `graph` outlives the call.
        check(unsafe { sys::cuStreamEndCapture(self.stream, &mut graph) }).map(|()| graph)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        // Still there if the work failed or panicked. What it holds may be freed only after the capture has ended.
        if let Some(recording) = RECORDING.take() {
            if let Ok(graph) = self.take_graph() {
                // SAFETY: the driver's, and nobody has it.
                unsafe { sys::cuGraphDestroy(graph) };
            }
            drop(recording);
        }
        // SAFETY: created in `begin`, and captures no more.
        unsafe { sys::cuStreamDestroy_v2(self.stream) };
    }
}

impl Graph {
    /// The entries of its kernels, in the order of their launches.
    pub fn kernels(&self) -> &[String] {
        &self.kernels
    }

    /// Launches all of it, after what was launched before; waits for nothing. Inside a capture it becomes part of that.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn launch(&self) -> Result<()> {
        self.gpu.make_current()?;
        self.gpu.note_recorded(&self.kernels, &self.keep);
        self.kernels.iter().for_each(|kernel| self.gpu.note_launch(kernel));
        // SAFETY: the handle is alive, and so is all memory of its kernels (`keep`).
        check(unsafe { sys::cuGraphLaunch(self.exec, self.gpu.launch_stream()) }).map_err(|e| {
            let about = format!(" for a graph of {}", self.kernels.join(", "));
            self.gpu.cuda_error("cuGraphLaunch", about, e)
        })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // Where the context is gone, so is the graph.
        let _ = self.gpu.make_current();
        // SAFETY: the handle is this value's own; a graph that still runs is freed by the driver afterwards.
        unsafe { sys::cuGraphExecDestroy(self.exec) };
    }
}
