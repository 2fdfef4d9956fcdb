//! Weights as codes, packed once as the products read them.

use super::{Scales, WeightScale};
use crate::{Gpu, Result, element::as_bytes, memory::DeviceMemory};
use contract::packed;
use std::sync::Arc;

/// int8 [N, K] packed as `contract::packed` says, without scales: panels of 64 rows, each its k_blocks of 128 codes one
/// after the other, swizzled as they lie in shared memory, zero where there is no code. One layout for every GPU.
#[derive(Clone)]
pub struct PackedWeights {
    pub(crate) memory: Arc<DeviceMemory>,
    pub(crate) rows: u64,
    pub(crate) cols: u64,
    /// The largest magnitude a code can have: 127 for ours, 128 for codes from elsewhere.
    pub(crate) magnitude: u64,
}

impl PackedWeights {
    pub(crate) fn new(gpu: &Gpu, rows: u64, cols: u64, magnitude: u64) -> Result<Self> {
        // Unknown content, on purpose: the kernel promises to write the padding too.
        let memory = DeviceMemory::uninitialized(gpu, packed::bytes(rows, cols))?;
        Ok(PackedWeights { memory: Arc::new(memory), rows, cols, magnitude })
    }

    /// Codes, row-major without gaps [rows, cols], packed by the host: for checks that must not depend on the packing
    /// kernel.
    pub(crate) fn upload(gpu: &Gpu, codes: &[i8], rows: u64, cols: u64, magnitude: u64) -> Result<Self> {
        let mut host = vec![0i8; packed::bytes(rows, cols) as usize];
        for (index, code) in codes.iter().enumerate() {
            let (row, col) = (index as u64 / cols, index as u64 % cols);
            host[packed::offset(row, col, packed::k_blocks(cols)) as usize] = *code;
        }
        let memory = Arc::new(DeviceMemory::from_bytes(gpu, as_bytes(&host))?);
        Ok(PackedWeights { memory, rows, cols, magnitude })
    }

    /// Codes that lie as `contract::packed` says, zero where [rows, cols] has none.
    pub(crate) fn from_host(gpu: &Gpu, packed: &[i8], rows: u64, cols: u64) -> Result<Self> {
        assert_eq!(packed.len() as u64, packed::bytes(rows, cols), "whole panels");
        let memory = Arc::new(DeviceMemory::from_bytes(gpu, as_bytes(packed))?);
        let magnitude = if packed.contains(&i8::MIN) { 128 } else { 127 };
        Ok(PackedWeights { memory, rows, cols, magnitude })
    }

    pub(crate) fn as_arg(&self) -> contract::args::Packed {
        contract::args::Packed { ptr: self.memory.ptr(), rows: self.rows, cols: self.cols }
    }

    /// Number of rows: N.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of codes in a row: K.
    pub fn cols(&self) -> u64 {
        self.cols
    }

    /// Copies the codes to the host, row-major without padding [N, K].
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download_codes(&self) -> Result<Vec<i8>> {
        let packed = self.download_packed()?;
        let k_blocks = packed::k_blocks(self.cols);
        let at = |row, col| packed[packed::offset(row, col, k_blocks) as usize];
        Ok((0..self.rows).flat_map(|row| (0..self.cols).map(move |col| at(row, col))).collect())
    }

    /// Copies the codes to the host as they lie: [`packed::bytes`](contract::packed::bytes)(N, K).
    ///
    /// # Errors
    /// As [`Self::download_codes`].
    pub fn download_packed(&self) -> Result<Vec<i8>> {
        self.memory.download(self.memory.bytes())
    }
}

/// Weights as codes: int8 [N, K] and their scales, per output channel or per tensor.
pub struct QuantizedWeights<S: WeightScale> {
    pub(crate) codes: PackedWeights,
    pub(crate) scales: Scales<S>,
}

impl<S: WeightScale> QuantizedWeights<S> {
    /// Packed codes with their scales.
    ///
    /// # Errors
    /// `scales` where their number is not that of the rows.
    pub fn from_packed(codes: PackedWeights, scales: Scales<S>) -> Result<Self> {
        super::codes::check_count(codes.rows, &scales)?;
        Ok(QuantizedWeights { codes, scales })
    }

    /// Number of rows: N.
    pub fn rows(&self) -> u64 {
        self.codes.rows
    }

    /// Number of codes in a row: K.
    pub fn cols(&self) -> u64 {
        self.codes.cols
    }

    /// The codes.
    pub fn codes(&self) -> &PackedWeights {
        &self.codes
    }

    /// Copies the codes to the host, row-major without padding [N, K].
    ///
    /// # Errors
    /// As [`PackedWeights::download_codes`].
    pub fn download_codes(&self) -> Result<Vec<i8>> {
        self.codes.download_codes()
    }

    /// The scales: f32 `[N]`, or `[1]`.
    pub fn scales(&self) -> &Scales<S> {
        &self.scales
    }
}
