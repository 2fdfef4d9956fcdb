//! Statistics on disk: a safetensors file that names no rule, so that every observer can be asked later.
//!
//! | tensor | | |
//! |---|---|---|
//! | `<linear>.channel_absmax` | F32 `[K]` | largest abs(x) of each channel |
//! | `<linear>.batch_absmax` | F32 `[samples]` | largest abs(x) of each batch, in order |
//! | `<linear>.value_bins`, `.value_counts` | U32 `[B]`, U64 `[B]` | the histogram of abs(x): upper 19 bits of the pattern, ascending |
//! | `<linear>.token_bins`, `.token_counts` | U32 `[C]`, U64 `[C]` | that of the largest abs(x) of each token |
//! | `<linear>.counts` | U64 `[3]` | zeros, tokens of zeros, NaN and Inf |
//!
//! The header's metadata are `format` = `outerscale-statistics/1`, the number being the version.

use super::{Histogram, Statistics};
use crate::{
    Error, Result,
    files::{OutputFile, Tensor, open, tensors_and_format},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const FORMAT: &str = "outerscale-statistics";
const VERSION: u32 = 1;
const FIELDS: [&str; 7] =
    ["channel_absmax", "batch_absmax", "value_bins", "value_counts", "token_bins", "token_counts", "counts"];

/// The statistics of a model's linears, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatisticsFile {
    /// Each linear's.
    pub linears: BTreeMap<String, Statistics>,
}

impl StatisticsFile {
    /// Reads a file that [`StatisticsFile::write`] wrote.
    ///
    /// # Errors
    /// [`Error::Input`]: what cannot be read, is of another format or version, lacks a field, or has one of another
    /// type, shape or order.
    pub fn read(file: &Path) -> Result<Self> {
        let map = open(file)?;
        Self::parse(file, &map)
    }

    /// As [`StatisticsFile::read`], from the bytes of a file; `file` is what errors call it.
    ///
    /// # Errors
    /// As [`StatisticsFile::read`].
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let refuse = |rule: String| Error::input(file, None, rule);
        let (tensors, format) = tensors_and_format(file, bytes)?;
        let Some(version) = format.as_deref().and_then(|format| format.strip_prefix(FORMAT)?.strip_prefix('/')) else {
            return Err(refuse("holds no statistics; outerscale calibrate writes such files".to_owned()));
        };
        if version != VERSION.to_string() {
            return Err(refuse(format!("has version {version} of the format, {VERSION} is known: calibrate anew")));
        }
        let mut names = BTreeSet::new();
        for name in tensors.names() {
            let known = name.rsplit_once('.').filter(|(linear, field)| !linear.is_empty() && FIELDS.contains(field));
            let Some((linear, _)) = known else {
                let rule = format!("is no field of statistics; they are LINEAR.{}", FIELDS.join(", ."));
                return Err(Error::input(file, Some(name), rule));
            };
            names.insert(linear);
        }
        let read = |linear: &str| Ok((linear.to_owned(), statistics(&Fields { file, tensors: &tensors, linear })?));
        let linears = names.into_iter().map(read).collect::<Result<_>>()?;
        Ok(StatisticsFile { linears })
    }

    /// Writes all of it; complete or not at all.
    ///
    /// # Errors
    /// As [`OutputFile::finish`].
    pub fn write(&self, to: OutputFile) -> Result<()> {
        let mut tensors = Vec::new();
        for (linear, statistics) in &self.linears {
            let mut push = |field: &str, dtype, shape: usize, data| {
                tensors.push(Tensor { name: format!("{linear}.{field}"), dtype, shape: vec![shape], data });
            };
            let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
            let Statistics { channel_absmax, values, token_absmax, batch_absmax, non_finite } = statistics;
            push("channel_absmax", Dtype::F32, channel_absmax.len(), f32s(channel_absmax));
            push("batch_absmax", Dtype::F32, batch_absmax.len(), f32s(batch_absmax));
            for (name, histogram) in [("value", values), ("token", token_absmax)] {
                let (bins, counts): (Vec<u32>, Vec<u64>) = histogram.bins().unzip();
                let bytes = bins.iter().flat_map(|bin| bin.to_le_bytes()).collect();
                push(&format!("{name}_bins"), Dtype::U32, bins.len(), bytes);
                push(&format!("{name}_counts"), Dtype::U64, counts.len(), u64s(&counts));
            }
            push("counts", Dtype::U64, 3, u64s(&[values.zeros(), token_absmax.zeros(), *non_finite]));
        }
        to.finish_as(&tensors, Some(&format!("{FORMAT}/{VERSION}")))
    }

    /// The statistics of `linear`, whose input has K = `k` channels.
    ///
    /// # Errors
    /// [`Error::Input`] where `file`, from which they were read, is of another model: no such name, or another K.
    pub fn of(&self, linear: &str, k: u64, file: &Path) -> Result<&Statistics> {
        let Some(statistics) = self.linears.get(linear) else {
            let names: Vec<_> = self.linears.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let rule = format!("has no statistics of {linear}, so it is of another model; its linears are {names}");
            return Err(Error::input(file, None, rule));
        };
        match statistics.channel_absmax.len() as u64 {
            len if len == k => Ok(statistics),
            len => {
                let rule = format!("has K = {len} for {linear}, whose input has K = {k}: it is of another model");
                Err(Error::input(file, None, rule))
            }
        }
    }

    /// Adds another's batches after these, linear by linear, as [`Statistics::merge`].
    ///
    /// # Errors
    /// The first linear whose numbers of channels differ, and by how much.
    pub fn merge(&mut self, other: &StatisticsFile) -> std::result::Result<(), String> {
        for (linear, statistics) in &other.linears {
            match self.linears.get_mut(linear) {
                None => drop(self.linears.insert(linear.clone(), statistics.clone())),
                Some(known) => known.merge(statistics).map_err(|rule| format!("{linear} {rule}"))?,
            }
        }
        Ok(())
    }
}

