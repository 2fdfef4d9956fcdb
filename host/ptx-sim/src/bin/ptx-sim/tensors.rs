//! Tensors of safetensors files: reading one, writing all.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ptx_sim::TensorElement;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// Element type and shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Form {
    pub(crate) dtype: Dtype,
    /// Outermost first.
    pub(crate) shape: Vec<usize>,
}

/// Types whose elements are whole bytes, which the specs can name.
const DTYPES: [Dtype; 15] = [
    Dtype::BOOL,
    Dtype::U8,
    Dtype::I8,
    Dtype::F8_E5M2,
    Dtype::F8_E4M3,
    Dtype::I16,
    Dtype::U16,
    Dtype::F16,
    Dtype::BF16,
    Dtype::I32,
    Dtype::U32,
    Dtype::F32,
    Dtype::F64,
    Dtype::I64,
    Dtype::U64,
];

impl Form {
    /// `F32[4,8]`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let example = "give a type and a shape, as F32[64,1024]";
        let (name, rest) = text.split_once('[').ok_or_else(|| format!("'{text}' has no shape; {example}"))?;
        let sides = rest.strip_suffix(']').ok_or_else(|| format!("'{text}' does not end with ]; {example}"))?;
        let dtype = DTYPES.into_iter().find(|dtype| dtype.to_string().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names: Vec<String> = DTYPES.iter().map(Dtype::to_string).collect();
            format!("'{name}' is none of the types {}", names.join(", "))
        })?;
        let mut shape = Vec::new();
        for side in sides.split(',') {
            shape.push(side.trim().parse().map_err(|_| format!("'{side}' in '{text}' is no length; {example}"))?);
        }
        let form = Self { dtype, shape };
        match form.checked_bytes() {
            Some(0) => Err(format!("'{text}' has no elements; a buffer has at least one")),
            Some(_) => Ok(form),
            None => Err(format!("'{text}' is larger than any memory")),
        }
    }

    fn checked_bytes(&self) -> Option<u64> {
        let size = self.dtype.bitsize() as u64 / 8;
        self.shape.iter().try_fold(size, |bytes, side| bytes.checked_mul(*side as u64))
    }

    /// Bytes of the tensor.
    pub(crate) fn bytes(&self) -> u64 {
        self.checked_bytes().unwrap_or(u64::MAX)
    }

    /// Bytes of an element.
    pub(crate) fn element_bytes(&self) -> u64 {
        (self.dtype.bitsize() as u64 / 8).max(1)
    }

    /// What a tensor map calls the element type; 8-bit floats are bytes to it.
    pub(crate) fn element(&self) -> Option<TensorElement> {
        Some(match self.dtype {
            Dtype::U8 | Dtype::I8 | Dtype::BOOL | Dtype::F8_E4M3 | Dtype::F8_E5M2 => TensorElement::U8,
            Dtype::U16 | Dtype::I16 => TensorElement::U16,
            Dtype::F16 => TensorElement::F16,
            Dtype::BF16 => TensorElement::BF16,
            Dtype::U32 => TensorElement::U32,
            Dtype::I32 => TensorElement::S32,
            Dtype::F32 => TensorElement::F32,
            Dtype::U64 => TensorElement::U64,
            Dtype::I64 => TensorElement::S64,
            Dtype::F64 => TensorElement::F64,
            _ => return None,
        })
    }
}

/// A tensor of a file, as it is there.
pub(crate) fn read(file: &Path, tensor: &str) -> Result<(Form, Vec<u8>), String> {
    let place = file.display();
    let bytes = std::fs::read(file).map_err(|error| format!("{place}: cannot be read: {error}"))?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| format!("{place}: is no safetensors file: {error}"))?;
    let view = tensors.tensor(tensor).map_err(|_| {
        let mut names = tensors.names();
        names.sort_unstable();
        let found = if names.is_empty() { "no tensor".to_owned() } else { names.join(", ") };
        format!("{place}: has no tensor '{tensor}'; it has {found}")
    })?;
    if view.data().is_empty() {
        return Err(format!("{place}: tensor '{tensor}' has no elements; a buffer has at least one"));
    }
    Ok((Form { dtype: view.dtype(), shape: view.shape().to_vec() }, view.data().to_vec()))
}

/// A file that takes its name only when it is complete; what had that name before stays until then.
pub(crate) struct Output {
    path: PathBuf,
}

impl Output {
    /// Makes sure, before anything runs, that the file can be written.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        let refuse = |what: String| format!("--save {}: {what}", path.display());
        if path.file_name().is_none() {
            return Err(refuse("is no name of a file".to_owned()));
        }
        // A link stays a link: what it points to is replaced.
        let target = path.canonicalize().unwrap_or_else(|_| path.into());
        if target.exists() && !target.is_file() {
            return Err(refuse("exists and is no regular file; give another name".to_owned()));
        }
        // Dropped at once: a signal while the kernel runs would leave it behind.
        temporary(&target).map_err(|error| match error.kind() {
            ErrorKind::NotFound => refuse("its folder does not exist; make it first".to_owned()),
            kind => refuse(format!("cannot be written: {kind}")),
        })?;
        Ok(Self { path: target })
    }

    /// Writes the tensors.
    pub(crate) fn finish(self, tensors: &[(String, Form, Vec<u8>)]) -> Result<(), String> {
        let refuse = |what: String| format!("--save {}: cannot be written: {what}", self.path.display());
        let views = tensors
            .iter()
            .map(|(name, form, data)| TensorView::new(form.dtype, form.shape.clone(), data).map(|view| (name, view)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refuse(error.to_string()))?;
        let bytes = safetensors::serialize(views, None).map_err(|error| refuse(error.to_string()))?;
        let mut file = temporary(&self.path).map_err(|error| refuse(error.kind().to_string()))?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(|error| refuse(error.to_string()))?;
        file.persist(&self.path).map_err(|error| refuse(error.error.to_string()))?;
        Ok(())
    }
}

/// An empty file beside `target`, so that renaming is one step.
fn temporary(target: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ptx-sim-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the user's umask leaves of it, as for any new file.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}
