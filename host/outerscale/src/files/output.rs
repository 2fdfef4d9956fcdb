//! Writing results: all or nothing.

use crate::{Error, Result};
use safetensors::tensor::{Dtype, TensorView};
use std::{
    collections::HashMap,
    fs::Permissions,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its element type, as safetensors calls it.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, little-endian.
    pub data: Vec<u8>,
}

/// A safetensors file in the making: it takes its name only when it is complete, and what had that name
/// before stays until then.
pub struct OutputFile {
    path: PathBuf,
}

impl OutputFile {
    /// Makes sure, before any work, that `path` can be written.
    ///
    /// # Errors
    /// [`Error::Output`] where it is the `input`, something other than a file, read-only, or its directory cannot be
    /// written.
    pub fn create(path: &Path, input: Option<&Path>) -> Result<OutputFile> {
        let refuse = |rule: String| Error::Output { file: path.into(), rule };
        if path.file_name().is_none() {
            return Err(refuse("is no name of a file".to_owned()));
        }
        // A link stays a link: what it points to is replaced.
        let target = path.canonicalize().unwrap_or_else(|_| path.into());
        if let Ok(metadata) = std::fs::metadata(&target) {
            if !metadata.is_file() {
                return Err(refuse("exists and is no regular file; give another --out".to_owned()));
            }
            if metadata.permissions().readonly() {
                return Err(refuse("exists and is read-only; give another --out".to_owned()));
            }
            if input.and_then(|input| input.canonicalize().ok()).as_ref() == Some(&target) {
                return Err(refuse("is the input; give another --out".to_owned()));
            }
        }
        // Made only to see that it can be: a signal while the layer is computed would leave it behind.
        temporary(&target).map_err(|e| refuse(format!("cannot be written: {}", io_reason(&e))))?;
        Ok(OutputFile { path: target })
    }

    /// Writes the tensors and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Output`]; nothing is left behind then.
    pub fn finish(self, tensors: &[Tensor]) -> Result<()> {
        self.finish_as(tensors, None)
    }

    /// As [`OutputFile::finish`], with the name of the file's format in the header's metadata.
    ///
    /// # Errors
    /// As [`OutputFile::finish`].
    pub fn finish_as(self, tensors: &[Tensor], format: Option<&str>) -> Result<()> {
        let refuse =
            |reason: String| Error::Output { file: self.path.clone(), rule: format!("cannot be written: {reason}") };
        let views = tensors
            .iter()
            .map(|t| TensorView::new(t.dtype, t.shape.clone(), &t.data).map(|view| (&t.name, view)))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| refuse(e.to_string()))?;
        // One entry: several would be written in any order.
        let metadata = format.map(|format| HashMap::from([("format".to_owned(), format.to_owned())]));
        let bytes = safetensors::serialize(views, metadata).map_err(|e| refuse(e.to_string()))?;
        let mut temporary = temporary(&self.path).map_err(|e| refuse(io_reason(&e)))?;
        temporary.write_all(&bytes).map_err(|e| refuse(io_reason(&e)))?;
        temporary.as_file().sync_all().map_err(|e| refuse(io_reason(&e)))?;
        temporary.persist(&self.path).map_err(|e| refuse(io_reason(&e.error)))?;
        Ok(())
    }
}

/// An empty file beside `target`, so that renaming is one step.
pub(super) fn temporary(target: &Path) -> std::io::Result<NamedTempFile> {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(".outerscale-")
        // What the user's umask leaves of it, as for any new file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
}

/// The reason without the temporary name, which means nothing to a user.
pub(super) fn io_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" at path ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor() -> Tensor {
        Tensor { name: "s_x".to_owned(), dtype: Dtype::F32, shape: vec![1], data: vec![0, 0, 128, 63] }
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.safetensors");
        std::fs::write(&path, "old").unwrap();
        let waiting = OutputFile::create(&path, None).unwrap();
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "a signal would leave a temporary file behind");
        drop(waiting);
        let lying = Tensor { shape: vec![2], ..tensor() };
        assert!(OutputFile::create(&path, None).unwrap().finish(&[lying]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "a temporary file was left behind");
        OutputFile::create(&path, None).unwrap().finish(&[tensor()]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.tensor("s_x").unwrap().data(), tensor().data);
    }

    #[test]
    fn paths_that_cannot_be_written_are_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("in.safetensors");
        std::fs::write(&file, "in").unwrap();
        let refused =
            |path: &Path| OutputFile::create(path, Some(&file)).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(refused(directory.path()).contains("no regular file"));
        assert!(refused(&directory.path().join("none/out")).contains("cannot be written: No such file or directory"));
        assert!(refused(&file).contains("is the input"));
        std::fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
        assert!(refused(&file).contains("read-only"));
    }
}
