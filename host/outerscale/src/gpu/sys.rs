//! The driver's functions that cust keeps to itself or binds with a closed enum of results: a code newer than
//! that enum would be no valid value of it. Handles and arguments are cuda.h's.

use cust::error::CudaError;
use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    fmt, ptr,
};

pub(super) type CuModule = *mut c_void;
pub(super) type CuFunction = *mut c_void;
pub(super) type CuStream = *mut c_void;
pub(super) type CuGraph = *mut c_void;
pub(super) type CuGraphExec = *mut c_void;

pub(super) const CU_JIT_ERROR_LOG_BUFFER: c_uint = 5;
pub(super) const CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES: c_uint = 6;
pub(super) const CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: c_int = 0;
pub(super) const CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: c_int = 1;
pub(super) const CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: c_int = 2;
pub(super) const CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: c_int = 3;
pub(super) const CU_FUNC_ATTRIBUTE_NUM_REGS: c_int = 4;
pub(super) const CU_FUNC_ATTRIBUTE_PTX_VERSION: c_int = 5;
pub(super) const CU_FUNC_ATTRIBUTE_BINARY_VERSION: c_int = 6;
pub(super) const CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: c_int = 8;
pub(super) const CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: c_int = 97;
pub(super) const CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: c_int = 106;
pub(super) const CU_STREAM_NON_BLOCKING: c_uint = 1;
pub(super) const CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: c_uint = 1;
pub(super) const CU_STREAM_CAPTURE_MODE_RELAXED: c_uint = 2;

pub(super) const CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: c_uint = 4;
pub(super) const CU_TENSOR_MAP_DATA_TYPE_UINT8: c_int = 0;
pub(super) const CU_TENSOR_MAP_DATA_TYPE_UINT16: c_int = 1;
pub(super) const CU_TENSOR_MAP_DATA_TYPE_UINT32: c_int = 2;
pub(super) const CU_TENSOR_MAP_INTERLEAVE_NONE: c_int = 0;
pub(super) const CU_TENSOR_MAP_SWIZZLE_128B: c_int = 3;
pub(super) const CU_TENSOR_MAP_L2_PROMOTION_L2_128B: c_int = 2;
pub(super) const CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE: c_int = 0;

/// A `CUlaunchAttribute`: 64 bytes of value, of which a cluster's shape takes three words.
#[repr(C)]
pub(super) struct LaunchAttribute {
    pub(super) id: c_uint,
    pub(super) padding: u32,
    pub(super) value: [u32; 16],
}

/// A `CUlaunchConfig`.
#[repr(C)]
pub(super) struct LaunchConfig {
    pub(super) grid: [c_uint; 3],
    pub(super) block: [c_uint; 3],
    pub(super) shared_bytes: c_uint,
    pub(super) stream: *mut c_void,
    pub(super) attributes: *const LaunchAttribute,
    pub(super) attribute_count: c_uint,
}

