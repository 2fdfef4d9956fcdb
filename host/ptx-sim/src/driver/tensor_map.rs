//! Tensor maps, encoded: `cuTensorMapEncodeTiled` and its relatives.

use std::ffi::{c_int, c_uint, c_void};

use super::{
    abi::In,
    state::State,
    status::{Answer, Code, Refused, Status, answer},
};
use crate::tensor_map::{
    OutOfBoundsFill, Swizzle, TENSOR_MAP_ALIGN, TENSOR_MAP_BYTES, TENSOR_RANK, TensorElement, TensorMap, TensorMapError,
};

impl From<TensorMapError> for Refused {
    fn from(error: TensorMapError) -> Self {
        Status::InvalidValue.because(format!("cuTensorMapEncodeTiled: {error}"))
    }
}

fn refuse<T>(why: impl std::fmt::Display) -> Answer<T> {
    Err(Status::InvalidValue.because(format!("cuTensorMapEncodeTiled: {why}")))
}

/// The 128 bytes that a caller's `CUtensorMap` has.
#[repr(transparent)]
pub(super) struct MapPointer(*mut [u8; TENSOR_MAP_BYTES]);

impl MapPointer {
    fn check(&self) -> Answer<()> {
        if self.0.is_null() {
            return refuse("the pointer to the map is null");
        }
        if !(self.0.addr() as u64).is_multiple_of(TENSOR_MAP_ALIGN) {
            let address = self.0;
            return refuse(format_args!(
                "the map at {address:?} is not aligned to {TENSOR_MAP_ALIGN} bytes (alignas(64))"
            ));
        }
        Ok(())
    }

    fn get(&self) -> Answer<[u8; TENSOR_MAP_BYTES]> {
        self.check()?;
        // SAFETY: not null and aligned; the caller's contract says that a map is there.
        Ok(unsafe { self.0.read() })
    }

    fn set(&self, bytes: [u8; TENSOR_MAP_BYTES]) -> Answer<()> {
        self.check()?;
        // SAFETY: as above.
        unsafe { self.0.write(bytes) };
        Ok(())
    }
}

/// The arrays of a call, each with as many entries as the tensor has dimensions, the strides one fewer.
#[derive(Clone, Copy)]
struct Arrays {
    dims: In<u64>,
    strides: In<u64>,
    box_dims: In<u32>,
    element_strides: In<u32>,
}

/// The last four arguments of a call, by their numbers in cuda.h.
#[derive(Clone, Copy)]
struct Modes {
    interleave: c_int,
    swizzle: c_int,
    promotion: c_int,
    fill: c_int,
}

impl Modes {
    /// The swizzle and the fill, after a check of the others. Promotion to L2 is a hint.
    fn resolve(self) -> Answer<(Swizzle, OutOfBoundsFill)> {
        match self.interleave {
            0 => {}
            1 | 2 => return Err(Status::NotSupported.because("interleaved tensor maps are not simulated")),
            other => return refuse(format_args!("interleave {other} is unknown: 0 (none), 1 (16B) or 2 (32B)")),
        }
        if !(0..=3).contains(&self.promotion) {
            return refuse(format_args!(
                "L2 promotion {} is unknown: 0 to 3 (none, 64, 128, 256 bytes)",
                self.promotion
            ));
        }
        let fill = match self.fill {
            0 => OutOfBoundsFill::Zero,
            1 => OutOfBoundsFill::Nan,
            other => return refuse(format_args!("out-of-bounds fill {other} is unknown: 0 (zero) or 1 (NaN)")),
        };
        match u32::try_from(self.swizzle).ok().and_then(Swizzle::from_code) {
            Some(swizzle) => Ok((swizzle, fill)),
            // Of Blackwell: other atoms than 16 bytes.
            None if (4..=6).contains(&self.swizzle) => {
                Err(Status::NotSupported
                    .because(format!("swizzle {} needs sm_100, which is not simulated", self.swizzle)))
            }
            None => refuse(format_args!("swizzle {} is unknown: 0 to 3 (none, 32, 64, 128 bytes)", self.swizzle)),
        }
    }
}

fn describe(data_type: c_int, rank: u32, address: u64, arrays: Arrays, modes: Modes) -> Answer<TensorMap> {
    let Some(element) = u32::try_from(data_type).ok().and_then(TensorElement::from_code) else {
        if (13..=15).contains(&data_type) {
            let why = format!("data type {data_type} (4 or 6 bits) needs sm_100, which is not simulated");
            return Err(Status::NotSupported.because(why));
        }
        return refuse(format_args!("data type {data_type} is unknown: 0 to 12"));
    };
    if !(1..=TENSOR_RANK as u32).contains(&rank) {
        return refuse(format_args!("a rank of {rank}; it can be 1 to {TENSOR_RANK}"));
    }
    let (swizzle, fill) = modes.resolve()?;
    let mut map = TensorMap {
        element,
        rank,
        address,
        dims: [1; TENSOR_RANK],
        strides: [0; TENSOR_RANK - 1],
        box_dims: [1; TENSOR_RANK],
        element_strides: [1; TENSOR_RANK],
        swizzle,
        fill,
    };
    for axis in 0..rank as usize {
        map.dims[axis] = arrays.dims.at(axis)?;
        map.box_dims[axis] = arrays.box_dims.at(axis)?;
        map.element_strides[axis] = arrays.element_strides.at(axis)?;
        if axis > 0 {
            map.strides[axis - 1] = arrays.strides.at(axis - 1)?;
        }
    }
    map.validate()?;
    Ok(map)
}

/// What lies at the address is not looked at, as on hardware: a map may be encoded before its memory is known, and
/// the copies that use it check every box.
pub(super) extern "C" fn encode_tiled(
    out: MapPointer,
    data_type: c_int,
    rank: c_uint,
    address: u64,
    dims: In<u64>,
    strides: In<u64>,
    box_dims: In<u32>,
    element_strides: In<u32>,
    interleave: c_int,
    swizzle: c_int,
    promotion: c_int,
    fill: c_int,
) -> Code {
    answer(|| {
        check_device()?;
        out.check()?;
        let arrays = Arrays { dims, strides, box_dims, element_strides };
        let map = describe(data_type, rank, address, arrays, Modes { interleave, swizzle, promotion, fill })?;
        out.set(map.encode()?)
    })
}

/// The same map of another address.
pub(super) extern "C" fn replace_address(out: MapPointer, address: u64) -> Code {
    answer(|| {
        check_device()?;
        let map = TensorMap { address, ..TensorMap::decode(&out.get()?)? };
        map.validate()?;
        out.set(map.encode()?)
    })
}

fn check_device() -> Answer<()> {
    let state = State::lock()?;
    if state.spec.capability >= 90 {
        return Ok(());
    }
    Err(Status::NotSupported.because(format!("{} has no tensor maps: they come with sm_90", state.spec.name())))
}

/// Convolutions' gathers of pixels.
pub(super) extern "C" fn encode_im2col(_: *mut c_void) -> Code {
    answer(|| {
        let why = "cuTensorMapEncodeIm2col: the im2col mode is not simulated; use cuTensorMapEncodeTiled";
        Err(Status::NotSupported.because(why))
    })
}
