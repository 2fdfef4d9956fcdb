//! The `//@kernel` lines: what `#[kernel]` has to say about an entry, carried through the compiler as a comment.
//!
//! ```text
//! //@kernel gemm_t64x64_f32 maxntid=256 minnctapersm=2 collectives=bar.sync:3,mma.sync:32
//! ```
//! Keys, each at most once: `maxntid=X[xYxZ]`, `reqntid=X[xYxZ]`, `minnctapersm=N`, `maxnreg=N`, `cluster=X[xYxZ]`,
//! `tensormap=I,J` (the parameters that hold TMA tensor maps), `collectives=FAMILY:COUNT,..` (those absent: none).

use std::collections::BTreeMap;

/// How a marker line begins.
pub const PREFIX: &str = "//@kernel";

/// What one marker says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marker {
    /// The entry's name in the PTX.
    pub entry: String,
    /// The most threads a block is launched with.
    pub maxntid: Option<[u32; 3]>,
    /// The exact number of threads that a block is launched with.
    pub reqntid: Option<[u32; 3]>,
    /// How many blocks should fit a multiprocessor.
    pub minnctapersm: Option<u32>,
    /// The most registers a thread may have.
    pub maxnreg: Option<u32>,
    /// The exact cluster, in blocks.
    pub cluster: Option<[u32; 3]>,
    /// Parameters to align to 64 bytes, as a tensor map must be.
    pub tensormap: Vec<usize>,
    /// How many instructions of each family of collectives the entry holds; a family that is absent: none.
    pub collectives: BTreeMap<String, u32>,
}

/// A marker that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("kernel marker `{line}`: {why}")]
pub struct MarkerError {
    line: String,
    why: String,
}

/// Reads all markers of a PTX text. The same line twice (link-time optimisation can repeat it) counts once.
///
/// # Errors
/// An unknown or repeated key, a value out of form, a family that [`crate::lint::FAMILIES`] lacks, or two markers of one
/// entry that differ.
pub fn read_all(ptx: &str) -> Result<BTreeMap<String, Marker>, MarkerError> {
    let mut markers = BTreeMap::new();
    for line in ptx.lines().map(str::trim).filter(|line| line.starts_with(PREFIX)) {
        let fail = |why: String| MarkerError { line: line.to_owned(), why };
        let marker = read(&line[PREFIX.len()..]).map_err(fail)?;
        match markers.get(&marker.entry) {
            Some(known) if *known != marker => {
                return Err(fail("an earlier marker of this entry says otherwise".into()));
            }
            _ => markers.insert(marker.entry.clone(), marker),
        };
    }
    Ok(markers)
}

fn read(fields: &str) -> Result<Marker, String> {
    let mut fields = fields.split_whitespace();
    let entry = fields.next().ok_or("the entry's name is missing")?.to_owned();
    let mut marker = Marker { entry, ..Marker::default() };
    let mut seen: Vec<&str> = Vec::new();
    for field in fields {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is not key=value"))?;
        if seen.contains(&key) {
            return Err(format!("`{key}` is given twice"));
        }
        seen.push(key);
        match key {
            "maxntid" => marker.maxntid = Some(extent(value)?),
            "reqntid" => marker.reqntid = Some(extent(value)?),
            "minnctapersm" => marker.minnctapersm = Some(number(value)?),
            "maxnreg" => marker.maxnreg = Some(number(value)?),
            "cluster" => marker.cluster = Some(extent(value)?),
            "tensormap" => marker.tensormap = value.split(',').map(index).collect::<Result<_, _>>()?,
            "collectives" => marker.collectives = collectives(value)?,
            _ => return Err(format!("`{key}` is not a key")),
        }
    }
    // ptxas ignores .minnctapersm when it cannot know the block's size.
    if marker.minnctapersm.is_some() && marker.maxntid.is_none() && marker.reqntid.is_none() {
        return Err("minnctapersm needs maxntid or reqntid".into());
    }
    Ok(marker)
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("`{text}` is not a positive number"))
}

fn index(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a parameter's index"))
}

/// One to three numbers with `x` between, the missing ones 1.
fn extent(text: &str) -> Result<[u32; 3], String> {
    let parts = text.split('x').map(number).collect::<Result<Vec<_>, _>>()?;
    match parts[..] {
        [x] => Ok([x, 1, 1]),
        [x, y] => Ok([x, y, 1]),
        [x, y, z] => Ok([x, y, z]),
        _ => Err(format!("`{text}` has more than three dimensions")),
    }
}

fn collectives(text: &str) -> Result<BTreeMap<String, u32>, String> {
    let mut counts = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (family, count) = part.split_once(':').ok_or_else(|| format!("`{part}` is not family:count"))?;
        if !crate::lint::FAMILIES.iter().any(|(known, _)| *known == family) {
            return Err(format!("`{family}` is not a family of collectives"));
        }
        let count = count.parse().map_err(|_| format!("`{count}` is not a count"))?;
        if counts.insert(family.to_owned(), count).is_some() {
            return Err(format!("`{family}` is counted twice"));
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Marker, String> {
        let markers = read_all(line).map_err(|error| error.to_string())?;
        Ok(markers.into_values().next().expect("one marker"))
    }

    #[test]
    fn every_key_is_read() {
        let line = "//@kernel k maxntid=256 minnctapersm=2 maxnreg=168 cluster=2x1 tensormap=0,2 collectives=bar.sync:3,shfl.sync:10";
        let marker = one(line).unwrap();
        assert_eq!((marker.entry.as_str(), marker.maxntid, marker.minnctapersm), ("k", Some([256, 1, 1]), Some(2)));
        assert_eq!((marker.maxnreg, marker.cluster), (Some(168), Some([2, 1, 1])));
        assert_eq!(marker.tensormap, [0, 2]);
        assert_eq!(marker.collectives, BTreeMap::from([("bar.sync".into(), 3), ("shfl.sync".into(), 10)]));
        assert_eq!(one("//@kernel k collectives=").unwrap().collectives, BTreeMap::new());
    }

    #[test]
    fn bad_markers_say_what_is_wrong() {
        let cases = [
            ("//@kernel", "name is missing"),
            ("//@kernel k maxntid", "not key=value"),
            ("//@kernel k maxntid=0", "not a positive number"),
            ("//@kernel k maxntid=1x1x1x1", "more than three"),
            ("//@kernel k maxntid=1 maxntid=1", "given twice"),
            ("//@kernel k threads=1", "`threads` is not a key"),
            ("//@kernel k minnctapersm=2", "needs maxntid"),
            ("//@kernel k collectives=bar:1", "not a family"),
            ("//@kernel k collectives=bar.sync:x", "not a count"),
            ("//@kernel k collectives=bar.sync:1,bar.sync:1", "counted twice"),
            ("//@kernel k maxntid=1\n//@kernel k maxntid=2", "says otherwise"),
        ];
        for (line, why) in cases {
            let error = one(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
        assert_eq!(read_all("//@kernel k maxntid=1\n\t//@kernel k maxntid=1\n").unwrap().len(), 1);
    }
}
