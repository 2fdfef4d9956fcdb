//! cust, unmodified, on the simulated GPU: what its normal use needs.

mod common;

use std::{
    error::Error,
    ffi::{CString, c_void},
    time::Duration,
};

use cust::{
    context::{Context, CurrentContext, ResourceLimit, legacy},
    device::{Device, DeviceAttribute},
    error::CudaError,
    event::{Event, EventFlags, EventStatus},
    function::{BlockSize, FunctionAttribute, GridSize},
    launch,
    memory::{CopyDestination, DeviceBuffer, mem_get_info},
    module::Module,
    stream::{Stream, StreamFlags, StreamWaitEventFlags},
    sys,
};

type Outcome = Result<(), Box<dyn Error>>;

const COUNT: usize = 1000;

#[test]
fn a_module_is_loaded_launched_and_its_result_copied_back() -> Outcome {
    let _context = common::simulated();
    let module = Module::from_ptx(common::ADD, &[])?;
    let add = module.get_function("add")?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let a: Vec<f32> = (0..COUNT).map(|index| index as f32).collect();
    let b: Vec<f32> = a.iter().map(|value| value * 0.5).collect();
    let (device_a, device_b) = (DeviceBuffer::from_slice(&a)?, DeviceBuffer::from_slice(&b)?);
    let sum = DeviceBuffer::from_slice(&vec![-1.0_f32; COUNT + 1])?;
    // SAFETY: the kernel's signature; every pointer has COUNT elements.
    unsafe {
        launch!(add<<<COUNT.div_ceil(256) as u32, 256, 0, stream>>>(
            COUNT as u32,
            device_a.as_device_ptr(),
            device_b.as_device_ptr(),
            sum.as_device_ptr()
        ))?;
    }
    stream.synchronize()?;
    let sum = sum.as_host_vec()?;
    assert!(sum[..COUNT].iter().enumerate().all(|(index, sum)| *sum == 1.5 * index as f32));
    assert_eq!(sum[COUNT], -1.0, "nothing is written past the end");
    let counters = libcuda::simulator::counters();
    assert!(counters["add"].launches >= 1 && counters["add"].blocks >= 4);
    Ok(())
}

#[test]
fn variables_of_a_module_are_found_read_and_written() -> Outcome {
    let _context = common::simulated();
    let module = Module::from_ptx(common::ADD, &[])?;
    let mut answer = module.get_global::<u32>(&CString::new("answer")?)?;
    let mut value = 0;
    answer.copy_to(&mut value)?;
    assert_eq!(value, 42);
    answer.copy_from(&43)?;
    answer.copy_to(&mut value)?;
    assert_eq!(value, 43);
    let missing = CString::new("question")?;
    assert_eq!(module.get_global::<u32>(&missing).err(), Some(CudaError::NotFound));
    assert_eq!(module.get_function("sub").err(), Some(CudaError::NotFound));
    assert!(libcuda::refusal().ok_or("no reason")?.contains("no kernel \"sub\"; it has: add"));
    Ok(())
}

