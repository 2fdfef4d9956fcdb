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

use contract::args::ColumnAbsmaxArgs;
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
    unsafe fn store(self, columns: u64, col: u64, len: u32) {
        for i in 0..MOST as u32 {
            let magnitude = numeric::canonical(f32::from_bits(self.0[i as usize]));
            if i < len && magnitude != 0 {
                // SAFETY: the caller's.
                unsafe { red_relaxed_gpu_global_max_u32(columns + 4 * (col + i as u64), magnitude) };
            }
        }
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
        let end_row = x.rows.min((of_rows + 1) * COLUMN_ROWS);
        let mut row_idx = of_rows * COLUMN_ROWS + unit % ROW_STEP;
        // Where the columns of this lane begin is the same in all its rows.
        let share = Row::<T>::new(x, row_idx).share(group * Warp::SIZE as u64 + lane, 1);
        // The edges of the rows are the first group's, one lane each.
        let edge = Row::<T>::new(x, row_idx).edge(if group == 0 { lane } else { u64::MAX });
        let (mut maxima, mut edge_maxima) = (Maxima([0; MOST]), Maxima([0; MOST]));
        while row_idx < end_row {
            let row = |step: u64| Row::<T>::new(x, row_idx + step * ROW_STEP);
            let mut windows = [[0; 4]; BATCH as usize];
            for (step, window) in windows.iter_mut().enumerate() {
                if share.has(0) && row_idx + step as u64 * ROW_STEP < end_row {
                    // SAFETY: the row is live and has the window, as the first one has.
                    *window = unsafe { row(step as u64).share(group * Warp::SIZE as u64 + lane, 1).load(0) };
                }
            }
            for window in windows {
                maxima.meet::<T>(window);
            }
            if edge.len > 0 {
                for step in 0..BATCH {
                    if row_idx + step * ROW_STEP < end_row {
                        // SAFETY: the row is live; its edge is that of the first one.
                        edge_maxima.meet::<T>(unsafe { row(step).load_edge(edge) });
                    }
                }
            }
            row_idx += BATCH * ROW_STEP;
        }
        // SAFETY: the window's and the edge's own columns.
        unsafe {
            maxima.store(args.absmax, share.col(0), if share.has(0) { Row::<T>::WINDOW } else { 0 });
            edge_maxima.store(args.absmax, edge.col, edge.len);
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
