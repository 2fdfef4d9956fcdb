//! What LLM.int8() knows of the columns of a batch, all of it on the device.

use crate::{
    Activations, DeviceVector, Dtype, Element, Error, Float, Gpu, Layout, PerToken, QuantizedTokens, Result,
    memory::DeviceMemory,
};
use contract::grid;
use half::f16;
use std::sync::Arc;

/// Which columns have an outlier, by chunks of rows: one launch away from the list.
pub struct OutlierMasks {
    pub(crate) masks: DeviceVector<i32>,
    /// Chunks of rows.
    pub(crate) chunks: u64,
    /// Columns of x: K.
    pub(crate) cols: u64,
}

impl OutlierMasks {
    /// Room for the masks of up to `most` tokens of K = `k`, for `ops::outlier_columns_into`.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn with_room(gpu: &Gpu, most: u64, k: u64) -> Result<Self> {
        // A chunk has at least as many rows as one of few tokens, and there are never more than the most.
        let chunks = most.div_ceil(grid::outlier_chunk_rows(0)).min(grid::MAX_OUTLIER_CHUNKS);
        Ok(OutlierMasks { masks: DeviceVector::with_room(gpu, chunks * k.div_ceil(32))?, chunks: 0, cols: k })
    }

    /// For each column whether some chunk says so; copied to the host.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<bool>> {
        let words = self.cols.div_ceil(32).max(1) as usize;
        let masks = self.masks.download()?;
        let bit = |col: usize| masks.chunks(words).any(|mask| mask[col / 32] >> (col % 32) & 1 != 0);
        Ok((0..self.cols as usize).map(bit).collect())
    }
}

/// The outlier columns of a batch: a mask for the quantizer, a list for the product. How many there are only the
/// device knows, and there is room for all.
pub struct OutlierColumns {
    /// Bit i of word j is column 32 j + i.
    pub(crate) mask: DeviceVector<i32>,
    /// The columns in ascending order, then what happened to be there.
    pub(crate) columns: DeviceVector<i32>,
    /// How many there are.
    pub(crate) count: Arc<DeviceMemory>,
    /// Columns of x: K.
    pub(crate) cols: u64,
}

impl OutlierColumns {
    /// Room for any columns of K = `k`, for `ops::outlier_list_into`; which there are is unknown.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn with_room(gpu: &Gpu, k: u64) -> Result<Self> {
        Ok(OutlierColumns {
            mask: DeviceVector::uninitialized(gpu, k.div_ceil(32))?,
            columns: DeviceVector::uninitialized(gpu, k)?,
            count: Arc::new(DeviceMemory::uninitialized(gpu, 4)?),
            cols: k,
        })
    }

    /// Given columns of K = `cols`.
    ///
    /// # Errors
    /// `columns` where they do not ascend or one is not below K; a CUDA error.
    pub fn upload(gpu: &Gpu, columns: &[u32], cols: u64) -> Result<Self> {
        let refuse = |rule| Err(Error::argument("upload", "columns", rule));
        if let Some(pair) = columns.windows(2).find(|pair| pair[0] >= pair[1]) {
            return refuse(format!("must ascend, got {} before {}", pair[0], pair[1]));
        }
        if let Some(last) = columns.last().filter(|last| u64::from(**last) >= cols) {
            return refuse(format!("must be below K = {cols}, got {last}"));
        }
        let mut mask = vec![0; cols.div_ceil(32) as usize];
        let mut list = vec![0; cols as usize];
        for (place, col) in list.iter_mut().zip(columns) {
            *place = *col as i32;
            mask[*col as usize / 32] |= 1 << (col % 32);
        }
        let count = (columns.len() as u32).to_le_bytes().map(|byte| byte as i8);
        Ok(OutlierColumns {
            mask: DeviceVector::upload(gpu, &mask)?,
            columns: DeviceVector::upload(gpu, &list)?,
            count: Arc::new(DeviceMemory::from_bytes(gpu, crate::element::as_bytes(&count))?),
            cols,
        })
    }

    /// Columns of x: K.
    pub fn cols(&self) -> u64 {
        self.cols
    }

    /// Copies the list to the host: the outlier columns, ascending.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<u32>> {
        let count = self.count.download::<i32>(1)?[0].bits() as usize;
        Ok(self.columns.download()?[..count].iter().map(|col| col.bits()).collect())
    }

    /// Copies the mask to the host: for each column whether it is an outlier.
    ///
    /// # Errors
    /// As [`OutlierColumns::download`].
    pub fn download_mask(&self) -> Result<Vec<bool>> {
        let mask = self.mask.download()?;
        Ok((0..self.cols as usize).map(|col| mask[col / 32] >> (col % 32) & 1 != 0).collect())
    }
}

