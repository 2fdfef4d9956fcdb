//! `outerscale tune`: which variant is the fastest for each shape, measured on this GPU.

use super::{
    Common, Done, bench,
    report::{Output, Progress, place_json, place_line, table},
};
use clap::Args;
use outerscale::{
    Error, Result,
    bench::Shape,
    choice::{tune, tuned::Fastest},
};
use serde_json::json;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub(crate) struct Flags {
    /// Only these products, M,N,K, again for more [default: the linears of Llama-3-8B and 70B].
    #[arg(long = "shape", value_name = "M,N,K", value_parser = bench::shape)]
    shapes: Vec<Shape>,
    /// Only list the variants that are legal for each shape.
    #[arg(long)]
    list: bool,
    /// Write the table there, as host/outerscale/tuned holds it.
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    out: Option<PathBuf>,
    /// The commit that is measured, for the table.
    #[arg(long, value_name = "COMMIT", default_value = "unknown")]
    commit: String,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(crate) fn run(flags: &Flags) -> Result<Done> {
    let gpu = flags.common.open()?;
    let shapes = if flags.shapes.is_empty() { tune::shapes() } else { flags.shapes.clone() };
    let text = format!("{}\n", place_line(&gpu));
    if flags.list {
        let listed: Vec<_> = shapes.iter().map(|shape| (*shape, tune::legal(&gpu, *shape))).collect();
        let rows = listed.iter().map(|(shape, legal)| vec![words(*shape), legal.join(", ")]);
        let text = text + &table(&["M, N, K", "legal variants"], &[], rows);
        let shapes = listed.iter().map(|(s, legal)| json!({"m": s.m, "n": s.n, "k": s.k, "variants": legal}));
        let json = json!({"place": place_json(&gpu), "shapes": shapes.collect::<Vec<_>>()});
        return Ok(Done { output: Output { text, json }, right: true });
    }
    let out = flags.out.as_deref().map(Part::create).transpose()?;
    let progress = Progress::new(flags.common.json);
    let mut count = 0;
    let tuned = tune::tune(&gpu, &shapes, &flags.commit, |row| {
        count += 1;
        progress.step(&row.variant, count, shapes.len());
    })?;
    drop(progress);
    let file = serde_json::to_string_pretty(&tuned).map_err(|e| Error::Backend(e.to_string()))? + "\n";
    if let Some(out) = out {
        out.finish(&file)?;
    }
    let next = |row: &Fastest| row.next_us.map_or(String::new(), |us| format!("{us:.1}"));
    let row = |row: &Fastest| {
        let shape = Shape { m: row.m, n: row.n, k: row.k };
        vec![words(shape), row.variant.clone(), format!("{:.1}", row.median_us), next(row)]
    };
    let text = text + &table(&["M, N, K", "fastest", "µs", "next best, µs"], &[2, 3], tuned.fastest.iter().map(row));
    let json = json!({"place": place_json(&gpu), "tuned": tuned});
    Ok(Done { output: Output { text, json }, right: true })
}

fn words(Shape { m, n, k }: Shape) -> String {
    format!("{m}, {n}, {k}")
}

/// A file in the making: complete or absent.
struct Part {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Part {
    /// Made before the work, so that hours of it are not lost to a path that cannot be written.
    fn create(path: &Path) -> Result<Part> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder).map_err(|e| refused(path, &e))?;
        Ok(Part { file, path: path.into() })
    }

    fn finish(mut self, text: &str) -> Result<()> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(|e| refused(&self.path, &e))?;
        let kept = self.file.persist(&self.path).map_err(|e| refused(&self.path, &e.error))?;
        // A temporary file is its owner's alone; a table is to be committed.
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        kept.set_permissions(permissions).map_err(|e| refused(&self.path, &e))
    }
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    Error::Output { file: path.into(), rule: format!("cannot be written: {error}; give another --out") }
}
