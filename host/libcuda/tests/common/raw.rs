//! Functions of the driver beside cust's, with results as numbers: cust's enumeration lacks the newer codes.

#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::ffi::c_void;

/// A handle: stream, event, graph and so on.
pub(crate) type Raw = *mut c_void;

pub(crate) const GLOBAL: u32 = 0;
pub(crate) const THREAD_LOCAL: u32 = 1;
pub(crate) const RELAXED: u32 = 2;

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
