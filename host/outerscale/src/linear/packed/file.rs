//! A packed layer on disk: safetensors, so that any program can look into it.
//!
//! | tensor | | |
//! |---|---|---|
//! | `q_w` | I8 `[ceil(N / 64), ceil(K / 128), 64, 128]` | codes of w as `contract::packed` has them, 0 beyond N and K |
//! | `s_w` | F32 `[N]` | their scales |
//! | `bias` | F32, F16 or BF16 `[N]` | optional |
//! | `s_x` | F32 `[1]` | the given scale of x, under a static scheme |
//! | `average` | F32 `[1]` | what a running scale begins with; optional |
//! | `smooth` | F32 `[K]` | smoothing factors |
//! | `w_f16` | F16 `[K, N up to a multiple of 4]` | what outlier columns are multiplied by |
//! | `absmax_w` | F32 `[N]` | what a preset stores in place of `s_w` |

use super::{PackedLayer, header::Header};
use crate::{
    Dtype, Error, Result,
    files::{OutputFile, Tensor, open, tensors_and_format},
    host::Values,
};
use contract::{limits::ROW_ALIGN_BYTES, packed};
use safetensors::{Dtype as FileDtype, SafeTensors};
use std::path::Path;

const TENSORS: [&str; 8] = ["q_w", "s_w", "bias", "s_x", "average", "smooth", "w_f16", "absmax_w"];

impl PackedLayer {
    /// Reads a file that [`PackedLayer::write`] wrote.
    ///
    /// # Errors
    /// [`Error::Input`]: what cannot be read, is of another format, version or layout, lacks a tensor, or has one of
    /// another type, shape or range.
    pub fn read(file: &Path) -> Result<Self> {
        let map = open(file)?;
        Self::parse(file, &map)
    }

    /// As [`PackedLayer::read`], from the bytes of a file; `file` is what errors call it.
    ///
    /// # Errors
    /// As [`PackedLayer::read`].
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let refuse = |rule: String| Error::input(file, None, rule);
        let (tensors, format) = tensors_and_format(file, bytes)?;
        let Header { rows, cols, scheme } = Header::parse(format.as_deref()).map_err(refuse)?;
        if let Some(name) = tensors.names().into_iter().find(|name| !TENSORS.contains(name)) {
            let rule = format!("is no tensor of a packed layer; they are {}", TENSORS.join(", "));
            return Err(Error::input(file, Some(name), rule));
        }
        let reader = Reader { file, tensors };
        let required = |name: &str| Error::input(file, Some(name), "is missing");
        let q_w = reader.bytes("q_w", &[FileDtype::I8], shape_of_codes(rows, cols).as_deref())?;
        let layer = PackedLayer {
            rows,
            cols,
            scheme,
            q_w: q_w.ok_or_else(|| required("q_w"))?.1.iter().map(|byte| *byte as i8).collect(),
            s_w: reader.f32s("s_w", rows)?.ok_or_else(|| required("s_w"))?,
            bias: reader.floats("bias", rows)?,
            s_x: reader.f32s("s_x", 1)?.map(|scale| scale[0]),
            average: reader.f32s("average", 1)?.map(|average| average[0]),
            smooth: reader.f32s("smooth", cols)?,
            half_w: reader.halves("w_f16", cols, rows.checked_next_multiple_of(4))?,
            absmax_w: reader.f32s("absmax_w", rows)?,
        };
        match layer.check() {
            Ok(()) => Ok(layer),
            Err(("scheme", rule)) => Err(refuse(rule)),
            Err((part, rule)) => Err(Error::input(file, Some(part), rule)),
        }
    }

    /// Writes the layer; complete or not at all.
    ///
    /// # Errors
    /// As [`OutputFile::finish`].
    pub fn write(&self, to: OutputFile) -> Result<()> {
        let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let mut tensors = Vec::new();
        let mut push = |name: &str, dtype, shape: &[u64], data| {
            let shape = shape.iter().map(|n| *n as usize).collect();
            tensors.push(Tensor { name: name.to_owned(), dtype, shape, data });
        };
        let (n, k) = (self.rows, self.cols);
        let q_w = self.q_w.iter().map(|code| *code as u8).collect();
        push("q_w", FileDtype::I8, &shape_of_codes(n, k).unwrap_or_default(), q_w);
        push("s_w", FileDtype::F32, &[n], f32s(&self.s_w));
        if let Some(bias) = &self.bias {
            push("bias", file_dtype(bias.dtype()), &[n], bias.to_le_bytes());
        }
        for (name, value) in [("s_x", self.s_x), ("average", self.average)] {
            if let Some(value) = value {
                push(name, FileDtype::F32, &[1], f32s(&[value]));
            }
        }
        if let Some(smooth) = &self.smooth {
            push("smooth", FileDtype::F32, &[k], f32s(smooth));
        }
        if let Some(half_w) = &self.half_w {
            let data = half_w.iter().flat_map(|v| v.to_le_bytes()).collect();
            push("w_f16", FileDtype::F16, &[k, n.next_multiple_of(4)], data);
        }
        if let Some(absmax) = &self.absmax_w {
            push("absmax_w", FileDtype::F32, &[n], f32s(absmax));
        }
        to.finish_as(&tensors, Some(&Header { rows: n, cols: k, scheme: self.scheme }.line()))
    }
}

