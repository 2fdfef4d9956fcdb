//! `column_absmax`: x → the absmax of each column, on top of what is there: batches of tokens stream through it.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `column_absmax_T` | `ColumnAbsmaxArgs` | 256 threads | 0 | none |
//!
//! absmax f32 `[cols]`, as the bits of magnitudes, zeros before the first batch; a NaN is the canonical one. Maxima of
//! integers: the order of batches, blocks and threads does not show. Who may diverge: every thread.
//!
//! Warps share the matrix in units of 32 windows of columns by 32 rows, of which each is eight below the last: rows
//! that far apart lie alike relative to 16-byte boundaries, whatever the row stride (eight elements of 16 bits and
//! twice four of 32 are 16 bytes). So a lane has the same columns in all its rows, and their maxima stay in registers.

use contract::args::{ColumnAbsmaxArgs, Matrix};
use contract::grid::{COLUMN_ROWS, THREADS};
use cuda_std::atomic::red_relaxed_gpu_global_max_u32;
use cuda_std::kernel;
use rows::{Bf16, F16, Float, Group, Row, Warp, Window, numeric};

/// Rows from one of a warp's rows to the next.
const ROW_STEP: u64 = 8;

/// Loads of a thread that are in flight together.
const BATCH: u64 = 4;

/// Elements that a window has at most.
const MOST: usize = 8;

/// The largest magnitudes of a window's columns.
#[derive(Clone, Copy)]
struct Maxima([u32; MOST]);

impl Maxima {
    #[inline(always)]
    fn meet<T: Float>(&mut self, window: Window) {
        for i in 0..Row::<T>::WINDOW {
            // Patterns of magnitudes order as the numbers do, with NaN above Inf: `max.f32` would drop it.
            let magnitude = T::widen(window, i).to_bits() & 0x7fff_ffff;
            let max = &mut self.0[i as usize];
            *max = magnitude.max(*max);
        }
    }

    /// Adds the first `len` to the `columns` from `col` on. Zeros change nothing and are left out: a dead channel or
    /// a lane without a window costs no atomic.
    ///
    /// # Safety
    /// The columns are live and accessed by nothing but atomics.
    #[inline(always)]
    unsafe fn store<T: Float>(self, columns: u64, col: u64, len: u32) {
        for i in 0..Row::<T>::WINDOW {
            let magnitude = numeric::canonical(f32::from_bits(self.0[i as usize]));
            if i < len && magnitude != 0 {
                // SAFETY: the caller's.
                unsafe { red_relaxed_gpu_global_max_u32(columns + 4 * (col + i as u64), magnitude) };
            }
        }
    }
}

/// A warp's rows: from `first` on, [`ROW_STEP`] apart, before `end`.
#[derive(Clone, Copy)]
struct Rows {
    first: u64,
    end: u64,
}

impl Rows {
    /// The maxima of what `load` gives of each row of x, zeros where `present` is false.
    #[inline(always)]
    fn maxima<T: Float>(self, x: &Matrix, present: bool, load: impl Fn(Row<T>) -> Window) -> Maxima {
        let mut maxima = Maxima([0; MOST]);
        let mut row_idx = self.first;
        while present && row_idx < self.end {
            let mut windows = [[0; 4]; BATCH as usize];
            for (step, window) in windows.iter_mut().enumerate() {
                let row_idx = row_idx + step as u64 * ROW_STEP;
                if row_idx < self.end {
                    *window = load(Row::new(x, row_idx));
                }
            }
            for window in windows {
                maxima.meet::<T>(window);
            }
            row_idx += BATCH * ROW_STEP;
        }
        maxima
    }
}

/// # Safety
/// `args` describes live memory that keeps to the file's contract.
#[inline(always)]
unsafe fn column_absmax<T: Float>(args: &ColumnAbsmaxArgs) {
    let x = &args.x;
    let lane = Warp::rank() as u64;
    // One more than whole windows: a row that is not aligned begins or ends in another.
    let groups = (x.cols.div_ceil(Row::<T>::WINDOW as u64) + 1).div_ceil(Warp::SIZE as u64);
    let units = x.rows.div_ceil(COLUMN_ROWS) * groups * ROW_STEP;
    let mut unit = Warp::index();
    while unit < units {
        // The warps of a block take neighbouring rows of the same columns.
        let (of_rows, group) = (unit / (ROW_STEP * groups), unit / ROW_STEP % groups);
        let first = of_rows * COLUMN_ROWS + unit % ROW_STEP;
        let rows = Rows { first, end: x.rows.min((of_rows + 1) * COLUMN_ROWS) };
        let window_idx = group * Warp::SIZE as u64 + lane;
        // Which columns these are is the same in all the warp's rows.
        let share = Row::<T>::new(x, first).share(window_idx, 1);
        // SAFETY: the rows are live and have the window, as the first one has.
        let load = |row: Row<T>| unsafe { row.share(window_idx, 1).load() };
        let maxima = rows.maxima::<T>(x, share.has(0), load);
        // SAFETY: the window's own columns.
        unsafe { maxima.store::<T>(args.absmax, share.col(), if share.has(0) { Row::<T>::WINDOW } else { 0 }) };
        if group == 0 {
            // The edges of the rows are the first group's, one lane each. After the windows, not with them: both at
            // once take more registers than there are.
            let edge = Row::<T>::new(x, first).edge(lane);
            // SAFETY: the rows are live; their edge is that of the first one.
            let load = |row: Row<T>| unsafe { row.load_edge(edge) };
            let maxima = rows.maxima::<T>(x, edge.len > 0, load);
            // SAFETY: the edge's own columns.
            unsafe { maxima.store::<T>(args.absmax, edge.col, edge.len) };
        }
        unit += Warp::count();
    }
}

/// The entry for one type of element.
macro_rules! entry {
    ($element:ty, $name:ident) => {
        /// x → the absmax of each column.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4))]
        pub unsafe fn $name(args: ColumnAbsmaxArgs) {
            // SAFETY: the caller's.
            unsafe { column_absmax::<$element>(&args) }
        }
    };
}

entry!(f32, column_absmax_f32);
entry!(F16, column_absmax_f16);
entry!(Bf16, column_absmax_bf16);
