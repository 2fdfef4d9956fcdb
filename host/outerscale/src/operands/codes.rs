//! Codes and what they mean: int8 matrices with scales of their outer dimensions.

use crate::{
    Error, Gpu, Layout, Result, ScaleKind, Scales, TokenScale,
    element::as_bytes,
    memory::{DeviceMatrix, DeviceMemory},
};
use contract::limits::{CHUNK_BYTES, ROW_ALIGN_BYTES, padded_row_bytes, readable_row_bytes};
use std::sync::Arc;

/// int8 [rows, cols] as the products read tokens: rows of whole 16-byte chunks, each readable to the end of its last.
/// Our quantizers write zeros there; the weights are zero beyond K, so that anything will do.
#[derive(Clone)]
pub(crate) struct CodeMatrix {
    pub(crate) memory: Arc<DeviceMemory>,
    /// Bytes before code (0, 0).
    offset: u64,
    /// Bytes from one row to the next.
    row_bytes: u64,
    pub(crate) rows: u64,
    pub(crate) cols: u64,
    /// The largest magnitude a code can have: 127 for ours, 128 for codes from elsewhere.
    pub(crate) magnitude: u64,
    /// Whether it is room that may be written again; codes that somebody gave are not.
    is_room: bool,
}

impl CodeMatrix {
    pub(crate) fn new(gpu: &Gpu, rows: u64, cols: u64, magnitude: u64) -> Result<Self> {
        Ok(CodeMatrix { rows, magnitude, ..Self::with_room(gpu, rows, cols)? })
    }

    /// Room for `most` rows of codes, none there yet.
    pub(crate) fn with_room(gpu: &Gpu, most: u64, cols: u64) -> Result<Self> {
        let bytes = cols.checked_next_multiple_of(ROW_ALIGN_BYTES).and_then(|row_bytes| row_bytes.checked_mul(most));
        let Some(bytes) = bytes.filter(|bytes| *bytes < 1 << 62) else {
            let rule = format!("[{most}, {cols}] codes do not fit the address space");
            return Err(Error::argument("with_room", "rows", rule));
        };
        // Unknown content, on purpose: the kernels promise to write the padding too.
        let memory = Arc::new(DeviceMemory::uninitialized(gpu, bytes)?);
        let row_bytes = padded_row_bytes(cols);
        Ok(CodeMatrix { memory, offset: 0, row_bytes, rows: 0, cols, magnitude: 127, is_room: true })
    }

    /// The codes, no longer as room: somebody has a part in what belongs to them.
    pub(super) fn given(self) -> Self {
        CodeMatrix { is_room: false, ..self }
    }

    /// Sets the shape, as `op` is to write it.
    ///
    /// # Errors
    /// `argument` where there is no room for as many codes, or they are somebody's.
    pub(crate) fn reshape(
        &mut self,
        (op, argument): (&'static str, &'static str),
        (rows, cols): (u64, u64),
        magnitude: u64,
    ) -> Result<()> {
        if !self.is_room {
            let rule = "hold codes from elsewhere, which are not overwritten; make room for them (with_room)";
            return Err(Error::argument(op, argument, rule));
        }
        let (row_bytes, room) = (padded_row_bytes(cols), self.memory.bytes());
        if rows.checked_mul(row_bytes).is_none_or(|bytes| bytes > room) {
            let most = room / row_bytes.max(1);
            let rule = format!("have room for {most} rows of {cols} codes, [{rows}, {cols}] are to be written");
            return Err(Error::argument(op, argument, rule));
        }
        (self.rows, self.cols, self.row_bytes, self.magnitude) = (rows, cols, row_bytes, magnitude);
        Ok(())
    }

    /// A copy of `codes`, row-major without gaps, padded by the host: for checks that must not depend on
    /// the packing kernel.
    pub(crate) fn upload(gpu: &Gpu, codes: &[i8], rows: u64, cols: u64, magnitude: u64) -> Result<Self> {
        let padded = padded(codes, cols);
        let memory = Arc::new(DeviceMemory::from_bytes(gpu, as_bytes(&padded))?);
        let row_bytes = padded_row_bytes(cols);
        Ok(CodeMatrix { memory, offset: 0, row_bytes, rows, cols, magnitude, is_room: false })
    }

    /// Rows from elsewhere as they lie.
    ///
    /// # Errors
    /// What of their place keeps the products from reading them.
    pub(super) fn as_they_lie(codes: &Int8Matrix) -> std::result::Result<Self, String> {
        let DeviceMatrix { memory, layout, .. } = &codes.0;
        let Layout { rows, cols, row_stride, offset } = *layout;
        let first = memory.ptr() + offset;
        if !first.is_multiple_of(CHUNK_BYTES) {
            return Err(format!("the first is not on a {CHUNK_BYTES}-byte boundary"));
        }
        if !row_stride.is_multiple_of(CHUNK_BYTES) && rows > 1 {
            return Err(format!("{row_stride} bytes from one to the next are no multiple of {CHUNK_BYTES}"));
        }
        let end = offset + rows.saturating_sub(1) * row_stride + readable_row_bytes(cols);
        if rows > 0 && end > memory.bytes() {
            return Err(format!("the memory ends before the last of them has {} bytes", readable_row_bytes(cols)));
        }
        // The stride of one row alone may be anything, more than TMA takes too.
        let row_bytes = if rows > 1 { row_stride } else { readable_row_bytes(cols) };
        // Codes from elsewhere may hold -128.
        Ok(CodeMatrix { memory: memory.clone(), offset, row_bytes, rows, cols, magnitude: 128, is_room: false })
    }