/// Tokens whose outlier columns are not in their codes: the product takes those from x itself.
pub struct OutlierTokens {
    pub(crate) codes: QuantizedTokens<PerToken>,
    pub(crate) columns: OutlierColumns,
    pub(crate) x: Inputs,
}

/// Activations whose element type is known only when the program runs.
pub(crate) struct Inputs {
    pub(crate) memory: Arc<DeviceMemory>,
    pub(crate) matrix: contract::args::Matrix,
    pub(crate) dtype: Dtype,
}

impl Inputs {
    pub(crate) fn of<T: Float>(x: &Activations<T>) -> Self {
        Inputs { memory: x.0.memory.clone(), matrix: x.0.as_arg(), dtype: T::DTYPE }
    }
}

impl OutlierTokens {
    /// Codes [tokens, K], 0 in the outlier columns, with those columns of the x that they were made of.
    ///
    /// # Errors
    /// `x` or `columns` where the shape is not that of the codes.
    pub fn new<T: Float>(
        codes: QuantizedTokens<PerToken>,
        columns: OutlierColumns,
        x: &Activations<T>,
    ) -> Result<Self> {
        let (rows, cols) = (codes.rows(), codes.cols());
        let refuse = |argument, rule| Err(Error::argument("outlier_tokens", argument, rule));
        if (x.rows(), x.cols()) != (rows, cols) {
            return refuse("x", format!("must be [{rows}, {cols}], got [{}, {}]", x.rows(), x.cols()));
        }
        if columns.cols != cols {
            return refuse("columns", format!("K must be that of the codes, {cols}, got {}", columns.cols));
        }
        Ok(OutlierTokens { codes, columns, x: Inputs::of(x) })
    }

    /// Room for up to `most` tokens of K = `k`, none there yet.
    ///
    /// # Errors
    /// As [`QuantizedTokens::with_room`].
    pub fn with_room(gpu: &Gpu, most: u64, k: u64) -> Result<Self> {
        let none = Activations::<f32>::upload(gpu, &[], Layout::contiguous(0, k))?;
        let codes = QuantizedTokens::with_room(gpu, most, k)?;
        Ok(OutlierTokens { codes, columns: OutlierColumns::with_room(gpu, k)?, x: Inputs::of(&none) })
    }

    /// The codes and their scales.
    pub fn codes(&self) -> &QuantizedTokens<PerToken> {
        &self.codes
    }

    /// The outlier columns.
    pub fn columns(&self) -> &OutlierColumns {
        &self.columns
    }
}

/// Weights in f16, column by column: what the outlier columns multiply where the codes are not enough.
pub struct HalfWeights {
    /// f16 `[K, stride]`.
    pub(crate) values: DeviceVector<f16>,
    /// N: rows of w.
    pub(crate) rows: u64,
    /// K: columns of w.
    pub(crate) cols: u64,
}

impl HalfWeights {
    /// w, row-major [N, K], rounded to f16 and turned round on the host.
    ///
    /// # Errors
    /// A CUDA error.
    ///
    /// # Panics
    /// Unless there are N · K weights.
    pub fn upload<T: Float>(gpu: &Gpu, w: &[T], rows: u64, cols: u64) -> Result<Self> {
        assert_eq!(w.len() as u64, rows * cols, "w must have {rows} × {cols} elements");
        let stride = Self::stride_of(rows) as usize;
        let mut values = vec![f16::ZERO; cols as usize * stride];
        for (row, weights) in w.chunks_exact(cols.max(1) as usize).enumerate() {
            for (col, weight) in weights.iter().enumerate() {
                values[col * stride + row] = <f16 as Float>::narrow(weight.widen());
            }
        }
        Ok(HalfWeights { values: DeviceVector::upload(gpu, &values)?, rows, cols })
    }

    /// f16 `[K, N up to a multiple of 4]`, as they lie in memory.
    pub(crate) fn from_columns(gpu: &Gpu, values: &[f16], rows: u64, cols: u64) -> Result<Self> {
        assert_eq!(values.len() as u64, cols * Self::stride_of(rows), "columns of whole quads");
        Ok(HalfWeights { values: DeviceVector::upload(gpu, values)?, rows, cols })
    }

    /// Elements from one column of w to the next: four outputs' weights are one load.
    pub(crate) fn stride(&self) -> u64 {
        Self::stride_of(self.rows)
    }

    fn stride_of(rows: u64) -> u64 {
        rows.next_multiple_of(4)
    }
}
