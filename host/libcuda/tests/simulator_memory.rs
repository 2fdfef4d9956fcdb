//! Memory of the simulated GPU through cust: copies, fills, limits, and what there is none of.

mod common;

use std::error::Error;

use cust::{
    device::Device,
    error::CudaError,
    memory::{AsyncCopyDestination, CopyDestination, DeviceBuffer, LockedBuffer, mem_get_info},
    stream::{Stream, StreamFlags},
    sys,
};

type Outcome = Result<(), Box<dyn Error>>;

#[test]
fn copies_and_fills_of_every_width_arrive() -> Outcome {
    let _context = common::simulated();
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    let mut words = DeviceBuffer::from_slice(&[7_u32; 8])?;
    assert_eq!(words.as_host_vec()?, [7; 8]);
    words.set_32(0x0102_0304)?;
    assert_eq!(words.as_host_vec()?, [0x0102_0304; 8]);
    words.set_16(0x0506)?;
    assert_eq!(words.as_host_vec()?, [0x0506_0506; 8]);
    words.set_8(9)?;
    assert_eq!(words.as_host_vec()?, [0x0909_0909; 8]);
    let other = DeviceBuffer::from_slice(&[1_u32, 2, 3, 4, 5, 6, 7, 8])?;
    words.copy_from(&other)?;
    assert_eq!(words.as_host_vec()?, [1, 2, 3, 4, 5, 6, 7, 8]);

    let mut pinned = LockedBuffer::new(&5_u32, 8)?;
    // SAFETY: both buffers outlive the copies, which the stream has done after the wait.
    unsafe {
        words.set_32_async(6, &stream)?;
        words.index(2..4).async_copy_from(&pinned[2..4], &stream)?;
        words.async_copy_to(&mut pinned, &stream)?;
    }
    stream.synchronize()?;
    assert_eq!(pinned.as_slice(), [6, 6, 5, 5, 6, 6, 6, 6]);
    let zeroed = DeviceBuffer::<u64>::zeroed(3)?;
    assert_eq!(zeroed.as_host_vec()?, [0; 3]);
    Ok(())
}

#[test]
fn two_dimensional_copies_take_a_part_of_each_row() -> Outcome {
    let _context = common::simulated();
    let device = DeviceBuffer::from_slice(&[0_u8; 4 * 6])?;
    let host: Vec<u8> = (0..9).collect();
    // Columns 1 and 2 of the host's three rows of three, to columns 4 and 5 of the device's rows of six.
    let mut plan = sys::CUDA_MEMCPY2D {
        srcXInBytes: 1,
        srcY: 0,
        srcMemoryType: sys::CUmemorytype_enum::CU_MEMORYTYPE_HOST,
        srcHost: host.as_ptr().cast(),
        srcDevice: 0,
        srcArray: std::ptr::null_mut(),
        srcPitch: 3,
        dstXInBytes: 4,
        dstY: 1,
        dstMemoryType: sys::CUmemorytype_enum::CU_MEMORYTYPE_DEVICE,
        dstHost: std::ptr::null_mut(),
        dstDevice: device.as_device_ptr().as_raw(),
        dstArray: std::ptr::null_mut(),
        dstPitch: 6,
        WidthInBytes: 2,
        Height: 3,
    };
    // SAFETY: the host's part lies in its rows; the driver checks the device's.
    assert_eq!(unsafe { sys::cuMemcpy2D_v2(&plan) }, sys::cudaError_enum::CUDA_SUCCESS);
    let rows = device.as_host_vec()?;
    assert_eq!(rows[10..12], [1, 2]);
    assert_eq!(rows[16..18], [4, 5]);
    assert_eq!(rows[22..24], [7, 8]);
    assert_eq!(rows.iter().filter(|byte| **byte != 0).count(), 6);
    plan.dstPitch = 5;
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuMemcpy2D_v2(&plan) }, sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
    plan.dstPitch = 6;
    plan.dstDevice = 0;
    // SAFETY: as above: a device pointer is never followed on the host.
    assert_eq!(unsafe { sys::cuMemcpy2D_v2(&plan) }, sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
    Ok(())
}

#[test]
fn memory_is_counted_and_ranges_are_checked() -> Outcome {
    let _context = common::simulated();
    let (_, total) = mem_get_info()?;
    assert_eq!(total, 80 << 30);
    assert_eq!(total, Device::get_device(0)?.total_memory()?);
    let pointer = {
        let buffer = DeviceBuffer::from_slice(&[1_u8; 100])?;
        let mut too_long = [0_u8; 101];
        // SAFETY: the host side is long enough; the driver checks the other.
        let status = unsafe {
            sys::cuMemcpyDtoH_v2(too_long.as_mut_ptr().cast(), buffer.as_device_ptr().as_raw(), too_long.len())
        };
        assert_eq!(status, sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(too_long, [0; 101]);
        buffer.as_device_ptr().as_raw()
    };
    // SAFETY: the driver looks the pointer up before it uses it.
    let twice = unsafe { sys::cuMemFree_v2(pointer) };
    assert_eq!(twice, sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE);
    assert!(libcuda::refusal().ok_or("no reason")?.contains("were freed"));
    let mut byte = 7_u8;
    // SAFETY: a pointer that the device once gave out is not followed on the host.
    let stale = unsafe { sys::cuMemcpy(std::ptr::from_mut(&mut byte).addr() as u64, pointer, 1) };
    assert_eq!((stale, byte), (sys::cudaError_enum::CUDA_ERROR_INVALID_VALUE, 7));
    // SAFETY: memory that is never touched.
    let too_much = unsafe { DeviceBuffer::<u8>::uninitialized(total + 1) };
    assert_eq!(too_much.err(), Some(CudaError::OutOfMemory));
    Ok(())
}

#[test]
fn what_is_not_simulated_says_so() {
    let _context = common::simulated();
    let managed = cust::memory::UnifiedBuffer::new(&0_u32, 4).err();
    assert_eq!(managed, Some(CudaError::NotSupported));
}
