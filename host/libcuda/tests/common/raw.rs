//! Functions of the driver beside cust's, with results as numbers: cust's enumeration lacks the newer codes.

#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::ffi::c_void;

/// A handle: stream, event, graph and so on.
pub(crate) type Raw = *mut c_void;

pub(crate) const GLOBAL: u32 = 0;
pub(crate) const THREAD_LOCAL: u32 = 1;
pub(crate) const RELAXED: u32 = 2;

/// A `CUlaunchAttribute`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Attribute {
    pub(crate) id: u32,
    pub(crate) padding: u32,
    pub(crate) value: [u32; 16],
}

impl Attribute {
    /// The attribute of that number whose value begins with `words`.
    pub(crate) fn new(id: u32, words: &[u32]) -> Self {
        let mut value = [0; 16];
        value[..words.len()].copy_from_slice(words);
        Self { id, padding: 0, value }
    }
}

/// A `CUlaunchConfig`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Config {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) dynamic_shared: u32,
    pub(crate) stream: Raw,
    pub(crate) attributes: *const Attribute,
    pub(crate) attribute_count: u32,
}

unsafe extern "C" {
    pub(crate) fn cuStreamBeginCapture_v2(stream: Raw, mode: u32) -> u32;
    pub(crate) fn cuStreamEndCapture(stream: Raw, graph: *mut Raw) -> u32;
    pub(crate) fn cuStreamIsCapturing(stream: Raw, status: *mut u32) -> u32;
    pub(crate) fn cuStreamGetCaptureInfo_v3(
        stream: Raw,
        status: *mut u32,
        id: *mut u64,
        graph: *mut Raw,
        dependencies: *mut *const Raw,
        edges: *mut *const c_void,
        count: *mut usize,
    ) -> u32;
    pub(crate) fn cuThreadExchangeStreamCaptureMode(mode: *mut u32) -> u32;
    pub(crate) fn cuStreamSynchronize(stream: Raw) -> u32;
    pub(crate) fn cuStreamQuery(stream: Raw) -> u32;
    pub(crate) fn cuStreamWaitEvent(stream: Raw, event: Raw, flags: u32) -> u32;
    pub(crate) fn cuStreamDestroy_v2(stream: Raw) -> u32;
    pub(crate) fn cuStreamAddCallback(
        stream: Raw,
        callback: extern "C" fn(Raw, u32, *mut c_void),
        data: *mut c_void,
        flags: u32,
    ) -> u32;
    pub(crate) fn cuLaunchHostFunc(stream: Raw, function: extern "C" fn(*mut c_void), data: *mut c_void) -> u32;
    pub(crate) fn cuStreamCreate(stream: *mut Raw, flags: u32) -> u32;
    pub(crate) fn cuEventCreate(event: *mut Raw, flags: u32) -> u32;
    pub(crate) fn cuEventRecord(event: Raw, stream: Raw) -> u32;
    pub(crate) fn cuEventRecordWithFlags(event: Raw, stream: Raw, flags: u32) -> u32;
    pub(crate) fn cuEventQuery(event: Raw) -> u32;
    pub(crate) fn cuEventSynchronize(event: Raw) -> u32;
    pub(crate) fn cuEventElapsedTime(time: *mut f32, start: Raw, end: Raw) -> u32;
    pub(crate) fn cuCtxSynchronize() -> u32;
    pub(crate) fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> u32;
    pub(crate) fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: Raw) -> u32;
    pub(crate) fn cuMemFree_v2(address: u64) -> u32;
    pub(crate) fn cuMemFreeAsync(address: u64, stream: Raw) -> u32;
    pub(crate) fn cuMemAllocHost_v2(pointer: *mut *mut c_void, bytes: usize) -> u32;
    pub(crate) fn cuMemcpyHtoD_v2(target: u64, source: *const c_void, bytes: usize) -> u32;
    pub(crate) fn cuMemcpyHtoDAsync_v2(target: u64, source: *const c_void, bytes: usize, stream: Raw) -> u32;
    pub(crate) fn cuMemcpyDtoHAsync_v2(target: *mut c_void, source: u64, bytes: usize, stream: Raw) -> u32;
    pub(crate) fn cuMemsetD32_v2(target: u64, value: u32, count: usize) -> u32;
    pub(crate) fn cuMemsetD32Async(target: u64, value: u32, count: usize, stream: Raw) -> u32;
    pub(crate) fn cuModuleLoadData(module: *mut Raw, image: *const c_void) -> u32;
    pub(crate) fn cuGraphInstantiateWithFlags(exec: *mut Raw, graph: Raw, flags: u64) -> u32;
    pub(crate) fn cuGraphLaunch(exec: Raw, stream: Raw) -> u32;
    pub(crate) fn cuGraphGetNodes(graph: Raw, nodes: *mut Raw, count: *mut usize) -> u32;
    pub(crate) fn cuGraphGetEdges(graph: Raw, from: *mut Raw, to: *mut Raw, count: *mut usize) -> u32;
    pub(crate) fn cuGraphNodeGetType(node: Raw, kind: *mut u32) -> u32;
    pub(crate) fn cuGraphDestroy(graph: Raw) -> u32;
    pub(crate) fn cuGraphExecDestroy(exec: Raw) -> u32;
    pub(crate) fn cuLaunchKernelEx(
        config: *const Config,
        function: Raw,
        pointers: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) -> u32;
    pub(crate) fn cuOccupancyMaxActiveClusters(count: *mut i32, function: Raw, config: *const Config) -> u32;
    pub(crate) fn cuOccupancyMaxPotentialClusterSize(size: *mut i32, function: Raw, config: *const Config) -> u32;
    pub(crate) fn cuFuncSetAttribute(function: Raw, attribute: u32, value: i32) -> u32;
    pub(crate) fn cuFuncGetAttribute(value: *mut i32, attribute: u32, function: Raw) -> u32;
    pub(crate) fn cuModuleGetFunction(function: *mut Raw, module: Raw, name: *const std::ffi::c_char) -> u32;
    pub(crate) fn cuLibraryLoadData(
        library: *mut Raw,
        image: *const c_void,
        names: *const u32,
        values: *mut *mut c_void,
        count: u32,
        library_names: *const u32,
        library_values: *mut *mut c_void,
        library_count: u32,
    ) -> u32;
    pub(crate) fn cuLibraryUnload(library: Raw) -> u32;
    pub(crate) fn cuLibraryGetKernel(kernel: *mut Raw, library: Raw, name: *const std::ffi::c_char) -> u32;
    pub(crate) fn cuLibraryGetKernelCount(count: *mut u32, library: Raw) -> u32;
    pub(crate) fn cuLibraryGetGlobal(
        address: *mut u64,
        bytes: *mut usize,
        library: Raw,
        name: *const std::ffi::c_char,
    ) -> u32;
    pub(crate) fn cuKernelGetFunction(function: *mut Raw, kernel: Raw) -> u32;
    pub(crate) fn cuKernelGetAttribute(value: *mut i32, attribute: u32, kernel: Raw, device: i32) -> u32;
    pub(crate) fn cuKernelSetAttribute(attribute: u32, value: i32, kernel: Raw, device: i32) -> u32;
    pub(crate) fn cuMemcpyDtoH_v2(target: *mut c_void, source: u64, bytes: usize) -> u32;
    pub(crate) fn cuTensorMapEncodeTiled(
        map: *mut c_void,
        data_type: i32,
        rank: u32,
        address: u64,
        dims: *const u64,
        strides: *const u64,
        box_dims: *const u32,
        element_strides: *const u32,
        interleave: i32,
        swizzle: i32,
        promotion: i32,
        fill: i32,
    ) -> u32;
    pub(crate) fn cuTensorMapReplaceAddress(map: *mut c_void, address: u64) -> u32;
    /// The first of its arguments; the others are not looked at.
    pub(crate) fn cuTensorMapEncodeIm2col(map: *mut c_void) -> u32;
    pub(crate) fn cuLaunchKernel(
        function: Raw,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        dynamic_shared: u32,
        stream: Raw,
        pointers: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) -> u32;
}
