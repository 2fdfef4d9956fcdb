//! Measuring which variant is the fastest: every legal one, each held against the reference before it is timed.

use super::tuned::{FORMAT, Fastest, Tuned};
use crate::{
    Dtype, Error, Gpu, Result,
    bench::{Data, Job, OutputWord, Session, Shape, Work},
    gpu::Driver,
    ops::{Problem, tables::GEMM, workspace_bytes},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// N and K of the linears that are tuned unless others are named: Llama-3-8B and 70B, q, k and v in one, gate and up in one.
const LINEARS: [(u64, u64); 8] = [
    (4096, 4096),
    (4096, 14336),
    (6144, 4096),
    (8192, 8192),
    (8192, 28672),
    (10240, 8192),
    (28672, 4096),
    (57344, 8192),
];

/// Tokens up to which a row serves: every count at which a tile is full, and a second one while that is a step of note.
const TOKENS: [u64; 20] = [1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 512, 1024, 4096, 16384];

/// Seconds of a measurement, about.
const SECONDS: f64 = 0.05;

/// The shapes that are tuned unless others are named, in the order of the table's rows.
pub fn shapes() -> Vec<Shape> {
    LINEARS.iter().flat_map(|&(n, k)| TOKENS.map(|m| Shape { m, n, k })).collect()
}

/// The names of the variants that can run a product on this GPU with the workspace that it would like.
pub fn legal(gpu: &Gpu, Shape { m, n, k }: Shape) -> Vec<&'static str> {
    let problem = Problem { workspace_bytes: workspace_bytes(gpu, m, n, k), ..Problem::new(gpu, m, n, k) };
    let runs = GEMM.variants.iter().filter(|variant| variant.eligible(&problem, Dtype::Bf16).is_ok());
    runs.map(|variant| variant.name).collect()
}

/// Measures all shapes, each of `legal` by `time`, which gives microseconds of a result that it found right. `done` hears
/// of each row.
///
/// # Errors
/// The first of `time`: a variant that is wrong or fails ends the tuning. A shape that no variant can run.
pub fn fastest(
    shapes: &[Shape],
    legal: impl Fn(Shape) -> Vec<&'static str>,
    mut time: impl FnMut(Shape, &'static str) -> Result<f64>,
    mut done: impl FnMut(&Fastest),
) -> Result<Vec<Fastest>> {
    let mut shapes = shapes.to_vec();
    shapes.sort_by_key(|shape| (shape.n, shape.k, shape.m));
    shapes.dedup();
    let mut rows = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let timed = legal(shape).into_iter().map(|variant| Ok((time(shape, variant)?, variant)));
        let mut timed = timed.collect::<Result<Vec<_>>>()?;
        // Of two that take the same time the first by name, so that the table does not depend on their order.
        timed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
        let Shape { m, n, k } = shape;
        let Some((median_us, variant)) = timed.first().copied() else {
            return Err(Error::Backend(format!("no variant can run {m},{n},{k} on this GPU")));
        };
        let next_us = timed.get(1).map(|next| next.0);
        let row = Fastest { op: GEMM.op.to_owned(), n, k, m, variant: variant.to_owned(), median_us, next_us };
        done(&row);
        rows.push(row);
    }
    Ok(rows)
}

/// Tunes a GPU.
///
/// # Errors
/// [`Error::Backend`] on the simulator, whose times mean nothing; as [`fastest`].
pub fn tune(gpu: &Gpu, shapes: &[Shape], commit: &str, done: impl FnMut(&Fastest)) -> Result<Tuned> {
    if gpu.driver() != Driver::Cuda {
        let what = "tune measures, and times of the simulator mean nothing: run it on a GPU, or give --list";
        return Err(Error::Backend(what.to_owned()));
    }
    let mut session = Session::new(gpu);
    let time = |shape, variant| {
        // One kind of data, the same in every run.
        let (data, output) = (Data::Normal, OutputWord::Bf16);
        let job = Job { work: Work::Gemm, shape, data, output, seconds: SECONDS };
        session.prepare_by(job, crate::ops::Choice::Named(variant))?;
        Ok(1e6 * session.time()?.times.quantile(0.5))
    };
    let fastest = fastest(shapes, |shape| legal(gpu, shape), time, done)?;
    Ok(Tuned {
        format: FORMAT,
        gpu: gpu.name().to_owned(),
        compute_capability: gpu.version(),
        multiprocessors: gpu.limits().multiprocessors,
        driver: gpu.cuda_version()?,
        commit: commit.to_owned(),
        date: date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400)),
        fastest,
    })
}

