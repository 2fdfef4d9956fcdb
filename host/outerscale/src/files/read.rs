//! What every reader of safetensors here begins with.

use crate::{Error, Result};
use safetensors::{SafeTensors, tensor::SafeTensorError};
use std::{collections::HashSet, fs::File, path::Path};

/// Maps a file into memory.
///
/// # Errors
/// [`Error::Input`] where it is no regular file or cannot be read.
pub(crate) fn open(file: &Path) -> Result<memmap2::Mmap> {
    let refuse = |rule: String| Error::input(file, None, rule);
    let metadata = std::fs::metadata(file).map_err(|e| refuse(format!("cannot be read: {e}")))?;
    if !metadata.is_file() {
        return Err(refuse("is no regular file; give a safetensors file".to_owned()));
    }
    let open = File::open(file).map_err(|e| refuse(format!("cannot be read: {e}")))?;
    // SAFETY: the map is read only here. Another process that shortens the file meanwhile would end this one
    // with SIGBUS, as for every program that maps files; there is no shared state for it to corrupt.
    unsafe { memmap2::Mmap::map(&open) }.map_err(|e| refuse(format!("cannot be mapped: {e}")))
}

/// The tensors of a file of ours, and what its metadata name as its format.
///
/// # Errors
/// [`Error::Input`] where it is no safetensors file, or its header lies.
pub(crate) fn tensors_and_format<'a>(file: &Path, bytes: &'a [u8]) -> Result<(SafeTensors<'a>, Option<String>)> {
    let refuse = |error: SafeTensorError| Error::input(file, None, header_rule(&error));
    let tensors = SafeTensors::deserialize(bytes).map_err(refuse)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(refuse)?;
    Ok((tensors, header.metadata().as_ref().and_then(|metadata| metadata.get("format").cloned())))
}

/// The sentence of each of `rows` tokens, where the file has them.
///
/// # Errors
/// [`Error::Input`] where they are of another type or number, or a sentence is in pieces.
pub(crate) fn sentences(file: &Path, tensors: &SafeTensors<'_>, rows: usize) -> Result<Option<Vec<i32>>> {
    let refuse = |rule: String| Err(Error::input(file, Some("sentence_id"), rule));
    let Ok(view) = tensors.tensor("sentence_id") else { return Ok(None) };
    if view.dtype() != safetensors::Dtype::I32 || view.shape().iter().product::<usize>() != rows {
        return refuse(format!("must be I32, one for each of {rows} tokens, is {} {:?}", view.dtype(), view.shape()));
    }
    let ids: Vec<i32> = view.data().as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
    let mut seen = HashSet::new();
    if let Some(torn) = ids.chunk_by(|a, b| a == b).find(|run| !seen.insert(run[0])) {
        return refuse(format!("sentence {} is in more than one piece", torn[0]));
    }
    Ok(Some(ids))
}

/// What is wrong with a file as a whole, in words of its reader.
pub(crate) fn header_rule(error: &SafeTensorError) -> String {
    let detail = error.to_string();
    let detail = detail.lines().next().unwrap_or_default();
    match error {
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            format!("is no safetensors file, or truncated: {detail}")
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            format!("is truncated, or its header lies about its length: {detail}")
        }
        SafeTensorError::InvalidOffset(_)
        | SafeTensorError::TensorInvalidInfo
        | SafeTensorError::ValidationOverflow
        | SafeTensorError::InvalidTensorView(..) => format!("has a header that lies about its tensors: {detail}"),
        _ => format!("is no safetensors file: {detail}"),
    }
}
