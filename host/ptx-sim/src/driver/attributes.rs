//! Device attributes, by their numbers in cuda.h (`CUdevice_attribute`).

use super::{
    cluster,
    device::{
        MAX_BLOCK, MAX_GRID, REGISTERS_PER_MULTIPROCESSOR, SHARED_PER_BLOCK, SHARED_RESERVED_PER_BLOCK, Spec,
        THREADS_PER_BLOCK, WARP,
    },
    status::{Answer, Status},
};

/// The highest number of CUDA 13.0.
const LAST: u32 = 144;

/// The value of one attribute. What the simulated GPU cannot do (textures, managed or mapped memory,
/// cooperative launches, concurrent kernels, stream priorities) is 0.
pub(super) fn of_device(spec: &Spec, attribute: u32) -> Answer<u32> {
    Ok(match attribute {
        1 => THREADS_PER_BLOCK,
        2 => MAX_BLOCK[0],
        3 => MAX_BLOCK[1],
        4 => MAX_BLOCK[2],
        5 => MAX_GRID[0],
        6 => MAX_GRID[1],
        7 => MAX_GRID[2],
        8 => SHARED_PER_BLOCK,
        9 => 64 << 10,                      // constant memory
        10 => WARP,                         // threads of a warp
        11 => i32::MAX as u32,              // pitch of 2D copies
        12 => REGISTERS_PER_MULTIPROCESSOR, // of a block
        13 => spec.clock_khz,               // of the model; the simulation keeps no clock
        14 | 30 => 512,                     // alignment of textures and surfaces
        16 => spec.multiprocessors,
        36 => spec.memory_clock_khz,
        37 => spec.memory_bus_bits,
        38 => spec.l2_bytes,
        39 => spec.threads_per_multiprocessor,
        41 => 1,  // unified addressing: a pointer tells its own device
        51 => 32, // alignment of a texture's pitch
        75 => spec.capability / 10,
        76 => spec.capability % 10,
        79 | 80 => 1, // loads of global and local memory go through L1
        81 => spec.shared_per_multiprocessor,
        82 => REGISTERS_PER_MULTIPROCESSOR,
        87 => {
            if spec.capability.is_multiple_of(10) {
                2
            } else {
                64
            }
        } // f32 operations for one of f64
        97 => spec.shared_per_block_optin,
        106 => spec.blocks_per_multiprocessor,
        120 => cluster::device_attribute(spec),
        // Tensor maps came with clusters.
        127 => cluster::device_attribute(spec),
        111 => SHARED_RESERVED_PER_BLOCK,
        15 | 17..=35 | 40..=LAST => 0,
        _ => return Err(Status::InvalidValue.because(format!("there is no device attribute {attribute}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::device::spec_of, *};

    #[test]
    fn an_opted_in_block_fits_its_multiprocessor_with_the_reserve() {
        for arch in ["sm_80", "sm_86", "sm_89", "sm_90"] {
            let spec = spec_of(arch);
            let value = |attribute| of_device(spec, attribute).unwrap();
            assert_eq!(value(97) + value(111), value(81), "{arch}");
            assert_eq!(format!("sm_{}{}", value(75), value(76)), arch);
        }
        assert_eq!(of_device(spec_of("sm_90"), 97).unwrap(), 232_448);
    }

    #[test]
    fn a_number_outside_the_list_is_refused() {
        for attribute in [0, LAST + 1, u32::MAX] {
            assert_eq!(of_device(spec_of("sm_80"), attribute).unwrap_err().status, Status::InvalidValue);
        }
    }
}
