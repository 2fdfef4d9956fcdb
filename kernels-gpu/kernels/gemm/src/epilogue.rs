//! From accumulators to y: what every epilogue shares. Scale, add, round once, store.
//!
//! What an op does with an accumulator is its [`Epilogue`], a type known when the entry is compiled: no kernel pays
//! for another's.

use contract::args::GemmArgs;
use contract::fragment::pair_element;
use cuda_std::warp::lane_id;
use product::Output;

use crate::main_loop::WarpPosition;
use crate::tile_walk::{Accumulators, Config, Origin};

/// Columns side by side that a lane holds in a pair of n8 operands (`contract::fragment::w_row`).
pub(crate) const QUAD: usize = 4;

/// An op's argument, and what becomes of the accumulators under it.
pub(crate) trait Epilogue {
    /// What it takes from a row of y: loaded once a tile, held in registers.
    type Row: Copy;
    /// What it takes from a column of y.
    type Column: Copy;
    /// In place of a row that is not in y, whose values are never stored.
    const NO_ROW: Self::Row;
    /// In place of a column that is not in y.
    const NO_COLUMN: Self::Column;

    /// The product whose accumulators they are.
    fn product(&self) -> &GemmArgs;

    /// Loads what it takes from row `row`.
    ///
    /// # Safety
    /// The row is in y.
    unsafe fn row(&self, row: u64) -> Self::Row;

    /// Loads what it takes from column `col`.
    ///
    /// # Safety
    /// The column is in y.
    unsafe fn column(&self, col: u64) -> Self::Column;

    /// Loads what it takes from columns `col` to `col` + 3, `col` a multiple of four.
    ///
    /// # Safety
    /// The columns are in y.
    unsafe fn columns(&self, col: u64) -> [Self::Column; QUAD];

    /// The f32 of four outputs side by side, the first at `at`. Any of them may lie outside y: what they are then
    /// does not matter, but nothing that is not there may be read for them.
    ///
    /// # Safety
    /// The argument describes live memory that keeps to the contract of its device file.
    unsafe fn values(&self, at: Origin, acc: [i32; QUAD], row: Self::Row, columns: [Self::Column; QUAD])
    -> [f32; QUAD];
}

/// Stores the thread's outputs of the tile at `origin`, as far as they are inside y.
///
/// # Safety
/// `args` describes live memory that keeps to the contract of its device file.
#[inline(always)]
pub(crate) unsafe fn store<C: Config, O: Output, E: Epilogue, const FRAGS_M: usize, const FRAGS_N: usize>(
    args: &E,
    origin: Origin,
    acc: &Accumulators<FRAGS_M, FRAGS_N>,
) {
    let y = &args.product().y;
    let warp = WarpPosition::of_this_thread(C::TILE);
    let (lane_row, lane_col) = pair_element(lane_id(), 0, 0);
    let first_row = origin.row + (warp.row + lane_row) as u64;
    let first_col = origin.col + (warp.col + lane_col) as u64;
    // Columns of quads are multiples of four, so that the first address and the stride decide for all.
    let quads_aligned =
        y.ptr.is_multiple_of((QUAD as u32 * O::BYTES) as u64) && y.row_stride.is_multiple_of(QUAD as u64);

    // A lane holds rows r and r + 8 of each m16 operand.
    let mut rows = [[E::NO_ROW; 2]; FRAGS_M];
    if O::SCALED {
        for i in 0..FRAGS_M {
            for half in 0..2 {
                let row = first_row + (16 * i + 8 * half) as u64;
                if row < y.rows {
                    // SAFETY: the row is in y.
                    rows[i][half] = unsafe { args.row(row) };
                }
            }
        }
    }

    for pair in 0..FRAGS_N / 2 {
        let col = first_col + 16 * pair as u64;
        let mut columns = [E::NO_COLUMN; QUAD];
        if O::SCALED && col + QUAD as u64 <= y.cols {
            // SAFETY: the columns are in y.
            columns = unsafe { args.columns(col) };
        } else if O::SCALED {
            for e in 0..QUAD {
                if col + (e as u64) < y.cols {
                    // SAFETY: the column is in y.
                    columns[e] = unsafe { args.column(col + e as u64) };
                }
            }
        }
        for i in 0..FRAGS_M {
            for half in 0..2 {
                let row = first_row + (16 * i + 8 * half) as u64;
                let (left, right) = (acc[i][2 * pair], acc[i][2 * pair + 1]);
                let quad = [left[2 * half], left[2 * half + 1], right[2 * half], right[2 * half + 1]];
                let mut values = [0.0; QUAD];
                if O::SCALED {
                    // SAFETY: the caller's.
                    values = unsafe { args.values(Origin { row, col }, quad, rows[i][half], columns) };
                }
                let mut bits = [0; QUAD];
                for e in 0..QUAD {
                    bits[e] = O::bits(quad[e], values[e]);
                }
                let addr = y.ptr + (row * y.row_stride + col) * O::BYTES as u64;
                if row >= y.rows {
                    continue;
                }
                // SAFETY: the elements are inside y, and the address is aligned where four are stored at once.
                unsafe {
                    if quads_aligned && col + QUAD as u64 <= y.cols {
                        O::store_four(addr, bits);
                    } else {
                        for e in 0..QUAD {
                            if col + (e as u64) < y.cols {
                                O::store(addr + e as u64 * O::BYTES as u64, bits[e]);
                            }
                        }
                    }
                }
            }
        }
    }
}