#[test]
fn more_shared_memory_than_48_kib_needs_the_opt_in() -> Outcome {
    let _context = common::simulated();
    let module = Module::from_ptx(common::SHARED, &[])?;
    let reverse = module.get_function("reverse")?;
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    let data = DeviceBuffer::from_slice(&(0..64_u32).collect::<Vec<_>>())?;
    let bytes = 100 << 10;
    // SAFETY: the kernel's signature; 64 elements for 64 threads.
    let run = || unsafe { launch!(reverse<<<1, 64, bytes, stream>>>(data.as_device_ptr(), 64_u32)) };

    assert_eq!(run(), Err(CudaError::InvalidValue));
    assert!(libcuda::refusal().ok_or("no reason")?.contains("needs cuFuncSetAttribute first"));
    let set = |bytes: i32| {
        let attribute = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: a live function of this module.
        unsafe { sys::cuFuncSetAttribute(reverse.to_raw(), attribute, bytes) }
    };
    assert_eq!(set(228 << 10), sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
    assert_eq!(set(bytes as i32), sys::cudaError_enum::CUDA_SUCCESS);
    run()?;
    stream.synchronize()?;
    assert!(data.as_host_vec()?.into_iter().eq((0..64).rev()));
    Ok(())
}

#[test]
fn broken_ptx_is_refused_with_its_line_in_the_log() {
    let _context = common::simulated();
    let broken = common::ADD.replace("add.rn.f32", "add.sideways.f32");
    let line = broken.lines().position(|line| line.contains("sideways")).unwrap() + 1;
    let image = CString::new(broken).unwrap();
    let mut log = vec![0_u8; 4096];
    let mut options =
        [sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER, sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
    let mut values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
    let mut module = std::ptr::null_mut();
    // SAFETY: the log is as long as its size says.
    let status = unsafe {
        sys::cuModuleLoadDataEx(&mut module, image.as_ptr().cast(), 2, options.as_mut_ptr(), values.as_mut_ptr())
    };
    assert_eq!(status, sys::cudaError_enum::CUDA_ERROR_INVALID_PTX);
    let text = std::str::from_utf8(&log[..values[1] as usize - 1]).unwrap();
    assert!(text.contains(&format!("module.ptx:{line}:")) && text.contains("sideways"), "{text}");
    assert_eq!(Module::from_ptx("", &[]).err(), Some(CudaError::InvalidPtx));
    assert_eq!(Module::from_cubin(b"\x7fELF\x02\x01\x01", &[]).err(), Some(CudaError::NoBinaryForGpu));
}

#[test]
fn events_tell_the_time_between_them() -> Outcome {
    let _context = common::simulated();
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    let (start, end) = (Event::new(EventFlags::DEFAULT)?, Event::new(EventFlags::DEFAULT)?);
    assert_eq!(end.elapsed_time_f32(&start).err(), Some(CudaError::InvalidHandle), "never recorded");
    start.record(&stream)?;
    std::thread::sleep(Duration::from_millis(5));
    end.record(&stream)?;
    end.synchronize()?;
    assert_eq!(end.query()?, EventStatus::Ready);
    let milliseconds = end.elapsed_time_f32(&start)?;
    assert!((5.0..5000.0).contains(&milliseconds), "{milliseconds}");
    let untimed = Event::new(EventFlags::DISABLE_TIMING)?;
    untimed.record(&stream)?;
    assert_eq!(untimed.elapsed_time_f32(&start).err(), Some(CudaError::InvalidHandle));
    stream.wait_event(untimed, StreamWaitEventFlags::DEFAULT)?;
    Ok(())
}

#[test]
fn callbacks_run_in_the_order_of_their_stream() -> Outcome {
    let _context = common::simulated();
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for step in 0..3 {
        let order = order.clone();
        stream.add_callback(Box::new(move || order.lock().unwrap().push(step)))?;
    }
    stream.synchronize()?;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    assert_eq!(stream.get_priority()?, 0);
    assert_eq!(stream.get_flags()?, StreamFlags::DEFAULT);
    Ok(())
}

#[test]
fn the_device_says_what_it_is() -> Outcome {
    let context = common::simulated();
    assert_eq!(Device::num_devices()?, 1);
    assert_eq!(Device::get_device(1).err(), Some(CudaError::InvalidDevice));
    let device = Device::get_device(0)?;
    assert!(device.name()?.starts_with("ptx-sim (simulated sm_90"), "{}", device.name()?);
    assert_eq!(device.get_attribute(DeviceAttribute::MultiprocessorCount)?, 132);
    assert_eq!(device.get_attribute(DeviceAttribute::MaxThreadsPerBlock)?, 1024);
    assert_eq!(device.get_attribute(DeviceAttribute::MaxSharedMemoryPerBlock)?, 48 << 10);
    assert_eq!(device.get_attribute(DeviceAttribute::ManagedMemory)?, 0);
    assert_eq!(cust::CudaApiVersion::get()?.major(), 13);
    assert_eq!(context.get_api_version()?.major(), 3);
    assert_eq!(CurrentContext::get_device()?.as_raw(), device.as_raw());
    CurrentContext::set_resource_limit(ResourceLimit::StackSize, 4096)?;
    assert_eq!(CurrentContext::get_resource_limit(ResourceLimit::StackSize)?, 4096);
    Ok(())
}

#[test]
fn a_function_tells_its_bounds_and_occupancy() -> Outcome {
    let _context = common::simulated();
    let module = Module::from_ptx(common::ADD, &[])?;
    let add = module.get_function("add")?;
    assert_eq!(add.get_attribute(FunctionAttribute::MaxThreadsPerBlock)?, 256);
    assert_eq!(add.get_attribute(FunctionAttribute::SharedMemorySizeBytes)?, 0);
    assert_eq!(add.get_attribute(FunctionAttribute::PtxVersion)?, 80);
    assert_eq!(add.get_attribute(FunctionAttribute::BinaryVersion)?, 90);
    assert!((1..=255).contains(&add.get_attribute(FunctionAttribute::NumRegisters)?));
    assert_eq!(add.max_active_blocks_per_multiprocessor(BlockSize::x(256), 0)?, 4);
    assert_eq!(add.max_active_blocks_per_multiprocessor(BlockSize::x(512), 0)?, 0);
    let (grid, block) = add.suggested_launch_configuration(0, BlockSize::x(0))?;
    assert_eq!((grid, block), (4 * 132, 256));
    Ok(())
}

#[test]
fn launches_that_hardware_refuses_are_refused() -> Outcome {
    let _context = common::simulated();
    let module = Module::from_ptx(common::ADD, &[])?;
    let add = module.get_function("add")?;
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    let null = 0_u64;
    // SAFETY: no element is touched, n being 0.
    let run =
        |grid: GridSize, block: BlockSize| unsafe { launch!(add<<<grid, block, 0, stream>>>(0_u32, null, null, null)) };
    run(GridSize::x(1), BlockSize::x(256))?;
    assert_eq!(run(GridSize::x(1), BlockSize::x(257)), Err(CudaError::InvalidValue));
    assert!(libcuda::refusal().ok_or("no reason")?.contains(".maxntid"));
    assert_eq!(run(GridSize::x(0), BlockSize::x(32)), Err(CudaError::InvalidValue));
    assert_eq!(run(GridSize::xy(1, 65_536), BlockSize::x(32)), Err(CudaError::InvalidValue));
    // SAFETY: the driver looks before it reads.
    let no_params = unsafe {
        let (function, none) = (add.to_raw(), std::ptr::null_mut::<c_void>());
        sys::cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream.as_inner(), none.cast(), none.cast())
    };
    assert_eq!(no_params, sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
    stream.synchronize()?; // nothing of this broke the context
    Ok(())
}

#[test]
fn parameters_arrive_through_the_buffer_form_too() -> Outcome {
    let _context = common::simulated();
    let module = Module::from_ptx(common::ADD, &[])?;
    let add = module.get_function("add")?;
    let (a, b) = (DeviceBuffer::from_slice(&[1.0_f32, 2.0])?, DeviceBuffer::from_slice(&[10.0_f32, 20.0])?);
    let sum = DeviceBuffer::from_slice(&[0.0_f32; 2])?;
    let mut params = [2_u64, a.as_device_ptr().as_raw(), b.as_device_ptr().as_raw(), sum.as_device_ptr().as_raw()];
    let mut size = size_of_val(&params);
    let mut launch_with = |size: &mut usize| {
        let mut extra: [*mut c_void; 5] = [
            std::ptr::without_provenance_mut(1), // CU_LAUNCH_PARAM_BUFFER_POINTER
            params.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(2), // CU_LAUNCH_PARAM_BUFFER_SIZE
            std::ptr::from_mut(size).cast(),
            std::ptr::null_mut(),
        ];
        let (function, none) = (add.to_raw(), std::ptr::null_mut::<c_void>());
        // SAFETY: the buffer has the kernel's parameters at their places.
        unsafe { sys::cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, none.cast(), none.cast(), extra.as_mut_ptr()) }
    };
    assert_eq!(launch_with(&mut size), sys::cudaError_enum::CUDA_SUCCESS);
    assert_eq!(sum.as_host_vec()?, [11.0, 22.0]);
    assert_eq!(launch_with(&mut 24), sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
    assert!(libcuda::refusal().ok_or("no reason")?.contains("24 bytes of parameters, where it takes 32"));
    Ok(())
}

#[test]
fn threads_launch_at_the_same_time() -> Outcome {
    let _context = common::simulated();
    let module = Module::from_ptx(common::ADD, &[])?;
    let module = &module;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                scope.spawn(move || -> Result<(), CudaError> {
                    let _context = common::simulated();
                    let add = module.get_function("add")?;
                    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
                    let ones = DeviceBuffer::from_slice(&[1.0_f32; 64])?;
                    let sum = DeviceBuffer::from_slice(&[thread as f32; 64])?;
                    for _ in 0..8 {
                        let (ones, sum) = (ones.as_device_ptr(), sum.as_device_ptr());
                        // SAFETY: 64 elements everywhere; a stream runs its launches in order.
                        unsafe { launch!(add<<<2, 32, 0, stream>>>(64_u32, ones, sum, sum))? };
                    }
                    stream.synchronize()?;
                    assert_eq!(sum.as_host_vec()?, [thread as f32 + 8.0; 64]);
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    Ok(())
}

#[test]
fn stale_handles_are_errors() -> Outcome {
    use sys::cudaError_enum::{CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_INVALID_HANDLE};
    let _context = common::simulated();
    let stream = {
        let stream = Stream::new(StreamFlags::DEFAULT, None)?;
        stream.as_inner()
    };
    let (module, function) = {
        let module = Module::from_ptx(common::ADD, &[])?;
        let function = module.get_function("add")?.to_raw();
        (module, function)
    };
    drop(module);
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: the simulator never follows a handle.
    unsafe {
        assert_eq!(sys::cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
        assert!(libcuda::refusal().ok_or("no reason")?.contains("a stream that was destroyed before"));
        assert_eq!(sys::cuStreamDestroy_v2(stream), CUDA_ERROR_INVALID_HANDLE);
        let launched = sys::cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, none.cast(), none.cast(), none.cast());
        assert_eq!(launched, CUDA_ERROR_INVALID_HANDLE);
        assert_eq!(sys::cuEventQuery(stream.cast()), CUDA_ERROR_INVALID_HANDLE);
        assert_eq!(sys::cuCtxSetCurrent(stream.cast()), CUDA_ERROR_INVALID_CONTEXT);
        assert_eq!(sys::cuModuleUnload(none.cast()), CUDA_ERROR_INVALID_HANDLE);
    }
    Ok(())
}

#[test]
fn contexts_are_pushed_popped_and_end_with_all_they_own() -> Outcome {
    let primary = common::simulated();
    let own = legacy::Context::create_and_push(legacy::ContextFlags::empty(), Device::get_device(0)?)?;
    let buffer = DeviceBuffer::from_slice(&[1_u8; 16])?;
    let pointer = buffer.as_device_ptr().as_raw();
    std::mem::forget(buffer); // the context frees it
    let popped = legacy::ContextStack::pop()?;
    legacy::ContextStack::push(&popped)?;
    legacy::Context::drop(own).map_err(|(error, _)| error)?;
    // The primary context is current again, and the buffer is gone.
    let mut byte = 0_u8;
    // SAFETY: the driver looks the pointer up before it uses it.
    let status = unsafe { sys::cuMemcpyDtoH_v2(std::ptr::from_mut(&mut byte).cast(), pointer, 1) };
    assert_eq!(status, sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
    assert!(libcuda::refusal().ok_or("no reason")?.contains("were freed"));
    let again = Context::new(Device::get_device(0)?)?;
    assert_eq!(again.as_raw(), primary.as_raw(), "there is one primary context");
    std::thread::spawn(|| {
        assert_eq!(mem_get_info().err(), Some(CudaError::InvalidContext), "each thread has its own current one");
    })
    .join()
    .map_err(|_| "the thread panicked")?;
    Ok(())
}