fn u64s(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The tensors of one linear.
struct Fields<'a> {
    file: &'a Path,
    tensors: &'a SafeTensors<'a>,
    linear: &'a str,
}

impl Fields<'_> {
    fn error(&self, field: &str, rule: impl Into<String>) -> Error {
        Error::input(self.file, Some(&format!("{}.{field}", self.linear)), rule)
    }

    fn vector<const SIZE: usize, T>(&self, field: &str, dtype: Dtype, read: fn([u8; SIZE]) -> T) -> Result<Vec<T>> {
        let view: TensorView<'_> =
            self.tensors.tensor(&format!("{}.{field}", self.linear)).map_err(|_| self.error(field, "is missing"))?;
        if view.dtype() != dtype || view.shape().len() != 1 {
            let rule = format!("must be {dtype} in one dimension, is {} {:?}", view.dtype(), view.shape());
            return Err(self.error(field, rule));
        }
        Ok(view.data().as_chunks::<SIZE>().0.iter().map(|bytes| read(*bytes)).collect())
    }

    fn magnitudes(&self, field: &str) -> Result<Vec<f32>> {
        let values = self.vector(field, Dtype::F32, f32::from_le_bytes)?;
        match values.iter().position(|v| !v.is_finite() || v.is_sign_negative()) {
            None => Ok(values),
            Some(index) => Err(self.error(field, format!("[{index}] must be a finite magnitude"))),
        }
    }

    fn histogram(&self, name: &str, zeros: u64) -> Result<Histogram> {
        let bins = self.vector(&format!("{name}_bins"), Dtype::U32, u32::from_le_bytes)?;
        let field = format!("{name}_counts");
        let counts = self.vector(&field, Dtype::U64, u64::from_le_bytes)?;
        Histogram::from_parts(zeros, &bins, &counts).map_err(|rule| self.error(&field, rule))
    }
}

/// One linear's statistics, every rule checked.
fn statistics(fields: &Fields<'_>) -> Result<Statistics> {
    let counts = fields.vector("counts", Dtype::U64, u64::from_le_bytes)?;
    let [zeros, zero_tokens, non_finite] = counts[..] else {
        return Err(fields.error("counts", format!("must have 3 numbers, has {}", counts.len())));
    };
    let statistics = Statistics {
        channel_absmax: fields.magnitudes("channel_absmax")?,
        values: fields.histogram("value", zeros)?,
        token_absmax: fields.histogram("token", zero_tokens)?,
        batch_absmax: fields.magnitudes("batch_absmax")?,
        non_finite,
    };
    let k = statistics.channel_absmax.len() as u64;
    let inputs = statistics.token_absmax.total().checked_mul(k);
    if k == 0 || inputs.is_none() || inputs != statistics.values.total().checked_add(non_finite) {
        let rule = format!("do not fit together: {} tokens of {k} channels", statistics.token_absmax.total());
        return Err(fields.error("counts", rule));
    }
    Ok(statistics)
}
