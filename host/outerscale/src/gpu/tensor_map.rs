//! Tensor maps: how TMA is told where a matrix lies. Made on the host for each launch; nothing is copied to the device.

use super::{Gpu, sys};
use crate::{Dtype, Result};
use contract::args::TensorMap;

/// A row-major matrix as TMA takes it, in boxes of rows of 128 bytes with the 128-byte swizzle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tensor {
    /// Device address of the first element, a multiple of 16.
    pub(crate) ptr: u64,
    /// Type of the elements: only its size matters.
    pub(crate) dtype: Dtype,
    /// Rows and columns, up to 2³² each.
    pub(crate) shape: [u64; 2],
    /// Bytes from one row to the next, a multiple of 16 below 2⁴⁰.
    pub(crate) row_bytes: u64,
    /// Rows of a box, at most 256.
    pub(crate) box_rows: u32,
}

impl Tensor {
    /// Whether TMA can take a matrix that begins at `ptr` and whose rows lie `row_bytes` apart.
    pub(crate) fn is_aligned(ptr: u64, row_bytes: u64) -> bool {
        ptr.is_multiple_of(16) && row_bytes.is_multiple_of(16) && row_bytes < 1 << 40
    }
}

impl Gpu {
    /// The tensor map of a matrix. What a box has outside of it reads as 0 and is not written.
    ///
    /// # Errors
    /// A CUDA error where the matrix breaks a rule of [`Tensor`].
    pub(crate) fn tensor_map(&self, tensor: &Tensor) -> Result<TensorMap> {
        /// `cuTensorMapEncodeTiled` wants a `CUtensorMap` at a multiple of 64.
        #[repr(C, align(64))]
        struct Aligned(TensorMap);

        self.make_current()?;
        let mut map = Aligned(TensorMap([0; 16]));
        let bytes = tensor.dtype.bytes();
        let data_type = match bytes {
            1 => sys::CU_TENSOR_MAP_DATA_TYPE_UINT8,
            2 => sys::CU_TENSOR_MAP_DATA_TYPE_UINT16,
            _ => sys::CU_TENSOR_MAP_DATA_TYPE_UINT32,
        };
        let [rows, cols] = tensor.shape;
        let (dims, strides) = ([cols, rows], [tensor.row_bytes]);
        let (box_dims, element_strides) = ([(128 / bytes) as u32, tensor.box_rows], [1, 1]);
        // SAFETY: the map and the arrays, two dimensions each, outlive the call, which reads no device memory.
        let status = unsafe {
            sys::cuTensorMapEncodeTiled(
                (&raw mut map.0).cast(),
                data_type,
                2,
                tensor.ptr,
                dims.as_ptr(),
                strides.as_ptr(),
                box_dims.as_ptr(),
                element_strides.as_ptr(),
                sys::CU_TENSOR_MAP_INTERLEAVE_NONE,
                sys::CU_TENSOR_MAP_SWIZZLE_128B,
                sys::CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                sys::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        };
        let what = || format!(" for a matrix of {rows} by {cols}, rows {} bytes apart", tensor.row_bytes);
        sys::check(status).map_err(|e| self.cuda_error("cuTensorMapEncodeTiled", what(), e))?;
        Ok(map.0)
    }
}
