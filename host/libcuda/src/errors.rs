//! The driver's error codes in words, for when there is no driver to ask.
//!
//! cust prints an error through `cuGetErrorString`, and `println!` panics when that fails: so it must
//! answer before `cuInit`, and after one that found no GPU.

use std::ffi::CStr;

pub(crate) const SUCCESS: u32 = 0;
pub(crate) const INVALID_VALUE: u32 = 1;
pub(crate) const NOT_INITIALIZED: u32 = 3;
pub(crate) const NO_DEVICE: u32 = 100;
pub(crate) const SHARED_OBJECT_SYMBOL_NOT_FOUND: u32 = 302;
pub(crate) const NOT_SUPPORTED: u32 = 801;
pub(crate) const UNKNOWN: u32 = 999;

/// The name and the meaning of a code of `CUresult`, up to those of CUDA 13.
pub(crate) fn describe(code: u32) -> Option<(&'static CStr, &'static CStr)> {
    ERRORS.binary_search_by_key(&code, |row| row.0).ok().map(|found| (ERRORS[found].1, ERRORS[found].2))
}

/// The code itself where cust's enumeration (CUDA 11.4) has it, else the unknown error: a Rust `enum`
/// must not hold a value that it does not list.
pub(crate) fn known_to_cust(code: u32) -> u32 {
    const NEWER: [u32; 18] = [35, 36, 46, 225, 226, 227, 402, 501, 502, 721, 810, 811, 812, 912, 913, 914, 915, 916];
    if describe(code).is_some() && !NEWER.contains(&code) { code } else { UNKNOWN }
}

