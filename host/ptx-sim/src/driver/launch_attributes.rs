//! The attributes of `cuLaunchKernelEx`.

use std::ffi::c_uint;

use super::{
    handle::Handle,
    launch::LaunchConfig,
    status::{Answer, Status},
};

/// `CUlaunchAttribute` of cuda.h, 72 bytes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct LaunchAttribute {
    id: c_uint,
    padding: [c_uint; 1],
    value: [c_uint; 16],
}

const _: () = assert!(size_of::<LaunchAttribute>() == 72);

/// What of them matters here.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) cluster: Option<[u32; 3]>,
    /// Events to record behind the launch.
    pub(super) events: Vec<Handle>,
}

// Numbers of `CUlaunchAttributeID`.
const IGNORE: u32 = 0;
const ACCESS_POLICY_WINDOW: u32 = 1;
const COOPERATIVE: u32 = 2;
const SYNCHRONIZATION_POLICY: u32 = 3;
const CLUSTER_DIMENSION: u32 = 4;
const CLUSTER_SCHEDULING_POLICY: u32 = 5;
const PROGRAMMATIC_STREAM_SERIALIZATION: u32 = 6;
const PROGRAMMATIC_EVENT: u32 = 7;
const PRIORITY: u32 = 8;
const MEM_SYNC_DOMAIN_MAP: u32 = 9;
const MEM_SYNC_DOMAIN: u32 = 10;
const LAUNCH_COMPLETION_EVENT: u32 = 12;
const PREFERRED_SHARED_MEMORY_CARVEOUT: u32 = 14;

impl Attributes {
    fn add(&mut self, attribute: &LaunchAttribute) -> Answer<()> {
        let value = &attribute.value;
        match attribute.id {
            // Hints, and leave to start before the launch ahead has ended, which nobody has to take.
            IGNORE
            | ACCESS_POLICY_WINDOW
            | SYNCHRONIZATION_POLICY
            | PROGRAMMATIC_STREAM_SERIALIZATION
            | PRIORITY
            | MEM_SYNC_DOMAIN_MAP
            | MEM_SYNC_DOMAIN
            | PREFERRED_SHARED_MEMORY_CARVEOUT => {}
            CLUSTER_SCHEDULING_POLICY if value[0] <= 2 => {}
            CLUSTER_SCHEDULING_POLICY => {
                let why = format!("cluster scheduling policy {} is unknown: 0, 1 or 2", value[0]);
                return Err(Status::InvalidValue.because(why));
            }
            CLUSTER_DIMENSION if value[..3].contains(&0) => {
                let why = format!("a cluster of {:?} blocks: every side is at least 1", &value[..3]);
                return Err(Status::InvalidClusterSize.because(why));
            }
            CLUSTER_DIMENSION => self.cluster = Some([value[0], value[1], value[2]]),
            // Both begin with the event, a pointer, and its flags.
            PROGRAMMATIC_EVENT | LAUNCH_COMPLETION_EVENT => {
                let event = u64::from(value[0]) | u64::from(value[1]) << 32;
                if value[2] > 1 {
                    let why = format!("flags {:#x} of a launch's event are unknown: 0 or 1", value[2]);
                    return Err(Status::InvalidValue.because(why));
                }
                self.events.push(Handle::from_bits(event as usize));
            }
            COOPERATIVE if value[0] == 0 => {}
            COOPERATIVE => return Err(Status::NotSupported.because("cooperative launches are not simulated")),
            other => {
                return Err(Status::NotSupported.because(format!("launch attribute {other} is not simulated")));
            }
        }
        Ok(())
    }
}

impl LaunchConfig {
    pub(super) fn attributes(&self) -> Answer<Attributes> {
        let mut attributes = Attributes::default();
        for index in 0..self.attribute_count as usize {
            attributes.add(&self.attributes.at(index)?)?;
        }
        Ok(attributes)
    }
}
