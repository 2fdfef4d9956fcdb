//! The table of driver functions, and the symbols that jump through it.
//!
//! Every name below is an exported `cu*` symbol of this crate: one jump through a slot of the table.
//! The slot's function finds the arguments where the caller put them and returns to the caller, so no
//! signature is repeated here, and none can be wrong.

use std::{
    arch::naked_asm,
    ffi::c_void,
    sync::atomic::{AtomicPtr, Ordering},
};

use crate::errors;

/// Where a call goes.
pub(crate) type Slot = AtomicPtr<c_void>;

/// What every slot holds until `cuInit` has chosen a driver, as NVIDIA's own functions answer then.
extern "C" fn not_initialized() -> u32 {
    errors::NOT_INITIALIZED
}

/// NVIDIA's driver is older than the function.
extern "C" fn not_in_this_driver() -> u32 {
    errors::SHARED_OBJECT_SYMBOL_NOT_FOUND
}

/// The simulated GPU has no such function: an error, never a success that did nothing.
extern "C" fn not_simulated() -> u32 {
    errors::NOT_SUPPORTED
}

/// What a slot answers when the chosen driver lacks its function.
#[derive(Clone, Copy)]
pub(crate) enum Absent {
    NotInThisDriver,
    NotSimulated,
}

/// Fills every slot with what `find` answers for its name.
///
/// Calls reach the slots as plain loads. They see this because they come after a `cuInit` that has
/// returned, and handing that fact to another thread synchronises with it.
pub(crate) fn fill(absent: Absent, find: impl Fn(&str) -> Option<*const c_void>) {
    let otherwise = match absent {
        Absent::NotInThisDriver => not_in_this_driver as *const c_void,
        Absent::NotSimulated => not_simulated as *const c_void,
    };
    for (name, slot) in FUNCTIONS {
        slot.store(find(name).unwrap_or(otherwise).cast_mut(), Ordering::Release);
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! jump_through {
    ($slot:path) => { naked_asm!("jmp qword ptr [rip + {}]", sym $slot) };
}
// x16 is the scratch register that the procedure call standard leaves to such veneers.
#[cfg(target_arch = "aarch64")]
macro_rules! jump_through {
    ($slot:path) => { naked_asm!("adrp x16, {0}", "ldr x16, [x16, :lo12:{0}]", "br x16", sym $slot) };
}

macro_rules! driver_functions {
    ($($name:ident)*) => {
        #[allow(non_upper_case_globals)]
        mod slot {
            $(pub(super) static $name: super::Slot = super::Slot::new(super::not_initialized as *mut _);)*
        }

        /// Every function that goes through the table, with its slot.
        pub(crate) const FUNCTIONS: &[(&str, &Slot)] = &[$((stringify!($name), &slot::$name)),*];

        $(
            // SAFETY of the name: no other library defines it, since nothing here links to libcuda.
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            extern "C" fn $name() {
                jump_through!(slot::$name)
            }
        )*
    };
}

// What cust calls, then what its users need beside it. A function missing here fails the link of a
// program that uses it, by name: add the name. cuInit and the two that explain errors are in lib.rs.
driver_functions! {
    cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount cuDeviceGetName cuDevicePrimaryCtxRelease_v2
    cuDevicePrimaryCtxReset_v2 cuDevicePrimaryCtxRetain cuDevicePrimaryCtxSetFlags_v2
    cuDeviceTotalMem_v2 cuDriverGetVersion
    cuDeviceCanAccessPeer cuDeviceComputeCapability cuDeviceGetByPCIBusId cuDeviceGetDefaultMemPool
    cuDeviceGetMemPool cuDeviceGetPCIBusId cuDeviceGetUuid cuDeviceGetUuid_v2
    cuDevicePrimaryCtxGetState cuGetProcAddress cuGetProcAddress_v2 cuProfilerStart cuProfilerStop

    cuCtxCreate_v2 cuCtxDestroy_v2 cuCtxGetApiVersion cuCtxGetCacheConfig cuCtxGetCurrent
    cuCtxGetDevice cuCtxGetFlags cuCtxGetLimit cuCtxGetSharedMemConfig cuCtxGetStreamPriorityRange
    cuCtxPopCurrent_v2 cuCtxPushCurrent_v2 cuCtxSetCacheConfig cuCtxSetCurrent cuCtxSetLimit
    cuCtxSetSharedMemConfig cuCtxSynchronize
    cuCtxResetPersistingL2Cache

    cuStreamCreateWithPriority cuStreamDestroy_v2 cuStreamGetFlags cuStreamGetPriority
    cuStreamSynchronize cuStreamWaitEvent cuLaunchHostFunc
    cuStreamAddCallback cuStreamBeginCapture cuStreamBeginCapture_v2 cuStreamCreate cuStreamEndCapture
    cuStreamGetCaptureInfo cuStreamGetCaptureInfo_v2 cuStreamGetCaptureInfo_v3 cuStreamGetCtx cuStreamIsCapturing
    cuStreamQuery cuStreamSetAttribute cuThreadExchangeStreamCaptureMode
    cuEventCreate cuEventDestroy_v2 cuEventElapsedTime cuEventQuery cuEventRecord
    cuEventSynchronize
    cuEventElapsedTime_v2 cuEventRecordWithFlags

    cuGraphAddKernelNode cuGraphCreate cuGraphDebugDotPrint cuGraphDestroy cuGraphGetEdges
    cuGraphGetNodes cuGraphKernelNodeGetParams cuGraphNodeGetType
    cuGraphExecDestroy cuGraphExecKernelNodeSetParams cuGraphExecUpdate_v2 cuGraphInstantiate
    cuGraphInstantiateWithFlags cuGraphInstantiateWithParams cuGraphInstantiate_v2 cuGraphLaunch
    cuGraphGetRootNodes cuGraphUpload

    cuLinkAddData_v2 cuLinkComplete cuLinkCreate_v2 cuLinkDestroy cuModuleGetFunction
    cuModuleGetGlobal_v2 cuModuleLoad cuModuleLoadData cuModuleLoadDataEx cuModuleUnload
    cuModuleGetLoadingMode cuModuleLoadFatBinary
    cuKernelGetAttribute cuKernelGetFunction cuKernelGetLibrary cuKernelGetName cuKernelSetAttribute
    cuLibraryEnumerateKernels cuLibraryGetGlobal cuLibraryGetKernel cuLibraryGetKernelCount cuLibraryGetModule
    cuLibraryLoadData cuLibraryLoadFromFile cuLibraryUnload

    cuFuncGetAttribute cuFuncSetCacheConfig cuFuncSetSharedMemConfig cuLaunchKernel
    cuOccupancyAvailableDynamicSMemPerBlock cuOccupancyMaxActiveBlocksPerMultiprocessor
    cuOccupancyMaxPotentialBlockSize
    cuFuncGetModule cuFuncGetName cuFuncGetParamInfo cuFuncLoad cuFuncSetAttribute
    cuLaunchCooperativeKernel cuLaunchKernelEx cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags
    cuOccupancyMaxActiveClusters cuOccupancyMaxPotentialBlockSizeWithFlags
    cuOccupancyMaxPotentialClusterSize
    cuTensorMapEncodeIm2col cuTensorMapEncodeTiled cuTensorMapReplaceAddress

    cuMemAdvise cuMemAllocAsync cuMemAllocHost_v2 cuMemAllocManaged cuMemAlloc_v2 cuMemFreeAsync
    cuMemFreeHost cuMemFree_v2 cuMemGetInfo_v2 cuMemPrefetchAsync cuMemcpy2D_v2 cuMemcpyAtoH_v2
    cuMemcpyDtoDAsync_v2 cuMemcpyDtoD_v2 cuMemcpyDtoHAsync_v2 cuMemcpyDtoH_v2 cuMemcpyHtoA_v2
    cuMemcpyHtoDAsync_v2 cuMemcpyHtoD_v2 cuMemsetD16Async cuMemsetD16_v2 cuMemsetD32Async
    cuMemsetD32_v2 cuMemsetD8Async cuMemsetD8_v2
    cuMemAllocFromPoolAsync cuMemAllocPitch_v2 cuMemGetAddressRange_v2 cuMemHostAlloc
    cuMemHostGetDevicePointer_v2 cuMemHostGetFlags cuMemHostRegister_v2 cuMemHostUnregister
    cuMemPoolGetAttribute cuMemPoolSetAttribute cuMemPoolTrimTo cuMemcpy cuMemcpy2DAsync_v2
    cuMemcpyAsync cuMemsetD2D8_v2 cuMemsetD2D16_v2 cuMemsetD2D32_v2 cuPointerGetAttribute
    cuPointerGetAttributes

    cuArray3DCreate_v2 cuArray3DGetDescriptor_v2 cuArrayDestroy cuSurfObjectCreate
    cuSurfObjectDestroy cuSurfObjectGetResourceDesc cuTexObjectCreate cuTexObjectDestroy
    cuTexObjectGetResourceDesc cuTexObjectGetResourceViewDesc
    cuDestroyExternalMemory cuExternalMemoryGetMappedBuffer cuImportExternalMemory
}
