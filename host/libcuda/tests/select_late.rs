//! The choice is made once, before the first call.

use cust::{CudaFlags, device::Device, error::CudaError};
use libcuda::{Choice, Driver};

/// One test, because the order of its steps is what it is about.
#[test]
fn a_choice_after_the_first_call_is_an_error_that_names_the_driver() {
    assert_eq!(libcuda::chosen(), None);
    // Before cuInit no function works, as with NVIDIA's driver, and errors have their texts already.
    let error = Device::num_devices().unwrap_err();
    assert_eq!(error, CudaError::NotInitialized);
    assert!(error.to_string().contains("call cuInit first"), "{error}");

    libcuda::select(Choice::Cuda).unwrap();
    libcuda::select(Choice::Sim).unwrap(); // the last word counts
    cust::init(CudaFlags::empty()).unwrap();
    assert_eq!(libcuda::chosen(), Some(Driver::Sim));
    assert_eq!(libcuda::why_not_cuda(), None, "nobody asked for NVIDIA's driver");

    let late = libcuda::select(Choice::Auto).unwrap_err();
    let text = late.to_string();
    assert!(text.contains("select(Auto) came after cuInit, which chose the sim driver"), "{text}");
    cust::init(CudaFlags::empty()).unwrap();
    assert_eq!(libcuda::chosen(), Some(Driver::Sim));
    let late_arch = libcuda::simulator::set_arch("sm_80").unwrap_err().to_string();
    assert!(late_arch.contains("has started as sm_90"), "{late_arch}");
    libcuda::simulator::set_arch("sm_90a").expect("it is that one already");
}
