//! What `outerscale tune` measured on a GPU: committed as `host/outerscale/tuned/*.json`, embedded when the library is built.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// The form of the file that this program reads and writes.
pub const FORMAT: u32 = 1;

/// What was fastest on one GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    /// [`FORMAT`].
    pub format: u32,
    /// The GPU's name, as its driver gives it.
    pub gpu: String,
    /// Major and minor version of its architecture.
    pub compute_capability: (u32, u32),
    /// Its multiprocessors: a part with others fills its waves with other shapes.
    pub multiprocessors: u64,
    /// The version of CUDA that its driver has: 13000 for 13.0.
    pub driver: u32,
    /// The commit that was measured.
    pub commit: String,
    /// When, in UTC: 2030-01-31.
    pub date: String,
    /// The fastest variants, by op, N, K, and M.
    pub fastest: Vec<Fastest>,
}

/// One shape's fastest variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fastest {
    /// The op.
    pub op: String,
    /// Outputs.
    pub n: u64,
    /// Inputs.
    pub k: u64,
    /// Tokens: it serves up to so many, from one more than the row before of the same N and K.
    pub m: u64,
    /// The variant.
    pub variant: String,
    /// Its median in microseconds.
    pub median_us: f64,
    /// What the next best took.
    pub next_us: Option<f64>,
}

impl Tuned {
    /// Reads a table.
    ///
    /// # Errors
    /// What is wrong with it: its form, or rows that are not in order.
    pub fn parse(text: &str) -> Result<Tuned> {
        let wrong = |what: String| Error::Backend(format!("tuned table: {what}"));
        let tuned: Tuned = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if tuned.format != FORMAT {
            return Err(wrong(format!("its format is {}, this program reads {FORMAT}", tuned.format)));
        }
        let key = |row: &Fastest| (row.op.clone(), row.n, row.k, row.m);
        if let Some(pair) = tuned.fastest.windows(2).find(|pair| key(&pair[0]) >= key(&pair[1])) {
            let [a, b] = [key(&pair[0]), key(&pair[1])];
            return Err(wrong(format!("rows must go up by op, n, k and m, and {b:?} follows {a:?}")));
        }
        Ok(tuned)
    }

    /// The row that serves a product: that of exactly its N and K with the least M that is not less than its own.
    pub fn fastest(&self, op: &str, (m, n, k): (u64, u64, u64)) -> Option<&Fastest> {
        self.fastest.iter().find(|row| row.op == op && (row.n, row.k) == (n, k) && m <= row.m)
    }
}

/// The embedded table for a GPU of this version with so many multiprocessors.
pub(super) fn table(version: (u32, u32), multiprocessors: u64) -> Option<&'static Tuned> {
    static TABLES: OnceLock<Vec<Tuned>> = OnceLock::new();
    // What is committed was parsed by a test.
    let tables = TABLES.get_or_init(|| EMBEDDED.iter().filter_map(|text| Tuned::parse(text).ok()).collect());
    tables.iter().find(|tuned| (tuned.compute_capability, tuned.multiprocessors) == (version, multiprocessors))
}

/// The texts of all committed tables.
static EMBEDDED: &[&str] = include!(concat!(env!("OUT_DIR"), "/tuned.rs"));

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row(m: u64, variant: &str) -> Fastest {
        Fastest { op: "gemm".into(), n: 4096, k: 4096, m, variant: variant.into(), median_us: 1.5, next_us: Some(2.0) }
    }

    pub(in super::super) fn tuned(fastest: Vec<Fastest>) -> Tuned {
        Tuned {
            format: FORMAT,
            gpu: "NVIDIA H200".into(),
            compute_capability: (9, 0),
            multiprocessors: 132,
            driver: 13000,
            commit: "0123456789ab".into(),
            date: "2030-01-31".into(),
            fastest,
        }
    }

    #[test]
    fn every_committed_table_is_sound() {
        for text in EMBEDDED {
            let tuned = Tuned::parse(text).unwrap();
            for row in &tuned.fastest {
                let op = crate::registry::op(&row.op).unwrap_or_else(|| panic!("{}: no op {}", tuned.gpu, row.op));
                let known = op.table.variants.iter().any(|variant| variant.name == row.variant);
                assert!(known, "{}: {} has no variant {}", tuned.gpu, row.op, row.variant);
            }
        }
    }

    #[test]
    fn a_row_serves_the_tokens_up_to_its_own() {
        let tuned = tuned(vec![row(16, "a"), row(64, "b")]);
        let serves = |m, n| tuned.fastest("gemm", (m, n, 4096)).map(|row| row.variant.as_str());
        assert_eq!((serves(1, 4096), serves(16, 4096), serves(17, 4096)), (Some("a"), Some("a"), Some("b")));
        assert_eq!((serves(65, 4096), serves(1, 4097)), (None, None));
        assert_eq!(tuned.fastest("gemm_asym", (1, 4096, 4096)), None);
    }

    #[test]
    fn a_table_survives_its_file() {
        let tuned = tuned(vec![row(16, "a"), row(64, "b")]);
        assert_eq!(Tuned::parse(&serde_json::to_string(&tuned).unwrap()).unwrap(), tuned);
    }

    #[test]
    fn other_forms_and_rows_out_of_order_are_refused() {
        let text = |tuned: &Tuned| serde_json::to_string(tuned).unwrap();
        let newer = Tuned { format: 2, ..tuned(vec![]) };
        let error = Tuned::parse(&text(&newer)).unwrap_err().to_string();
        assert!(error.contains("its format is 2, this program reads 1"), "{error}");
        let error = Tuned::parse(&text(&tuned(vec![row(16, "a"), row(16, "b")]))).unwrap_err().to_string();
        assert!(error.contains("rows must go up"), "{error}");
        assert!(Tuned::parse(&text(&tuned(vec![])).replace("gpu", "gqu")).is_err());
    }
}
