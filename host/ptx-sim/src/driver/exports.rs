//! The driver's functions by their names in cuda.h: what libcuda fills its table with.

use std::ffi::c_void;

use super::{
    capture_calls, cluster, context, context_settings, copy, device, event, function, graph, host_memory, launch,
    library, memory, module, occupancy, state, stream, tensor_map,
};

/// The function of that name.
pub(super) fn find(name: &str) -> Option<*const c_void> {
    let found = EXPORTS.iter().find(|(export, _)| *export == name)?;
    Some(found.1.0)
}

/// The address of a function, which any thread may call.
struct Address(*const c_void);

// SAFETY: functions do not change, and the driver's state is behind locks.
unsafe impl Sync for Address {}

macro_rules! exports {
    ($($name:ident => $function:path,)*) => {
        /// Signatures are those of cuda.h, argument by argument.
        static EXPORTS: &[(&str, Address)] = &[$((stringify!($name), Address($function as *const c_void)),)*];
    };
}

extern "C" fn init(flags: u32) -> u32 {
    state::init(flags)
}

exports! {
    cuInit => init,
    cuDriverGetVersion => device::driver_get_version,
    cuDeviceGet => device::get,
    cuDeviceGetCount => device::get_count,
    cuDeviceGetName => device::get_name,
    cuDeviceGetUuid => device::get_uuid,
    cuDeviceGetUuid_v2 => device::get_uuid,
    cuDeviceGetPCIBusId => device::get_pci_bus_id,
    cuDeviceGetByPCIBusId => device::get_by_pci_bus_id,
    cuDeviceGetAttribute => device::get_attribute,
    cuDeviceTotalMem_v2 => device::total_memory,
    cuDeviceComputeCapability => device::compute_capability,
    cuDeviceCanAccessPeer => device::can_access_peer,

    cuDevicePrimaryCtxRetain => context::primary_retain,
    cuDevicePrimaryCtxRelease_v2 => context::primary_release,
    cuDevicePrimaryCtxReset_v2 => context::primary_reset,
    cuDevicePrimaryCtxSetFlags_v2 => context::primary_set_flags,
    cuDevicePrimaryCtxGetState => context::primary_get_state,
    cuCtxCreate_v2 => context::create,
    cuCtxDestroy_v2 => context::destroy,
    cuCtxPushCurrent_v2 => context::push,
    cuCtxPopCurrent_v2 => context::pop,
    cuCtxSetCurrent => context::set_current,
    cuCtxGetCurrent => context::get_current,
    cuCtxGetDevice => context::get_device,
    cuCtxSynchronize => context::synchronize,
    cuCtxGetFlags => context_settings::get_flags,
    cuCtxGetApiVersion => context_settings::get_api_version,
    cuCtxGetLimit => context_settings::get_limit,
    cuCtxSetLimit => context_settings::set_limit,
    cuCtxGetCacheConfig => context_settings::get_cache_config,
    cuCtxSetCacheConfig => context_settings::set_cache_config,
    cuCtxGetSharedMemConfig => context_settings::get_shared_config,
    cuCtxSetSharedMemConfig => context_settings::set_shared_config,
    cuCtxGetStreamPriorityRange => context_settings::get_stream_priority_range,

    cuStreamCreate => stream::create,
    cuStreamCreateWithPriority => stream::create_with_priority,
    cuStreamDestroy_v2 => stream::destroy,
    cuStreamSynchronize => stream::synchronize,
    cuStreamQuery => stream::query,
    cuStreamWaitEvent => stream::wait_event,
    cuStreamGetFlags => stream::get_flags,
    cuStreamGetPriority => stream::get_priority,
    cuStreamGetCtx => stream::get_context,
    cuStreamAddCallback => stream::add_callback,
    cuLaunchHostFunc => stream::launch_host_function,
    cuStreamBeginCapture => capture_calls::begin_global,
    cuStreamBeginCapture_v2 => capture_calls::begin,
    cuStreamEndCapture => capture_calls::end,
    cuStreamIsCapturing => capture_calls::is_capturing,
    cuStreamGetCaptureInfo => capture_calls::get_info,
    cuStreamGetCaptureInfo_v2 => capture_calls::get_info_v2,
    cuStreamGetCaptureInfo_v3 => capture_calls::get_info_v3,
    cuThreadExchangeStreamCaptureMode => capture_calls::exchange_mode,
    cuEventCreate => event::create,
    cuEventDestroy_v2 => event::destroy,
    cuEventRecord => event::record,
    cuEventRecordWithFlags => event::record_with_flags,
    cuEventQuery => event::query,
    cuEventSynchronize => event::synchronize,
    cuEventElapsedTime => event::elapsed_time,
    cuEventElapsedTime_v2 => event::elapsed_time,

    cuGraphCreate => graph::create,
    cuGraphDestroy => graph::destroy,
    cuGraphGetNodes => graph::get_nodes,
    cuGraphGetRootNodes => graph::get_root_nodes,
    cuGraphGetEdges => graph::get_edges,
    cuGraphNodeGetType => graph::node_get_type,
    cuGraphInstantiate => graph::instantiate_with_log,
    cuGraphInstantiate_v2 => graph::instantiate_with_log,
    cuGraphInstantiateWithFlags => graph::instantiate_with_flags,
    cuGraphInstantiateWithParams => graph::instantiate_with_params,
    cuGraphExecDestroy => graph::exec_destroy,
    cuGraphUpload => graph::upload,
    cuGraphLaunch => graph::launch,

    cuMemAlloc_v2 => memory::mem_alloc,
    cuMemAllocAsync => memory::mem_alloc_async,
    cuMemAllocPitch_v2 => memory::mem_alloc_pitch,
    cuMemFree_v2 => memory::mem_free,
    cuMemFreeAsync => memory::mem_free_async,
    cuMemGetInfo_v2 => memory::mem_get_info,
    cuMemGetAddressRange_v2 => memory::mem_get_address_range,
    cuMemAllocHost_v2 => host_memory::alloc_host,
    cuMemHostAlloc => host_memory::host_alloc,
    cuMemFreeHost => host_memory::free_host,
    cuMemHostGetFlags => host_memory::get_flags,

    cuMemcpy => copy::copy,
    cuMemcpyAsync => copy::copy_async,
    cuMemcpyHtoD_v2 => copy::host_to_device,
    cuMemcpyHtoDAsync_v2 => copy::host_to_device_async,
    cuMemcpyDtoH_v2 => copy::device_to_host,
    cuMemcpyDtoHAsync_v2 => copy::device_to_host_async,
    cuMemcpyDtoD_v2 => copy::device_to_device,
    cuMemcpyDtoDAsync_v2 => copy::device_to_device_async,
    cuMemcpy2D_v2 => copy::copy_2d,
    cuMemcpy2DAsync_v2 => copy::copy_2d_async,
    cuMemsetD8_v2 => copy::fill_8,
    cuMemsetD16_v2 => copy::fill_16,
    cuMemsetD32_v2 => copy::fill_32,
    cuMemsetD8Async => copy::fill_8_async,
    cuMemsetD16Async => copy::fill_16_async,
    cuMemsetD32Async => copy::fill_32_async,

    cuModuleLoad => module::load_file,
    cuModuleLoadData => module::load_data,
    cuModuleLoadDataEx => module::load_data_ex,
    cuModuleUnload => module::unload,
    cuModuleGetFunction => module::get_function,
    cuModuleGetGlobal_v2 => module::get_global,
    cuModuleGetLoadingMode => module::get_loading_mode,

    cuLibraryLoadData => library::load_data,
    cuLibraryLoadFromFile => library::load_from_file,
    cuLibraryUnload => library::unload,
    cuLibraryGetKernel => library::get_kernel,
    cuLibraryGetKernelCount => library::get_kernel_count,
    cuLibraryEnumerateKernels => library::enumerate_kernels,
    cuLibraryGetModule => library::get_module,
    cuLibraryGetGlobal => library::get_global,
    cuKernelGetFunction => library::kernel_get_function,
    cuKernelGetLibrary => library::kernel_get_library,
    cuKernelGetName => library::kernel_get_name,
    cuKernelGetAttribute => library::kernel_get_attribute,
    cuKernelSetAttribute => library::kernel_set_attribute,

    cuFuncGetAttribute => function::get_attribute,
    cuFuncSetAttribute => function::set_attribute,
    cuFuncSetCacheConfig => function::set_cache_config,
    cuFuncSetSharedMemConfig => function::set_shared_config,
    cuFuncGetModule => function::get_module,
    cuFuncGetName => function::get_name,
    cuFuncGetParamInfo => function::get_param_info,
    cuOccupancyMaxActiveBlocksPerMultiprocessor => occupancy::max_active_blocks,
    cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags => occupancy::max_active_blocks_with_flags,
    cuOccupancyAvailableDynamicSMemPerBlock => occupancy::available_dynamic_shared,
    cuOccupancyMaxPotentialBlockSize => occupancy::max_potential_block_size,
    cuOccupancyMaxActiveClusters => cluster::max_active_clusters,
    cuOccupancyMaxPotentialClusterSize => cluster::max_potential_cluster_size,
    cuLaunchKernel => launch::launch_kernel,
    cuLaunchKernelEx => launch::launch_kernel_ex,
    cuTensorMapEncodeTiled => tensor_map::encode_tiled,
    cuTensorMapReplaceAddress => tensor_map::replace_address,
    cuTensorMapEncodeIm2col => tensor_map::encode_im2col,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_once_and_others_not_at_all() {
        let mut names: Vec<_> = EXPORTS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(find("cuLaunchKernel").is_some());
        assert!(find("cuMemAllocManaged").is_none());
    }
}
