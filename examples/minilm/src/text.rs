//! Lines of text → tokens.

use crate::model::Model;
use anyhow::{Context, Result, ensure};
use std::{fs, ops::Range, path::Path, str::FromStr};

/// The text that comes with the example, one sentence or paragraph a line.
pub const SHIPPED: &str = include_str!("../data/sentences.txt");
/// How many of the first lines are for calibration.
pub const CALIBRATION_LINES: usize = 100;

/// Which lines of a text, from 1, both ends included: `101-200`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lines {
    first: usize,
    last: usize,
}

impl FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Lines, String> {
        let ends = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match ends {
            Some((first, last)) if first >= 1 && first <= last => Ok(Lines { first, last }),
            _ => Err("must be two line numbers from 1, such as 101-200".to_owned()),
        }
    }
}

/// The lines of a text that are not blank.
///
/// # Errors
/// The file cannot be read, is no UTF-8, or has no such lines.
pub fn read(file: &Path, only: Option<Lines>) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read as text", file.display()))?;
    let sentences = sentences(&text);
    ensure!(!sentences.is_empty(), "{}: has no text; give a file with a sentence or paragraph a line", file.display());
    let Some(Lines { first, last }) = only else { return Ok(sentences) };
    let count = sentences.len();
    ensure!(last <= count, "{}: --lines {first}-{last}: it has {count} lines that are not blank", file.display());
    Ok(sentences[first - 1..last].to_vec())
}

/// The lines that are not blank.
pub fn sentences(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Tokens of many sentences, one after the other, without padding.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Token numbers, `[CLS]` first and `[SEP]` last in every sentence.
    pub ids: Vec<u32>,
    /// Where each sentence's tokens are.
    pub sentences: Vec<Range<usize>>,
    /// Sentences that were longer than the model takes, and were cut; parts of a batch do not say.
    pub truncated: usize,
}

impl Batch {
    /// Tokens of sentences.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn new(model: &Model, sentences: &[String]) -> Result<Batch> {
        let inputs = sentences.iter().map(String::as_str).collect();
        let encodings = model.tokenizer.encode_batch(inputs, true).map_err(anyhow::Error::msg)?;
        let mut batch = Batch { ids: Vec::new(), sentences: Vec::new(), truncated: 0 };
        for encoding in encodings {
            let start = batch.ids.len();
            batch.ids.extend(encoding.get_ids());
            batch.sentences.push(start..batch.ids.len());
            batch.truncated += usize::from(!encoding.get_overflowing().is_empty());
        }
        Ok(batch)
    }

    /// Batches of `lines` sentences each, the last of what is left; `lines` is at least 1.
    pub fn split(&self, lines: usize) -> Vec<Batch> {
        let parts = self.sentences.chunks(lines).map(|part| {
            let start = part.first().map_or(0, |first| first.start);
            let sentences: Vec<_> = part.iter().map(|tokens| tokens.start - start..tokens.end - start).collect();
            let tokens = sentences.last().map_or(0, |last| last.end);
            Batch { ids: self.ids[start..start + tokens].to_vec(), sentences, truncated: 0 }
        });
        parts.collect()
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The sentence of each token, from 0.
    pub fn sentence_id(&self) -> Vec<i32> {
        let ids = self.sentences.iter().zip(0..).flat_map(|(tokens, id)| std::iter::repeat_n(id, tokens.len()));
        ids.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!("101-200".parse(), Ok(Lines { first: 101, last: 200 }));
        for wrong in ["0-3", "3-2", "3", "a-b", "-1-2", ""] {
            assert!(wrong.parse::<Lines>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_split_batch_has_the_same_sentences() {
        let batch = Batch { ids: vec![1, 2, 3, 4, 5, 6], sentences: vec![0..2, 2..3, 3..6], truncated: 1 };
        let parts = batch.split(2);
        assert_eq!((&parts[0].ids[..], &parts[0].sentences[..]), (&[1, 2, 3][..], &[0..2, 2..3][..]));
        assert_eq!((&parts[1].ids[..], parts[1].sentence_id()), (&[4, 5, 6][..], vec![0, 0, 0]));
        assert_eq!((parts.len(), batch.split(9).len(), batch.sentence_id()), (2, 1, vec![0, 0, 1, 2, 2, 2]));
    }

    #[test]
    fn the_shipped_text_has_a_study_after_its_calibration() {
        let shipped = sentences(SHIPPED);
        assert!(shipped.len() >= CALIBRATION_LINES + 400, "{}", shipped.len());
        let mut once = shipped.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), shipped.len(), "a line stands twice");
    }
}