/// Rows in ascending order of the code.
const ERRORS: &[(u32, &CStr, &CStr)] = &[
    (0, c"CUDA_SUCCESS", c"no error"),
    (1, c"CUDA_ERROR_INVALID_VALUE", c"invalid argument"),
    (2, c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory"),
    (3, c"CUDA_ERROR_NOT_INITIALIZED", c"the driver is not initialized: call cuInit first"),
    (4, c"CUDA_ERROR_DEINITIALIZED", c"the driver is shutting down"),
    (5, c"CUDA_ERROR_PROFILER_DISABLED", c"the profiler is disabled"),
    (6, c"CUDA_ERROR_PROFILER_NOT_INITIALIZED", c"the profiler is not initialized"),
    (7, c"CUDA_ERROR_PROFILER_ALREADY_STARTED", c"the profiler is already started"),
    (8, c"CUDA_ERROR_PROFILER_ALREADY_STOPPED", c"the profiler is already stopped"),
    (34, c"CUDA_ERROR_STUB_LIBRARY", c"the library found is a toolkit's stub, not a driver"),
    (35, c"CUDA_ERROR_INSUFFICIENT_DRIVER", c"the driver is older than the program needs"),
    (36, c"CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER", c"the call needs a newer driver"),
    (46, c"CUDA_ERROR_DEVICE_UNAVAILABLE", c"the device is busy or unavailable"),
    (100, c"CUDA_ERROR_NO_DEVICE", c"no CUDA-capable device is detected"),
    (101, c"CUDA_ERROR_INVALID_DEVICE", c"invalid device ordinal"),
    (102, c"CUDA_ERROR_DEVICE_NOT_LICENSED", c"the device is not licensed"),
    (200, c"CUDA_ERROR_INVALID_IMAGE", c"the device kernel image is invalid"),
    (201, c"CUDA_ERROR_INVALID_CONTEXT", c"invalid device context"),
    (202, c"CUDA_ERROR_CONTEXT_ALREADY_CURRENT", c"the context is already current"),
    (205, c"CUDA_ERROR_MAP_FAILED", c"mapping of a buffer failed"),
    (206, c"CUDA_ERROR_UNMAP_FAILED", c"unmapping of a buffer failed"),
    (207, c"CUDA_ERROR_ARRAY_IS_MAPPED", c"the array is mapped"),
    (208, c"CUDA_ERROR_ALREADY_MAPPED", c"the resource is already mapped"),
    (209, c"CUDA_ERROR_NO_BINARY_FOR_GPU", c"no kernel image is available for execution on the device"),
    (210, c"CUDA_ERROR_ALREADY_ACQUIRED", c"the resource is already acquired"),
    (211, c"CUDA_ERROR_NOT_MAPPED", c"the resource is not mapped"),
    (212, c"CUDA_ERROR_NOT_MAPPED_AS_ARRAY", c"the resource is not mapped as an array"),
    (213, c"CUDA_ERROR_NOT_MAPPED_AS_POINTER", c"the resource is not mapped as a pointer"),
    (214, c"CUDA_ERROR_ECC_UNCORRECTABLE", c"an uncorrectable ECC error was met"),
    (215, c"CUDA_ERROR_UNSUPPORTED_LIMIT", c"the limit is not supported on this device"),
    (216, c"CUDA_ERROR_CONTEXT_ALREADY_IN_USE", c"the context is in use by another thread"),
    (217, c"CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", c"peer access is not supported between these devices"),
    (218, c"CUDA_ERROR_INVALID_PTX", c"the PTX did not compile"),
    (219, c"CUDA_ERROR_INVALID_GRAPHICS_CONTEXT", c"invalid graphics context"),
    (220, c"CUDA_ERROR_NVLINK_UNCORRECTABLE", c"an uncorrectable NVLink error was met"),
    (221, c"CUDA_ERROR_JIT_COMPILER_NOT_FOUND", c"the PTX compiler library was not found"),
    (222, c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", c"the PTX version is newer than the driver"),
    (223, c"CUDA_ERROR_JIT_COMPILATION_DISABLED", c"compilation of PTX is disabled"),
    (224, c"CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY", c"the execution affinity is not supported"),
    (225, c"CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC", c"the PTX synchronizes on the device, which is not supported"),
    (226, c"CUDA_ERROR_CONTAINED", c"a contained device error ended the process's work"),
    (300, c"CUDA_ERROR_INVALID_SOURCE", c"the device kernel source is invalid"),
    (301, c"CUDA_ERROR_FILE_NOT_FOUND", c"file not found"),
    (302, c"CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND", c"the driver has no such function"),
    (303, c"CUDA_ERROR_SHARED_OBJECT_INIT_FAILED", c"a shared object failed to initialize"),
    (304, c"CUDA_ERROR_OPERATING_SYSTEM", c"a call to the operating system failed"),
    (400, c"CUDA_ERROR_INVALID_HANDLE", c"invalid resource handle"),
    (401, c"CUDA_ERROR_ILLEGAL_STATE", c"the resource is not in a state that allows the operation"),
    (402, c"CUDA_ERROR_LOSSY_QUERY", c"the query would lose information"),
    (500, c"CUDA_ERROR_NOT_FOUND", c"named symbol not found"),
    (600, c"CUDA_ERROR_NOT_READY", c"the work is not finished"),
    (700, c"CUDA_ERROR_ILLEGAL_ADDRESS", c"an illegal memory access was encountered"),
    (701, c"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", c"too many resources requested for launch"),
    (702, c"CUDA_ERROR_LAUNCH_TIMEOUT", c"the launch timed out and was ended"),
    (703, c"CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING", c"the launch uses an incompatible texturing mode"),
    (704, c"CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", c"peer access is already enabled"),
    (705, c"CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", c"peer access is not enabled"),
    (708, c"CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", c"the primary context is active"),
    (709, c"CUDA_ERROR_CONTEXT_IS_DESTROYED", c"the context is destroyed"),
    (710, c"CUDA_ERROR_ASSERT", c"a device-side assert was triggered"),
    (711, c"CUDA_ERROR_TOO_MANY_PEERS", c"too many peers"),
    (712, c"CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", c"the host memory is already registered"),
    (713, c"CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", c"the host memory is not registered"),
    (714, c"CUDA_ERROR_HARDWARE_STACK_ERROR", c"a device stack error was met"),
    (715, c"CUDA_ERROR_ILLEGAL_INSTRUCTION", c"an illegal instruction was encountered"),
    (716, c"CUDA_ERROR_MISALIGNED_ADDRESS", c"a misaligned address was encountered"),
    (717, c"CUDA_ERROR_INVALID_ADDRESS_SPACE", c"an address of the wrong address space was used"),
    (718, c"CUDA_ERROR_INVALID_PC", c"the program counter left the kernel"),
    (719, c"CUDA_ERROR_LAUNCH_FAILED", c"the launch failed"),
    (720, c"CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE", c"too many blocks in a cooperative launch"),
    (721, c"CUDA_ERROR_TENSOR_MEMORY_LEAK", c"a kernel ended without freeing its tensor memory"),
    (800, c"CUDA_ERROR_NOT_PERMITTED", c"the operation is not permitted"),
    (801, c"CUDA_ERROR_NOT_SUPPORTED", c"the operation is not supported"),
    (802, c"CUDA_ERROR_SYSTEM_NOT_READY", c"the system is not ready: is the fabric manager running?"),
    (803, c"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", c"the driver's library and kernel module are of different versions"),
    (804, c"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", c"forward compatibility is not supported on this device"),
    (805, c"CUDA_ERROR_MPS_CONNECTION_FAILED", c"no connection to the MPS daemon"),
    (806, c"CUDA_ERROR_MPS_RPC_FAILURE", c"a call to the MPS daemon failed"),
    (807, c"CUDA_ERROR_MPS_SERVER_NOT_READY", c"the MPS server is not ready"),
    (808, c"CUDA_ERROR_MPS_MAX_CLIENTS_REACHED", c"too many MPS clients"),
    (809, c"CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED", c"too many MPS connections"),
    (810, c"CUDA_ERROR_MPS_CLIENT_TERMINATED", c"the MPS client was terminated"),
    (811, c"CUDA_ERROR_CDP_NOT_SUPPORTED", c"launches from the device are not supported"),
    (812, c"CUDA_ERROR_CDP_VERSION_MISMATCH", c"launches from the device are of different versions"),
    (900, c"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", c"the operation is not permitted while the stream is capturing"),
    (901, c"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", c"the capture failed before"),
    (902, c"CUDA_ERROR_STREAM_CAPTURE_MERGE", c"the operation would merge two captures"),
    (903, c"CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", c"the capture did not begin in this stream"),
    (904, c"CUDA_ERROR_STREAM_CAPTURE_UNJOINED", c"the capture has work that was not joined"),
    (905, c"CUDA_ERROR_STREAM_CAPTURE_ISOLATION", c"the capture would depend on work outside it"),
    (906, c"CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", c"the capture would depend on the legacy stream"),
    (907, c"CUDA_ERROR_CAPTURED_EVENT", c"the event was last recorded in a capturing stream"),
    (908, c"CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", c"the capture began in another thread"),
    (909, c"CUDA_ERROR_TIMEOUT", c"the wait timed out"),
    (910, c"CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", c"the graph cannot be updated so"),
    (911, c"CUDA_ERROR_EXTERNAL_DEVICE", c"an external device failed"),
    (912, c"CUDA_ERROR_INVALID_CLUSTER_SIZE", c"invalid cluster size"),
    (913, c"CUDA_ERROR_FUNCTION_NOT_LOADED", c"the function is not loaded"),
    (914, c"CUDA_ERROR_INVALID_RESOURCE_TYPE", c"invalid resource type"),
    (915, c"CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION", c"invalid resource configuration"),
    (999, c"CUDA_ERROR_UNKNOWN", c"unknown error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_so_that_the_search_finds_each() {
        assert!(ERRORS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (code, name, _) in ERRORS {
            assert_eq!(describe(*code).unwrap().0, *name);
        }
        assert_eq!(describe(12345), None);
    }

    #[test]
    fn newer_codes_reach_cust_as_the_unknown_error() {
        assert_eq!(known_to_cust(803), 803);
        assert_eq!(known_to_cust(912), UNKNOWN);
        assert_eq!(known_to_cust(12345), UNKNOWN);
    }
}
