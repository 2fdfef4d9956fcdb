//! The inputs of linears as files have them: captures of several, and layer files.

use crate::{
    Dtype, Error, Result,
    files::{Layer, header_rule, open, sentences},
    host::{HostMatrix, Values},
};
use safetensors::SafeTensors;
use std::path::Path;

/// The one tensor of a capture that is no linear's input.
const SENTENCES: &str = "sentence_id";

/// The input of one linear over many sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    /// The linear's name.
    pub linear: String,
    /// x [tokens, K].
    pub x: HostMatrix,
}

/// What a file holds of linears' inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Each linear's input, over the same tokens.
    pub linears: Vec<Captured>,
    /// Which sentence each token belongs to, `[tokens]`; a sentence's tokens are in one piece.
    pub sentence_id: Option<Vec<i32>>,
}

impl Capture {
    /// Reads a layer file, whose linear is called as the file without its ending, or a capture: a tensor
    /// `<linear>` [tokens, K] (f32, f16 or bf16) for each linear, and `sentence_id` i32 `[tokens]` for all of them.
    ///
    /// # Errors
    /// [`Error::Input`], which names the file, the tensor and the rule.
    pub fn read(file: &Path) -> Result<Self> {
        let map = open(file)?;
        Self::parse(file, &map)
    }

    /// As [`Capture::read`], of a capture and one of its linears alone.
    ///
    /// # Errors
    /// As [`Capture::read`]; also where the capture does not have the linear.
    pub fn read_linear(file: &Path, linear: &str) -> Result<Self> {
        let map = open(file)?;
        let tensors = SafeTensors::deserialize(&map).map_err(|e| Error::input(file, None, header_rule(&e)))?;
        if linear == SENTENCES || tensors.tensor(linear).is_err() {
            let mut names = tensors.names();
            names.retain(|name| *name != SENTENCES);
            names.sort_unstable();
            let rule = format!("is missing; the capture's linears are {}", names.join(", "));
            return Err(Error::input(file, Some(linear), rule));
        }
        Self::of(file, &tensors, &[linear])
    }

    /// As [`Capture::read`], from the bytes of a file; `file` is what errors call it.
    ///
    /// # Errors
    /// As [`Capture::read`].
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| Error::input(file, None, header_rule(&e)))?;
        let mut names = tensors.names();
        names.sort_unstable();
        if names.contains(&"x") && names.contains(&"w") {
            let layer = Layer::parse(file, bytes)?;
            let linear = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            return Ok(Capture { linears: vec![Captured { linear, x: layer.x }], sentence_id: layer.sentence_id });
        }
        names.retain(|name| *name != SENTENCES);
        Self::of(file, &tensors, &names)
    }

    /// The linears called `names`.
    fn of(file: &Path, tensors: &SafeTensors<'_>, names: &[&str]) -> Result<Self> {
        let mut linears = Vec::new();
        let mut tokens = None;
        for name in names {
            let refuse = |rule: String| Error::input(file, Some(name), rule);
            let view = tensors.tensor(name).map_err(|e| refuse(e.to_string()))?;
            let &[rows, cols @ 1..=usize::MAX] = view.shape() else {
                return Err(refuse(format!("must be [tokens, K], K at least 1, is {:?}", view.shape())));
            };
            if *tokens.get_or_insert(rows) != rows {
                let rule =
                    format!("must have as many tokens as the other linears, {}, has {rows}", tokens.unwrap_or(0));
                return Err(refuse(rule));
            }
            let dtype = match view.dtype() {
                safetensors::Dtype::F32 => Some(Dtype::F32),
                safetensors::Dtype::F16 => Some(Dtype::F16),
                safetensors::Dtype::BF16 => Some(Dtype::Bf16),
                _ => None,
            };
            let values = dtype.and_then(|dtype| Values::from_le_bytes(dtype, view.data()));
            let values = values.ok_or_else(|| refuse(format!("must be F32, F16 or BF16, is {}", view.dtype())))?;
            let x = HostMatrix { rows: rows as u64, cols: cols as u64, values };
            linears.push(Captured { linear: (*name).to_owned(), x });
        }
        let Some(rows) = tokens else {
            return Err(Error::input(file, None, "holds no linear's input: a tensor [tokens, K] named as the linear"));
        };
        let sentence_id = sentences(file, tensors, rows)?;
        Ok(Capture { linears, sentence_id })
    }

    /// The ranges of tokens that are one sample each: the sentences, or all tokens where the file does not tell them
    /// apart.
    pub fn samples(&self) -> Vec<std::ops::Range<usize>> {
        let tokens = self.linears.first().map_or(0, |first| first.x.rows as usize);
        samples(self.sentence_id.as_deref(), tokens)
    }
}

/// The ranges of tokens of equal ids, or one of all tokens; none where there are no tokens.
pub fn samples(sentence_id: Option<&[i32]>, tokens: usize) -> Vec<std::ops::Range<usize>> {
    let Some(ids) = sentence_id else { return std::iter::once(0..tokens).filter(|all| !all.is_empty()).collect() };
    let mut start = 0;
    let range = |run: &[i32]| {
        let range = start..start + run.len();
        start = range.end;
        range
    };
    ids.chunk_by(|a, b| a == b).map(range).collect()
}