/// The day that is so many days after 1970-01-01 (Hinnant, chrono-compatible low-level date algorithms, civil_from_days).
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;

    const SHAPES: [Shape; 3] = [Shape { m: 64, n: 8, k: 8 }, Shape { m: 1, n: 8, k: 8 }, Shape { m: 64, n: 8, k: 8 }];

    /// A clock by a rule: "a" takes M, "b" takes 10 and "c" as long as "b".
    fn clock(shape: Shape, variant: &str) -> Result<f64> {
        Ok(if variant == "a" { shape.m as f64 } else { 10.0 })
    }

    #[test]
    fn the_fastest_is_kept_and_of_two_alike_the_first_by_name() {
        let mut heard = 0;
        let rows = fastest(&SHAPES, |_| vec!["c", "b", "a"], clock, |_| heard += 1).unwrap();
        let of = |row: &Fastest| (row.m, row.variant.clone(), row.median_us, row.next_us);
        assert_eq!(
            rows.iter().map(of).collect::<Vec<_>>(),
            [(1, "a".into(), 1.0, Some(10.0)), (64, "b".into(), 10.0, Some(10.0))]
        );
        assert_eq!(heard, 2);
        let again = fastest(&SHAPES, |_| vec!["a", "b", "c"], clock, |_| ()).unwrap();
        assert_eq!(rows, again);
    }

    #[test]
    fn all_legal_variants_are_timed_and_no_other() {
        let mut timed = Vec::new();
        let legal = |shape: Shape| if shape.m == 1 { vec!["a"] } else { vec!["a", "b"] };
        let note = |shape: Shape, variant: &'static str| {
            timed.push((shape.m, variant));
            Ok(1.0)
        };
        let rows = fastest(&SHAPES, legal, note, |_| ()).unwrap();
        assert_eq!(rows[0].next_us, None);
        assert_eq!(timed, [(1, "a"), (64, "a"), (64, "b")]);
    }

    #[test]
    fn a_wrong_variant_ends_the_tuning() {
        let wrong =
            |_: Shape, variant: &str| if variant == "b" { Err(Error::Backend("b differs".into())) } else { Ok(1.0) };
        let error = fastest(&SHAPES, |_| vec!["a", "b"], wrong, |_| ()).unwrap_err().to_string();
        assert!(error.contains("b differs"), "{error}");
        let error = fastest(&SHAPES, |_| Vec::new(), clock, |_| ()).unwrap_err().to_string();
        assert!(error.contains("no variant can run 1,8,8"), "{error}");
    }

    #[test]
    fn the_rows_that_are_made_are_in_the_order_that_is_read() {
        let rows = fastest(&shapes(), |_| vec!["t64x64"], clock, |_| ()).unwrap();
        let tuned = super::super::tuned::tests::tuned(rows);
        let text = serde_json::to_string(&tuned).unwrap();
        assert_eq!(Tuned::parse(&text).unwrap().fastest.len(), LINEARS.len() * TOKENS.len());
    }

    #[test]
    fn the_simulator_is_refused_and_lists_what_is_legal() {
        let gpu = Gpu::open(Backend::Sim).unwrap();
        let error = tune(&gpu, &SHAPES, "", |_| ()).unwrap_err().to_string();
        assert!(error.contains("times of the simulator mean nothing"), "{error}");
        assert!(legal(&gpu, SHAPES[0]).contains(&"t64x64"));
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(
            (date(0), date(19_782), date(20_454)),
            ("1970-01-01".into(), "2024-02-29".into(), "2026-01-01".into())
        );
    }
}
