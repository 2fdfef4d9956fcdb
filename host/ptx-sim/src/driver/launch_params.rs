//! The parameter block of a launch, gathered from either form that `cuLaunchKernel` takes.

use std::ffi::c_void;

use super::{
    abi::{HostSource, In},
    status::{Answer, Refused, Status},
};
use crate::Kernel;

// Keys of the `extra` array in cuda.h.
const END: usize = 0;
const BUFFER_POINTER: usize = 1;
const BUFFER_SIZE: usize = 2;
/// More entries than there are keys: an array without its end.
const MOST_ENTRIES: usize = 16;
/// A caller's struct may end in padding that the parameters do not have.
const PADDING: usize = 16;

/// One pointer for each parameter, or a list of keys and values.
#[derive(Clone, Copy)]
pub(super) struct Given {
    pub(super) pointers: In<*const c_void>,
    pub(super) extra: In<*const c_void>,
}

impl Given {
    /// The bytes that the kernel reads, each parameter at its place.
    pub(super) fn gather(self, kernel: &Kernel) -> Answer<Vec<u8>> {
        let name = kernel.name();
        match (self.pointers.is_null(), self.extra.is_null()) {
            (false, false) => Err(refuse(format!("launch of {name}: kernelParams and extra are both given"))),
            (true, true) if !kernel.params().is_empty() => {
                let count = kernel.params().len();
                Err(refuse(format!("launch of {name}: it has {count} parameters, and none were given")))
            }
            (true, true) => Ok(vec![0; kernel.param_bytes() as usize]),
            (false, true) => self.gather_pointers(kernel),
            (true, false) => self.gather_buffer(kernel),
        }
    }

    fn gather_pointers(self, kernel: &Kernel) -> Answer<Vec<u8>> {
        let mut block = vec![0; kernel.param_bytes() as usize];
        for (index, param) in kernel.params().iter().enumerate() {
            let value = HostSource::new(self.pointers.at(index)?).bytes(0, param.size as usize);
            let value = value.map_err(|_| {
                refuse(format!(
                    "launch of {}: the pointer to parameter {index} ({}) is null",
                    kernel.name(),
                    param.name
                ))
            })?;
            block[param.offset as usize..][..value.len()].copy_from_slice(value);
        }
        Ok(block)
    }

    fn gather_buffer(self, kernel: &Kernel) -> Answer<Vec<u8>> {
        let (mut buffer, mut size) = (None, None);
        let mut entry = 0;
        loop {
            match self.extra.at(entry)?.addr() {
                END => break,
                BUFFER_POINTER => buffer = Some(self.extra.at(entry + 1)?),
                BUFFER_SIZE => size = Some(In::new(self.extra.at(entry + 1)?.cast::<usize>()).get()?),
                key => return Err(refuse(format!("launch of {}: extra has no key {key}", kernel.name()))),
            }
            entry += 2;
            if entry > MOST_ENTRIES {
                return Err(refuse(format!("launch of {}: extra does not end in CU_LAUNCH_PARAM_END", kernel.name())));
            }
        }
        let (Some(buffer), Some(size)) = (buffer, size) else {
            return Err(refuse(format!("launch of {}: extra gives no buffer, or not its size", kernel.name())));
        };
        let wanted = kernel.param_bytes() as usize;
        if !(wanted..=wanted.next_multiple_of(PADDING)).contains(&size) {
            let why = format!("launch of {}: {size} bytes of parameters, where it takes {wanted}", kernel.name());
            return Err(refuse(why));
        }
        Ok(HostSource::new(buffer).bytes(0, wanted)?.to_vec())
    }
}

fn refuse(why: String) -> Refused {
    Status::InvalidValue.because(why)
}
