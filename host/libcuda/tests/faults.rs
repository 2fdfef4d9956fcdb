//! A kernel that does wrong breaks its context as on hardware, and the simulator tells what it did.

mod common;

use cust::{
    context::legacy::{Context, ContextFlags},
    device::Device,
    error::{CudaError, CudaResult},
    launch,
    memory::{DeviceBuffer, mem_get_info},
    module::Module,
    stream::{Stream, StreamFlags},
};

/// One test: the latest fault is the process's, so two at a time would hide each other.
#[test]
fn a_fault_is_sticky_until_the_context_ends_and_its_text_names_the_place() {
    let _primary = common::simulated();
    assert_eq!(libcuda::fault(), None);

    // Eight elements, 32 threads whose guard lets all of them through: thread 8 leaves the allocation.
    let text = broken_context(CudaError::IllegalAddress, |stream| {
        let module = Module::from_ptx(common::ADD, &[])?;
        let add = module.get_function("add")?;
        let short = DeviceBuffer::from_slice(&[1.0_f32; 8])?;
        let long = DeviceBuffer::from_slice(&[1.0_f32; 32])?;
        let (short, long) = (short.as_device_ptr(), long.as_device_ptr());
        // SAFETY: the simulator stops the access that is wrong on purpose.
        unsafe { launch!(add<<<1, 32, 0, stream>>>(32_u32, long, short, long)) }
    });
    let line = common::ADD.lines().position(|line| line.contains("%f2, [%rd9]")).unwrap() + 1;
    for part in ["kernel add", &format!("module.ptx:{line}"), "block (0, 0, 0)", "thread (8, 0, 0)", "4 bytes at 0x"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }

    let text = broken_context(CudaError::MisalignedAddress, |stream| {
        let module = Module::from_ptx(common::ADD, &[])?;
        let add = module.get_function("add")?;
        let buffer = DeviceBuffer::from_slice(&[1.0_f32; 8])?;
        let pointer = buffer.as_device_ptr();
        let odd = pointer.as_raw() + 2;
        // SAFETY: as above.
        unsafe { launch!(add<<<1, 1, 0, stream>>>(1_u32, pointer, odd, pointer)) }
    });
    assert!(text.contains("misaligned"), "{text}");

    let text = broken_context(CudaError::LaunchFailed, |stream| {
        let module = Module::from_ptx(common::SHARED, &[])?;
        let trap_it = module.get_function("trap_it")?;
        // SAFETY: it takes nothing and stops at once.
        unsafe { launch!(trap_it<<<1, 1, 0, stream>>>()) }
    });
    assert!(text.contains("trap in kernel trap_it"), "{text}");
    mem_get_info().expect("the primary context never saw any of it");

    // The primary context goes on after a reset.
    let module = Module::from_ptx(common::SHARED, &[]).unwrap();
    let trap_it = module.get_function("trap_it").unwrap();
    let stream = Stream::new(StreamFlags::DEFAULT, None).unwrap();
    // SAFETY: it takes nothing and stops at once.
    unsafe { launch!(trap_it<<<1, 1, 0, stream>>>()).unwrap() };
    assert_eq!(mem_get_info(), Err(CudaError::LaunchFailed));
    // SAFETY: nobody else uses the context; what was made in it is stale now, and dropped as such.
    unsafe { cust::context::Context::reset(&Device::get_device(0).unwrap()).unwrap() };
    assert_eq!(libcuda::fault(), None);
    assert_eq!(stream.synchronize(), Err(CudaError::InvalidHandle));
    assert_eq!(DeviceBuffer::from_slice(&[5_u8]).unwrap().as_host_vec().unwrap(), [5]);
}

/// Launches in a context of its own, checks how the context is broken, and ends it. Gives the fault's text.
fn broken_context(error: CudaError, launch: impl FnOnce(&Stream) -> CudaResult<()>) -> String {
    let device = Device::get_device(0).unwrap();
    let context = Context::create_and_push(ContextFlags::empty(), device).unwrap();
    let stream = Stream::new(StreamFlags::DEFAULT, None).unwrap();
    launch(&stream).expect("a launch does not tell what the kernel will do wrong");
    assert_eq!(stream.synchronize(), Err(error));
    assert_eq!(DeviceBuffer::from_slice(&[1_u8]).err(), Some(error), "it stays");
    assert_eq!(stream.synchronize(), Err(error), "and stays");
    let text = libcuda::fault().expect("a broken context has its reason");
    assert_eq!(libcuda::refusal().as_ref(), Some(&text));
    drop(stream);
    Context::drop(context).map_err(|(error, _)| error).expect("ending the context is how to go on");
    assert_eq!(libcuda::fault(), None, "the fault ends with its context");
    text
}
