//! Reading a layer: x, w and what belongs to them, every rule checked and named.

use super::{header_rule, open, sentences};
use crate::{
    Dtype, Error, Result,
    host::{HostMatrix, Values},
};
use contract::limits::MAX_K;
use safetensors::{SafeTensors, tensor::TensorView};
use std::{ops::Range, path::Path};

/// A linear layer and the tokens that go through it: y = x · wᵀ + bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Activations [tokens, K].
    pub x: HostMatrix,
    /// Weights [N, K].
    pub w: HostMatrix,
    /// Bias `[N]`, widened to f32.
    pub bias: Option<Vec<f32>>,
    /// The largest |x| of each input channel over a calibration set, `[K]`, widened to f32.
    pub calib_absmax: Option<Vec<f32>>,
    /// Which sentence each token belongs to, `[tokens]`; a sentence's tokens are in one piece.
    pub sentence_id: Option<Vec<i32>>,
}

impl Layer {
    /// Reads a safetensors file with `x` [.., K] (leading dimensions are tokens), `w` [N, K], optionally `bias` `[N]` and
    /// `calib_absmax` `[K]`, each f32, f16 or bf16, and `sentence_id` i32 `[tokens]`. NaN and Inf in x, w and bias are data.
    ///
    /// # Errors
    /// [`Error::Input`], which names the file, the tensor and the rule.
    pub fn read(file: &Path) -> Result<Layer> {
        let map = open(file)?;
        Layer::parse(file, &map)
    }

    /// As [`Layer::read`], from the bytes of a file; `file` is what errors call it.
    ///
    /// # Errors
    /// As [`Layer::read`].
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Layer> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| Error::input(file, None, header_rule(&e)))?;
        let reader = Reader { file, tensors };
        let x = reader.required("x")?;
        let Some((&k, leading)) = x.shape().split_last() else {
            return Err(reader.error("x", "must be [.., K], is a scalar"));
        };
        let rows = leading.iter().try_fold(1usize, |rows, n| rows.checked_mul(*n));
        let rows = rows.ok_or_else(|| reader.error("x", "has more tokens than can be counted"))?;
        let w = reader.required("w")?;
        let &[n, w_k] = w.shape() else {
            return Err(reader.error("w", format!("must be [N, K], is {:?}", w.shape())));
        };
        if w_k != k {
            return Err(reader.error("w", format!("must be [N, {k}] as x has K = {k}, is {:?}", w.shape())));
        }
        if k == 0 || n == 0 {
            return Err(reader.error("w", format!("N and K must be at least 1, is {:?}", w.shape())));
        }
        if k as u64 > MAX_K {
            return Err(reader.error("x", format!("K must be at most {MAX_K}, where int32 cannot overflow, is {k}")));
        }
        let matrix = |name, view: &TensorView<'_>, rows: usize| {
            Ok(HostMatrix { rows: rows as u64, cols: k as u64, values: reader.values(name, view)? })
        };
        let calib_absmax = reader.vector("calib_absmax", k, "K")?;
        if let Some(index) = calib_absmax.as_ref().and_then(|v| v.iter().position(|v| v.is_nan() || *v < 0.0)) {
            return Err(reader.error("calib_absmax", format!("[{index}] must be a magnitude, is NaN or negative")));
        }
        Ok(Layer {
            x: matrix("x", &x, rows)?,
            w: matrix("w", &w, n)?,
            bias: reader.vector("bias", n, "N")?,
            calib_absmax,
            sentence_id: sentences(file, &reader.tensors, rows)?,
        })
    }

    /// The layer's bias, by which the product starts: +0 where there is none.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// The layer with some of its tokens.
    ///
    /// # Panics
    /// If it has not as many.
    pub fn tokens(&self, tokens: Range<usize>) -> Layer {
        let cols = self.x.cols as usize;
        let values = self.x.values.slice(tokens.start * cols..tokens.end * cols);
        let sentence_id = self.sentence_id.as_ref().map(|ids| ids[tokens.clone()].to_vec());
        let x = HostMatrix { rows: tokens.len() as u64, cols: self.x.cols, values };
        Layer { x, sentence_id, ..self.clone() }
    }
}