/// The shape of `q_w`; none where it could not be counted.
fn shape_of_codes(rows: u64, cols: u64) -> Option<Vec<u64>> {
    let shape = [packed::panels(rows), packed::k_blocks(cols), packed::PANEL_ROWS, ROW_ALIGN_BYTES];
    shape.iter().try_fold(1u64, |count, n| count.checked_mul(*n)).map(|_| shape.to_vec())
}

/// As safetensors calls it.
fn file_dtype(dtype: Dtype) -> FileDtype {
    match dtype {
        Dtype::F32 => FileDtype::F32,
        Dtype::F16 => FileDtype::F16,
        Dtype::Bf16 => FileDtype::BF16,
        Dtype::I32 => FileDtype::I32,
        Dtype::I8 => FileDtype::I8,
    }
}

struct Reader<'a> {
    file: &'a Path,
    tensors: SafeTensors<'a>,
}

impl Reader<'_> {
    /// A tensor's type and bytes, of one of these types and of this shape, where there is one.
    fn bytes(&self, name: &str, dtypes: &[FileDtype], shape: Option<&[u64]>) -> Result<Option<(FileDtype, &[u8])>> {
        let Ok(view) = self.tensors.tensor(name) else { return Ok(None) };
        let refuse = |rule: String| Err(Error::input(self.file, Some(name), rule));
        let Some(shape) = shape else { return refuse("is of a size that cannot be counted".to_owned()) };
        if !dtypes.contains(&view.dtype()) || !view.shape().iter().map(|n| *n as u64).eq(shape.iter().copied()) {
            let names: Vec<String> = dtypes.iter().map(FileDtype::to_string).collect();
            let (is, of) = (view.dtype(), view.shape());
            return refuse(format!("must be {} {shape:?}, is {is} {of:?}", names.join(" or ")));
        }
        // The view borrows from the map, not from the table of tensors.
        Ok(Some((view.dtype(), view.data())))
    }

    fn floats(&self, name: &str, len: u64) -> Result<Option<Values>> {
        let found = self.bytes(name, &[FileDtype::F32, FileDtype::F16, FileDtype::BF16], Some(&[len]))?;
        Ok(found.and_then(|(dtype, bytes)| {
            let dtype = match dtype {
                FileDtype::F32 => Dtype::F32,
                FileDtype::F16 => Dtype::F16,
                _ => Dtype::Bf16,
            };
            Values::from_le_bytes(dtype, bytes)
        }))
    }

    fn f32s(&self, name: &str, len: u64) -> Result<Option<Vec<f32>>> {
        let found = self.bytes(name, &[FileDtype::F32], Some(&[len]))?;
        Ok(found.map(|(_, bytes)| bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
    }

    fn halves(&self, name: &str, rows: u64, cols: Option<u64>) -> Result<Option<Vec<half::f16>>> {
        let shape = cols.map(|cols| [rows, cols]);
        let found = self.bytes(name, &[FileDtype::F16], shape.as_ref().map(|shape| &shape[..]))?;
        Ok(found.map(|(_, bytes)| bytes.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b)).collect()))
    }
}
