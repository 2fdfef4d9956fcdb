//! The walk over a matrix whose codes need nothing but the scale, which is known before a row is read.
//!
//! Warps share the matrix in units of one row and [`UNIT`] windows a lane, so that one long row occupies as many
//! warps as many short ones do.

use contract::args::{Codes, Matrix};
use rows::{Element, Group, Row, Warp, Window};

use crate::code::CodeRow;
use crate::transform::Columns;

/// Windows of a lane in one unit, all in flight together.
const UNIT: u32 = 4;

/// Stores `encode` of every window and edge of x, with their columns, and the padding of every row of codes.
///
/// # Safety
/// x and q describe live memory that keeps to the module's contract.
#[inline(always)]
pub(crate) unsafe fn encode_rows<T: Element>(x: &Matrix, q: &Codes, mut encode: impl FnMut(Window, Columns) -> Window) {
    let lane = Warp::rank() as u64;
    let unit_windows = UNIT as u64 * Warp::SIZE as u64;
    // Rounded up, this also covers a shifted row, whose windows end by then.
    let units_per_row = x.cols.div_ceil(Row::<T>::WINDOW as u64).div_ceil(unit_windows).max(1);
    let units = x.rows * units_per_row;
    let mut unit = Warp::index();
    while unit < units {
        let row_idx = unit / units_per_row;
        let unit_in_row = unit - row_idx * units_per_row;
        let row = Row::<T>::new(x, row_idx);
        let share = row.share(unit_in_row * unit_windows + lane, Warp::SIZE);
        let codes = CodeRow::new(q, row_idx);

        let mut windows = [[0; 4]; UNIT as usize];
        let mut next = share;
        for (step, window) in (0..).zip(&mut windows) {
            if share.has(step) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { next.load() };
            }
            next = next.next();
        }
        next = share;
        for (step, &window) in (0..).zip(&windows) {
            if share.has(step) {
                let columns = Columns { first: next.col(), len: Row::<T>::WINDOW };
                // SAFETY: this lane alone has this window.
                unsafe { codes.store_window(&row, columns.first, encode(window, columns)) };
            }
            next = next.next();
        }
        if unit_in_row == 0 {
            let edge = row.edge(lane);
            // SAFETY: the row's own edge; one warp has the row's first unit.
            unsafe {
                codes.store_edge::<T>(edge, encode(row.load_edge(edge), edge.into()));
                codes.store_padding(Warp::rank(), Warp::SIZE);
            }
        }
        unit += Warp::count();
    }
}