struct Reader<'a> {
    file: &'a Path,
    tensors: SafeTensors<'a>,
}

impl<'a> Reader<'a> {
    fn error(&self, tensor: &str, rule: impl Into<String>) -> Error {
        Error::input(self.file, Some(tensor), rule)
    }

    fn optional(&self, name: &str) -> Option<TensorView<'a>> {
        self.tensors.tensor(name).ok()
    }

    fn required(&self, name: &str) -> Result<TensorView<'a>> {
        self.optional(name).ok_or_else(|| {
            let mut names = self.tensors.names();
            names.sort_unstable();
            let found = if names.is_empty() { "no tensor".to_owned() } else { names.join(", ") };
            self.error(name, format!("is missing; the file has {found}"))
        })
    }

    fn values(&self, name: &str, view: &TensorView<'_>) -> Result<Values> {
        let dtype = match view.dtype() {
            safetensors::Dtype::F32 => Some(Dtype::F32),
            safetensors::Dtype::F16 => Some(Dtype::F16),
            safetensors::Dtype::BF16 => Some(Dtype::Bf16),
            _ => None,
        };
        dtype
            .and_then(|dtype| Values::from_le_bytes(dtype, view.data()))
            .ok_or_else(|| self.error(name, format!("must be F32, F16 or BF16, is {}", view.dtype())))
    }

    /// A vector of the given length, where the file has it.
    fn vector(&self, name: &str, len: usize, letter: &str) -> Result<Option<Vec<f32>>> {
        let Some(view) = self.optional(name) else { return Ok(None) };
        if view.shape() != [len] {
            return Err(self.error(name, format!("must be [{letter}] = [{len}], is {:?}", view.shape())));
        }
        self.values(name, &view).map(|values| Some(values.widen()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::Dtype as D;

    type Entry<'a> = (&'a str, D, Vec<usize>);

    fn file(entries: &[Entry<'_>]) -> Vec<u8> {
        let data: Vec<Vec<u8>> = entries
            .iter()
            .map(|(_, dtype, shape)| vec![0u8; shape.iter().product::<usize>() * dtype.bitsize() / 8])
            .collect();
        let views = entries
            .iter()
            .zip(&data)
            .map(|((name, dtype, shape), data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
        safetensors::serialize(views, None).unwrap()
    }

    fn rule(entries: &[Entry<'_>]) -> String {
        Layer::parse(Path::new("f"), &file(entries)).unwrap_err().to_string()
    }

    fn x(shape: &[usize]) -> Entry<'static> {
        ("x", D::F16, shape.to_vec())
    }

    fn w(shape: &[usize]) -> Entry<'static> {
        ("w", D::F32, shape.to_vec())
    }

    #[test]
    fn leading_dimensions_are_tokens() {
        let bytes = file(&[x(&[2, 3, 5]), w(&[4, 5]), ("bias", D::BF16, vec![4]), ("calib_absmax", D::F16, vec![5])]);
        let layer = Layer::parse(Path::new("f"), &bytes).unwrap();
        assert_eq!((layer.x.rows, layer.x.cols, layer.x.values.dtype()), (6, 5, Dtype::F16));
        assert_eq!((layer.w.rows, layer.w.cols, layer.w.values.dtype()), (4, 5, Dtype::F32));
        assert_eq!((layer.bias.unwrap().len(), layer.calib_absmax.unwrap().len()), (4, 5));
        let none = Layer::parse(Path::new("f"), &file(&[x(&[0, 5]), w(&[4, 5])])).unwrap();
        assert_eq!((none.x.rows, none.bias, none.calib_absmax), (0, None, None));
        let one = Layer::parse(Path::new("f"), &file(&[x(&[5]), w(&[4, 5])])).unwrap();
        assert_eq!(one.x.rows, 1);
    }

    #[test]
    fn every_rule_is_named() {
        assert_eq!(rule(&[w(&[4, 5])]), "f: tensor x: is missing; the file has w");
        assert_eq!(rule(&[x(&[3, 5])]), "f: tensor w: is missing; the file has x");
        assert_eq!(rule(&[x(&[]), w(&[4, 5])]), "f: tensor x: must be [.., K], is a scalar");
        assert_eq!(rule(&[x(&[3, 5]), w(&[5])]), "f: tensor w: must be [N, K], is [5]");
        assert_eq!(rule(&[x(&[3, 5]), w(&[4, 6])]), "f: tensor w: must be [N, 5] as x has K = 5, is [4, 6]");
        assert_eq!(rule(&[x(&[3, 5]), w(&[0, 5])]), "f: tensor w: N and K must be at least 1, is [0, 5]");
        assert_eq!(rule(&[x(&[3, 0]), w(&[4, 0])]), "f: tensor w: N and K must be at least 1, is [4, 0]");
        let entries = [x(&[3, 5]), ("w", D::I8, vec![4, 5])];
        assert_eq!(rule(&entries), "f: tensor w: must be F32, F16 or BF16, is I8");
        let entries = [x(&[3, 5]), w(&[4, 5]), ("bias", D::F32, vec![5])];
        assert_eq!(rule(&entries), "f: tensor bias: must be [N] = [4], is [5]");
        let entries = [x(&[3, 5]), w(&[4, 5]), ("calib_absmax", D::F32, vec![1, 5])];
        assert_eq!(rule(&entries), "f: tensor calib_absmax: must be [K] = [5], is [1, 5]");
        let wide = MAX_K as usize + 1;
        let entries = [x(&[0, wide]), w(&[1, wide])];
        assert_eq!(rule(&entries), "f: tensor x: K must be at most 133144, where int32 cannot overflow, is 133145");
    }

    #[test]
    fn sentences_are_runs_of_tokens() {
        let of = |ids: &[i32]| {
            let x = [0u8; 4 * 3];
            let ids: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).unwrap();
            let views = [
                ("x", view(D::F32, &[3, 1], &x)),
                ("w", view(D::F32, &[1, 1], &x[..4])),
                ("sentence_id", view(D::I32, &[ids.len() / 4], &ids)),
            ];
            Layer::parse(Path::new("f"), &safetensors::serialize(views, None).unwrap()).map_err(|e| e.to_string())
        };
        let layer = of(&[7, 7, 2]).unwrap();
        assert_eq!((layer.tokens(1..3).x.rows, layer.tokens(1..3).sentence_id), (2, Some(vec![7, 2])));
        assert_eq!(layer.sentence_id.unwrap(), [7, 7, 2]);
        assert_eq!(of(&[7, 2, 7]).unwrap_err(), "f: tensor sentence_id: sentence 7 is in more than one piece");
        let error = of(&[7, 2]).unwrap_err();
        assert_eq!(error, "f: tensor sentence_id: must be I32, one for each of 3 tokens, is I32 [2]");
    }

    #[test]
    fn broken_files_are_refused_in_one_line() {
        let good = file(&[x(&[3, 5]), w(&[4, 5])]);
        let mut long_header = good.clone();
        long_header[0..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let mut wrong_json = good.clone();
        wrong_json[8] = b'[';
        for bytes in [&good[..good.len() - 1], &good[..20], &[], b"GGUF....", &long_header, &wrong_json] {
            let error = Layer::parse(Path::new("f"), bytes).unwrap_err().to_string();
            assert!(error.starts_with("f: ") && !error.contains('\n'), "{error}");
        }
        let truncated = Layer::parse(Path::new("f"), &good[..good.len() - 1]).unwrap_err().to_string();
        assert!(truncated.contains("truncated"), "{truncated}");
    }
}
