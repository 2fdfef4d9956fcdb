//! A simulated GPU of an older architecture.

mod common;

use cust::{
    device::{Device, DeviceAttribute},
    error::CudaError,
    module::Module,
};

#[test]
fn the_architecture_decides_the_figures_and_which_ptx_loads() {
    libcuda::simulator::set_arch("sm_80").unwrap();
    let _context = common::simulated();
    let device = Device::get_device(0).unwrap();
    assert_eq!(device.get_attribute(DeviceAttribute::ComputeCapabilityMajor), Ok(8));
    assert_eq!(device.get_attribute(DeviceAttribute::ComputeCapabilityMinor), Ok(0));
    assert_eq!(device.get_attribute(DeviceAttribute::MultiprocessorCount), Ok(108));
    assert!(device.name().unwrap().starts_with("ptx-sim (simulated sm_80"));
    Module::from_ptx(common::ADD, &[]).unwrap();
    let newer = common::ADD.replace("sm_80", "sm_90a").replace(".version 7.0", ".version 8.0");
    assert_eq!(Module::from_ptx(newer, &[]).err(), Some(CudaError::InvalidPtx));
    assert!(libcuda::refusal().unwrap().contains(".target sm_90a does not run on ptx-sim (simulated sm_80"));
}
