//! A graph whose work has become wrong since its capture breaks the context, as on hardware.

mod common;
#[path = "common/raw.rs"]
mod raw;

use std::ptr::null_mut;

use cust::{
    context::legacy::{Context, ContextFlags},
    device::Device,
    memory::DeviceBuffer,
    module::Module,
    stream::{Stream, StreamFlags},
};
use raw::*;

/// Captures `work`, lets `spoil` change the world, launches, and gives the fault's text and the sticky code.
fn launched(work: impl FnOnce(&Stream, &Module, u64), spoil: impl FnOnce(Module, DeviceBuffer<u32>)) -> (String, u32) {
    let context = Context::create_and_push(ContextFlags::empty(), Device::get_device(0).unwrap()).unwrap();
    let stream = Stream::new(StreamFlags::DEFAULT, None).unwrap();
    let module = Module::from_ptx(common::SHARED, &[]).unwrap();
    let buffer = DeviceBuffer::from_slice(&[7_u32; 8]).unwrap();
    let raw: Raw = stream.as_inner().cast();
    let (mut graph, mut exec) = (null_mut(), null_mut());
    // SAFETY: live handles, results that outlive the calls.
    let code = unsafe {
        assert_eq!(cuStreamBeginCapture_v2(raw, GLOBAL), 0);
        work(&stream, &module, buffer.as_device_ptr().as_raw());
        assert_eq!(cuStreamEndCapture(raw, &mut graph), 0);
        assert_eq!(cuGraphInstantiateWithFlags(&mut exec, graph, 0), 0);
        spoil(module, buffer);
        assert_eq!(cuGraphLaunch(exec, raw), 0, "a launch does not tell what its nodes do wrong");
        cuStreamSynchronize(raw)
    };
    let text = libcuda::fault().expect("a broken context has its reason");
    drop(stream);
    Context::drop(context).map_err(|(error, _)| error).unwrap();
    (text, code)
}

/// One test: the latest fault is the process's, so two at a time would hide each other.
#[test]
fn work_that_went_wrong_since_the_capture_breaks_the_context() {
    let _primary = common::simulated();
    let fill = |stream: &Stream, _: &Module, address| {
        // SAFETY: eight words at that address, until they are freed on purpose.
        assert_eq!(unsafe { cuMemsetD32Async(address, 1, 8, stream.as_inner().cast()) }, 0);
    };
    let (text, code) = launched(fill, |_, buffer| drop(buffer));
    assert_eq!(code, 700, "{text}");
    assert!(text.contains("node 0 (memset) of the launched graph failed") && text.contains("freed"), "{text}");

    let trap = |stream: &Stream, module: &Module, _| {
        let function = module.get_function("trap_it").unwrap().to_raw().cast();
        // SAFETY: it takes nothing and stops at once.
        let code =
            unsafe { cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream.as_inner().cast(), null_mut(), null_mut()) };
        assert_eq!(code, 0);
    };
    let (text, code) = launched(trap, |_, _| ());
    assert_eq!(code, 719, "{text}");
    assert!(text.contains("node 0 (kernel)") && text.contains("a function that was destroyed before"), "{text}");

    let (text, code) = launched(trap, |module, buffer| std::mem::forget((module, buffer)));
    assert_eq!(code, 719);
    assert!(text.contains("trap in kernel trap_it"), "{text}");
}