    pub(crate) fn as_arg(&self) -> contract::args::Codes {
        contract::args::Codes {
            ptr: self.memory.ptr() + self.offset,
            rows: self.rows,
            cols: self.cols,
            row_bytes: self.row_bytes,
        }
    }

    pub(super) fn download(&self) -> Result<Vec<i8>> {
        if self.rows == 0 {
            return Ok(Vec::new());
        }
        let all: Vec<i8> = self.memory.download(self.offset + (self.rows - 1) * self.row_bytes + self.cols)?;
        let row = |row| {
            let start = (self.offset + row * self.row_bytes) as usize;
            all[start..start + self.cols as usize].iter().copied()
        };
        Ok((0..self.rows).flat_map(row).collect())
    }

    pub(super) fn download_padded(&self) -> Result<Vec<i8>> {
        if self.is_room {
            // With what the kernel wrote there.
            return self.memory.download(self.rows * self.row_bytes);
        }
        Ok(padded(&self.download()?, self.cols))
    }
}

/// Rows of `cols` codes without gaps → each with zeros up to a whole k_block.
fn padded(codes: &[i8], cols: u64) -> Vec<i8> {
    let row_bytes = padded_row_bytes(cols) as usize;
    let mut padded = vec![0; codes.len() / (cols as usize).max(1) * row_bytes];
    for (to, from) in padded.chunks_exact_mut(row_bytes.max(1)).zip(codes.chunks_exact((cols as usize).max(1))) {
        to[..cols as usize].copy_from_slice(from);
    }
    padded
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
    /// Where scales that are made of the tokens go: a given scale takes the place of `scales`, not this one's.
    pub(crate) own_scales: Scales<S>,
}

impl<S: TokenScale> QuantizedTokens<S> {
    code_accessors!(codes);

    /// Room for up to `most` tokens of `k` codes, none there yet: for quantizers that write to what they are given
    /// (`ops::quantize_token_into` and the like), batch after batch.
    ///
    /// # Errors
    /// `rows` where there would be no memory to address as many; a CUDA error.
    pub fn with_room(gpu: &Gpu, most: u64, k: u64) -> Result<Self> {
        let codes = CodeMatrix::with_room(gpu, most, k)?;
        let scales = Scales::with_room(gpu, most)?;
        Ok(QuantizedTokens { codes, own_scales: scales.clone(), scales })
    }

    /// Makes ready for [rows, cols] codes whose scales are made of the tokens.
    pub(crate) fn reshape(&mut self, op: &'static str, shape: (u64, u64), magnitude: u64) -> Result<()> {
        self.codes.reshape((op, "tokens"), shape, magnitude)?;
        self.own_scales.values.resize(op, "tokens", S::count(shape.0))?;
        self.scales = self.own_scales.clone();
        Ok(())
    }

    /// Makes ready for [rows, cols] codes under a given scale.
    pub(crate) fn reshape_under(
        &mut self,
        op: &'static str,
        shape: (u64, u64),
        magnitude: u64,
        scale: &Scales<S>,
    ) -> Result<()> {
        self.codes.reshape((op, "tokens"), shape, magnitude)?;
        self.scales = scale.clone();
        Ok(())
    }

    /// Codes from elsewhere with their scales.
    ///
    /// # Errors
    /// `scales` where their number is not that of the rows.
    pub fn from_packed(codes: PackedCodes, scales: Scales<S>) -> Result<Self> {
        check_count(codes.rows(), &scales)?;
        Ok(QuantizedTokens { codes: codes.0.given(), own_scales: scales.clone(), scales })
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

/// int8 [rows, K] from elsewhere, any row stride and alignment.
pub struct Int8Matrix(pub(crate) DeviceMatrix<i8>);

impl Int8Matrix {
    /// Codes in device memory of the caller's, such as a tensor of PyTorch's: `bytes` from `ptr` on, in which `layout`
    /// says where the codes lie.
    ///
    /// # Errors
    /// `codes` where the layout is wrong or goes beyond `bytes`.
    ///
    /// # Safety
    /// As [`Activations::borrow`](crate::Activations::borrow).
    pub unsafe fn borrow(gpu: &Gpu, ptr: u64, bytes: u64, layout: Layout) -> Result<Self> {
        // SAFETY: the caller's.
        unsafe { DeviceMatrix::borrow(gpu, "codes", (ptr, bytes), layout) }.map(Int8Matrix)
    }

    /// Address of the first byte of its memory.
    pub fn device_ptr(&self) -> u64 {
        self.0.memory.ptr()
    }

    /// Copies codes, row-major without gaps, to the device and lays them out there.
    ///
    /// # Errors
    /// `codes` where their number or the layout is wrong; a CUDA error.
    pub fn upload(gpu: &Gpu, codes: &[i8], layout: Layout) -> Result<Self> {
        // To the end of the last row's last chunk, so that the rows can be read as they lie.
        let room = layout.span() + readable_row_bytes(layout.cols) - layout.cols;
        DeviceMatrix::upload_with_room(gpu, "codes", codes, layout, room).map(Int8Matrix)
    }
}

/// int8 [rows, K] as the product takes them, without scales yet.
pub struct PackedCodes(pub(crate) CodeMatrix);

impl PackedCodes {
    /// Codes from elsewhere as they lie, without a copy: where the first is on a 16-byte boundary, rows are a multiple of
    /// 16 bytes apart, and the memory reaches to a multiple of 16 in the last one too. What lies beyond K does not matter.
    ///
    /// # Errors
    /// What of that they lack: [`ops::pack_rows`](crate::ops::pack_rows()) copies them then.
    pub fn as_they_lie(codes: &Int8Matrix) -> std::result::Result<Self, String> {
        CodeMatrix::as_they_lie(codes).map(PackedCodes)
    }

    code_accessors!(0);
}
