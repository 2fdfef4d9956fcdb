//! What LLM.int8() knows of the columns of a batch, all of it on the device.

use crate::{DeviceVector, Element, Error, Gpu, Result, memory::DeviceMemory};
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
        let count = self.count.download::<i32>()?[0].bits() as usize;
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