// Defined by libcuda, which hands each call over as it stands.
unsafe extern "C" {
    pub(super) fn cuModuleLoadDataEx(
        module: *mut CuModule,
        image: *const c_void,
        option_count: c_uint,
        options: *mut c_uint,
        values: *mut *mut c_void,
    ) -> c_uint;
    pub(super) fn cuModuleUnload(module: CuModule) -> c_uint;
    pub(super) fn cuModuleGetFunction(function: *mut CuFunction, module: CuModule, name: *const c_char) -> c_uint;
    pub(super) fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: CuFunction) -> c_uint;
    pub(super) fn cuFuncSetAttribute(function: CuFunction, attribute: c_int, value: c_int) -> c_uint;
    pub(super) fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) -> c_uint;
    pub(super) fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: *mut c_int,
        function: CuFunction,
        block_size: c_int,
        dynamic_shared_bytes: usize,
    ) -> c_uint;
    pub(super) fn cuLaunchKernelEx(
        config: *const LaunchConfig,
        function: CuFunction,
        parameters: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) -> c_uint;
    pub(super) fn cuTensorMapEncodeTiled(
        map: *mut c_void,
        data_type: c_int,
        rank: c_uint,
        address: u64,
        dims: *const u64,
        strides: *const u64,
        box_dims: *const c_uint,
        element_strides: *const c_uint,
        interleave: c_int,
        swizzle: c_int,
        promotion: c_int,
        fill: c_int,
    ) -> c_uint;
    pub(super) fn cuStreamCreate(stream: *mut CuStream, flags: c_uint) -> c_uint;
    pub(super) fn cuStreamDestroy_v2(stream: CuStream) -> c_uint;
    pub(super) fn cuStreamBeginCapture_v2(stream: CuStream, mode: c_uint) -> c_uint;
    pub(super) fn cuStreamEndCapture(stream: CuStream, graph: *mut CuGraph) -> c_uint;
    pub(super) fn cuThreadExchangeStreamCaptureMode(mode: *mut c_uint) -> c_uint;
    pub(super) fn cuGraphInstantiateWithFlags(exec: *mut CuGraphExec, graph: CuGraph, flags: u64) -> c_uint;
    pub(super) fn cuGraphLaunch(exec: CuGraphExec, stream: CuStream) -> c_uint;
    pub(super) fn cuGraphExecDestroy(exec: CuGraphExec) -> c_uint;
    pub(super) fn cuGraphDestroy(graph: CuGraph) -> c_uint;
    pub(super) fn cuMemsetD32Async(target: u64, value: c_uint, count: usize, stream: CuStream) -> c_uint;
    fn cuGetErrorName(code: c_uint, text: *mut *const c_char) -> c_uint;
    fn cuGetErrorString(code: c_uint, text: *mut *const c_char) -> c_uint;
}

/// An error code of the driver (`CUresult`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverError {
    /// The code, as cuda.h has it.
    pub code: u32,
}

impl DriverError {
    fn text(self, get: unsafe extern "C" fn(c_uint, *mut *const c_char) -> c_uint) -> Option<String> {
        let mut text = ptr::null();
        // SAFETY: `text` outlives the call.
        let status = unsafe { get(self.code, &mut text) };
        // SAFETY: where the call succeeds, the text is a C string that lives as long as the driver.
        (status == 0 && !text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text(cuGetErrorName), self.text(cuGetErrorString)) {
            (Some(name), Some(meaning)) => write!(f, "{name}, {meaning}"),
            _ => write!(f, "error {} of the driver", self.code),
        }
    }
}

impl std::error::Error for DriverError {}

impl From<CudaError> for DriverError {
    fn from(error: CudaError) -> Self {
        DriverError { code: error as u32 }
    }
}

/// A code as a result.
pub(super) fn check(code: c_uint) -> Result<(), DriverError> {
    if code == 0 { Ok(()) } else { Err(DriverError { code }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_those_of_the_header() {
        use cust::sys::{
            CUdevice_attribute_enum as Device, CUfunction_attribute_enum as Function, CUjit_option as Jit,
        };
        assert_eq!(CU_JIT_ERROR_LOG_BUFFER, Jit::CU_JIT_ERROR_LOG_BUFFER as c_uint);
        assert_eq!(CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, Jit::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES as c_uint);
        for (own, header) in [
            (CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, Function::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
            (CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, Function::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES),
            (CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, Function::CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES),
            (CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, Function::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES),
            (CU_FUNC_ATTRIBUTE_NUM_REGS, Function::CU_FUNC_ATTRIBUTE_NUM_REGS),
            (CU_FUNC_ATTRIBUTE_PTX_VERSION, Function::CU_FUNC_ATTRIBUTE_PTX_VERSION),
            (CU_FUNC_ATTRIBUTE_BINARY_VERSION, Function::CU_FUNC_ATTRIBUTE_BINARY_VERSION),
        ] {
            assert_eq!(own, header as c_int);
        }
        let shared = Function::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        assert_eq!(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared as c_int);
        let optin = Device::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        assert_eq!(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, optin as c_int);
        let blocks = Device::CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR;
        assert_eq!(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, blocks as c_int);
    }

    #[test]
    fn codes_newer_than_cust_are_told_by_number() {
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(98_765).unwrap_err().to_string(), "error 98765 of the driver");
        assert_eq!(DriverError::from(CudaError::OutOfMemory).code, 2);
    }
}
