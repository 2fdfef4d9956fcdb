//! Codes and what they mean: int8 matrices with scales of their outer dimensions.

use crate::{
    Error, Gpu, Layout, Result, ScaleKind, Scales, TokenScale,
    element::as_bytes,
    memory::{DeviceMatrix, DeviceMemory},
};
use contract::limits::padded_row_bytes;
use std::sync::Arc;

/// int8 [rows, cols] as our quantizers write them: rows zero-padded to 128 bytes.
#[derive(Clone)]
pub(crate) struct CodeMatrix {
    pub(crate) memory: Arc<DeviceMemory>,
    pub(crate) rows: u64,
    pub(crate) cols: u64,
    /// The largest magnitude a code can have: 127 for ours, 128 for codes from elsewhere.
    pub(crate) magnitude: u64,
}

impl CodeMatrix {
    pub(crate) fn new(gpu: &Gpu, rows: u64, cols: u64, magnitude: u64) -> Result<Self> {
        // Unknown content, on purpose: the kernels promise to write the padding too.
        let memory = DeviceMemory::uninitialized(gpu, rows * padded_row_bytes(cols))?;
        Ok(CodeMatrix { memory: Arc::new(memory), rows, cols, magnitude })
    }

    /// A copy of `codes`, row-major without gaps, padded by the host: for checks that must not depend on
    /// the packing kernel.
    pub(crate) fn upload(gpu: &Gpu, codes: &[i8], rows: u64, cols: u64, magnitude: u64) -> Result<Self> {
        let row_bytes = padded_row_bytes(cols) as usize;
        let mut padded = vec![0i8; rows as usize * row_bytes];
        for (to, from) in padded.chunks_exact_mut(row_bytes).zip(codes.chunks_exact(cols as usize)) {
            to[..cols as usize].copy_from_slice(from);
        }
        let memory = Arc::new(DeviceMemory::from_bytes(gpu, as_bytes(&padded))?);
        Ok(CodeMatrix { memory, rows, cols, magnitude })
    }

    pub(crate) fn as_arg(&self) -> contract::args::Codes {
        contract::args::Codes {
            ptr: self.memory.ptr(),
            rows: self.rows,
            cols: self.cols,
            row_bytes: padded_row_bytes(self.cols),
        }
    }

    pub(super) fn download(&self) -> Result<Vec<i8>> {
        let padded = self.download_padded()?;
        let (row_bytes, cols) = (padded_row_bytes(self.cols) as usize, self.cols as usize);
        Ok(padded.chunks_exact(row_bytes).flat_map(|row| row[..cols].iter().copied()).collect())
    }

    pub(super) fn download_padded(&self) -> Result<Vec<i8>> {
        self.memory.download()
    }
}

macro_rules! code_accessors {
    ($($field:tt)+) => {
        /// Number of rows.
        pub fn rows(&self) -> u64 {
            self.$($field)+.rows
        }

        /// Number of codes in a row: K.
        pub fn cols(&self) -> u64 {
            self.$($field)+.cols
        }

        /// Copies the codes to the host, row-major without padding [rows, cols].
        ///
        /// # Errors
        /// A CUDA error of the copy, or of a kernel launched before.
        pub fn download_codes(&self) -> Result<Vec<i8>> {
            self.$($field)+.download()
        }

        /// Copies the codes and the zeros after each row to the host:
        /// [rows, [`padded_row_bytes`](contract::limits::padded_row_bytes)(cols)].
        ///
        /// # Errors
        /// As [`Self::download_codes`].
        pub fn download_padded(&self) -> Result<Vec<i8>> {
            self.$($field)+.download_padded()
        }
    };
}

pub(super) use code_accessors;

/// Tokens as codes: int8 [tokens, K] and their scales, per token or per tensor.
pub struct QuantizedTokens<S: TokenScale> {
    pub(crate) codes: CodeMatrix,
    pub(crate) scales: Scales<S>,
}

impl<S: TokenScale> QuantizedTokens<S> {
    code_accessors!(codes);

    /// Codes from elsewhere with their scales.
    ///
    /// # Errors
    /// `scales` where their number is not that of the rows.
    pub fn from_packed(codes: PackedCodes, scales: Scales<S>) -> Result<Self> {
        check_count(codes.rows(), &scales)?;
        Ok(QuantizedTokens { codes: codes.0, scales })
    }

    /// The scales: f32 `[tokens]`, or `[1]`.
    pub fn scales(&self) -> &Scales<S> {
        &self.scales
    }
}

pub(super) fn check_count<S: ScaleKind>(rows: u64, scales: &Scales<S>) -> Result<()> {
    let (want, got) = (S::count(rows), scales.values.len());
    if want == got {
        return Ok(());
    }
    let rule = format!("{rows} rows of codes have {want} {} scales, got {got}", S::NAME);
    Err(Error::argument("from_packed", "scales", rule))
}

/// int8 [rows, K] from elsewhere, any row stride and alignment: to be packed before a product.
pub struct Int8Matrix(pub(crate) DeviceMatrix<i8>);

impl Int8Matrix {
    /// Copies codes, row-major without gaps, to the device and lays them out there.
    ///
    /// # Errors
    /// `codes` where their number or the layout is wrong; a CUDA error.
    pub fn upload(gpu: &Gpu, codes: &[i8], layout: Layout) -> Result<Self> {
        DeviceMatrix::upload(gpu, "codes", codes, layout).map(Int8Matrix)
    }
}

/// int8 [rows, K] as the product takes them, without scales yet.
pub struct PackedCodes(pub(crate) CodeMatrix);

impl PackedCodes {
    code_accessors!(0);
}
