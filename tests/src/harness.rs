//! The GPU that the tests run on, and how results are compared.

use cuda_builder::ptxas::Ptxas;
use outerscale::{Backend, Element, Gpu, Layout, Workspace, ops::Choice, registry};
use proptest::{prelude::*, test_runner::Config};
use std::{io::Write, path::Path, sync::OnceLock};

/// What a test process runs on: the simulator, or the GPU where `OUTERSCALE_BACKEND=cuda` says so. The simulator is of
/// the architecture that `OUTERSCALE_TEST_ARCH` names.
///
/// # Panics
/// If that driver has no device.
pub fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    let arch = std::env::var("OUTERSCALE_TEST_ARCH").ok();
    GPU.get_or_init(|| Gpu::open_with_arch(backend(), arch.as_deref()).unwrap_or_else(|e| panic!("{e}")))
}

/// The simulator unless the environment names another: a GPU that happens to be there has its own test.
pub fn backend() -> Backend {
    match Backend::from_env().unwrap_or_else(|e| panic!("{e}")) {
        Backend::Auto => Backend::Sim,
        named => named,
    }
}

/// `cases` cases a property, times `OUTERSCALE_CASES` (1 by default) for those who have time.
pub fn cases(cases: u32) -> Config {
    let times = std::env::var("OUTERSCALE_CASES").map_or(1, |word| {
        word.parse().unwrap_or_else(|_| panic!("OUTERSCALE_CASES: a whole number of times, got {word:?}"))
    });
    // A failure prints its shrunk case, which is a few numbers and a seed: nothing needs to be kept in files.
    Config { cases: cases * times, failure_persistence: None, max_shrink_iters: 60, ..Config::default() }
}

/// Says on the terminal, past the capture of test output, that a test could not run here; a failure where
/// the variable `required` is set.
pub fn skipped(what: &str, why: &str, required: &str) {
    let is_required = std::env::var(required).is_ok_and(|value| value != "0");
    assert!(!is_required, "{what}: {why}, and {required} is set");
    // The macros are captured; the stream itself is not. A closed terminal is no reason to fail.
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
}

/// ptxas, which keeps what it says under `folder` (`CARGO_TARGET_TMPDIR`), so that only kernels that have changed are assembled
/// again. Without one the test is skipped, unless the environment demands it.
///
/// # Panics
/// If that folder cannot be used.
pub fn ptxas(what: &str, folder: &str) -> Option<Ptxas> {
    match Ptxas::find() {
        Ok(ptxas) => Some(ptxas.keeping_in(&Path::new(folder).join("ptxas")).unwrap_or_else(|e| panic!("{e}"))),
        Err(why) => {
            skipped(what, &why.to_string(), "OUTERSCALE_REQUIRE_PTXAS");
            None
        }
    }
}

/// Every variant of an op that has kernels for this GPU, by its name.
///
/// # Panics
/// If there is no such op.
pub fn variants(op: &str) -> impl Iterator<Item = Choice<'static>> {
    let op = registry::op(op).unwrap_or_else(|| panic!("no op {op} in the registry"));
    let runs = op.table.variants.iter().filter(|variant| gpu().arch().text(variant.module).is_some());
    runs.map(|variant| Choice::Named(variant.name))
}

/// A workspace of 8 MiB, as much as the small products of the tests need.
///
/// # Panics
/// If there is no memory for it.
pub fn workspace() -> Workspace {
    Workspace::new(gpu(), 8 << 20).unwrap_or_else(|e| panic!("{e}"))
}

/// Fails with the first element whose bits differ. `cols` only serves to say where it is.
///
/// # Panics
/// If lengths or bits differ.
#[track_caller]
pub fn assert_bits<T: Element>(what: &str, got: &[T], want: &[T], cols: usize) {
    assert_eq!(got.len(), want.len(), "{what}: number of elements");
    let differs = |i: &usize| got[*i].bits() != want[*i].bits();
    if let Some(i) = (0..got.len()).find(differs) {
        let all = (i..got.len()).filter(differs).count();
        let (g, w) = (got[i], want[i]);
        let (row, col) = (i / cols.max(1), i % cols.max(1));
        panic!(
            "{what}: {all} of {} differ, the first at ({row}, {col}): got {g:?} ({:#x}), want {w:?} ({:#x})",
            got.len(),
            g.bits(),
            w.bits()
        );
    }
}

/// A matrix's shape, and where it lies: `gap` elements between rows, `offset` before the first.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Elements between the end of a row and the next.
    pub gap: usize,
    /// Elements before the first.
    pub offset: usize,
}

impl Place {
    /// Rows without gaps.
    pub fn contiguous(rows: usize, cols: usize) -> Place {
        Place { rows, cols, gap: 0, offset: 0 }
    }

    /// As the library takes it.
    pub fn layout(&self) -> Layout {
        Layout::contiguous(self.rows as u64, self.cols as u64)
            .with_row_stride((self.cols + self.gap) as u64)
            .with_offset(self.offset as u64)
    }
}

/// Row counts for the quantizers: none, one, odd, one past a warp's or a block's share.
pub fn some_rows() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0usize), 3 => Just(1), 6 => 2usize..20]
}

/// Column counts: one, odd, around every vector width, warp step, padding and the block's share.
pub fn some_cols() -> impl Strategy<Value = usize> {
    let edges = [
        1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 127, 128, 129, 255, 256, 257, 511, 513, 1023, 1024, 1025,
        2047, 2049,
    ];
    prop_oneof![6 => prop::sample::select(edges.to_vec()), 3 => 1usize..600, 1 => 600usize..4200]
}

/// Any shape, row stride and element alignment.
pub fn some_place() -> impl Strategy<Value = Place> {
    // Half the gaps leave rows at one alignment, the others let it change from row to row.
    let gap = prop_oneof![4 => Just(0usize), 2 => 1usize..9, 1 => Just(16), 1 => Just(64)];
    let offset = prop_oneof![4 => Just(0usize), 3 => 1usize..8, 1 => Just(8)];
    (some_rows(), some_cols(), gap, offset).prop_map(|(rows, cols, gap, offset)| Place { rows, cols, gap, offset })
}
