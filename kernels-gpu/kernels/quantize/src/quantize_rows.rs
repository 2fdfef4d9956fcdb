//! The walk of the quantizers with one scale a row: a row's maximum, then its codes, x read once.

use contract::args::QuantizeTokenArgs;
use contract::grid::{CACHED_COLS, THREADS, WARP_COLS};
use cuda_std::math::opaque_b64;
use cuda_std::memory::st_global_b32;
use cuda_std::warp::WARP_SIZE;
use rows::{Float, Group, Row, WINDOW_BYTES, numeric};

use crate::code::{CodeRow, Divisor};
use crate::transform::{Columns, Transform};

/// 16-byte windows of a row of `cols` elements that each of `threads` threads holds.
const fn windows_per_thread(cols: u64, threads: u32, element_bytes: u64) -> usize {
    (cols * element_bytes).div_ceil(threads as u64 * WINDOW_BYTES as u64) as usize
}

/// Windows that a thread holds where a block has a row.
pub(crate) const fn held_by_block<T>() -> usize {
    windows_per_thread(CACHED_COLS, THREADS, size_of::<T>() as u64)
}

/// Windows that a thread holds where a warp has a row.
pub(crate) const fn held_by_warp<T>() -> usize {
    windows_per_thread(WARP_COLS, WARP_SIZE, size_of::<T>() as u64)
}

/// Quantizes the group's rows, each transformed. A row's first `HELD * G::SIZE` windows stay in registers between
/// the maximum and the codes, so that x is read once; a longer row is read on and then read again.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract, and the transform's is live for every column;
/// all threads of the group call it together.
#[inline(always)]
pub(crate) unsafe fn quantize_rows<T: Float, X: Transform<T>, G: Group, const HELD: usize>(
    args: &QuantizeTokenArgs,
    transform: X,
    mut group: G,
) {
    let rank = G::rank() as u64;
    let mut next_row_idx = G::index();
    // Warp-uniform, for a block block-uniform: the collectives below are reached together.
    while next_row_idx < args.x.rows {
        // Saves 18 registers: most launches give each group one row.
        let row_idx = opaque_b64(next_row_idx);
        let row = Row::<T>::new(&args.x, row_idx);
        let share = row.share(rank, G::SIZE as u64);
        let edge = row.edge(rank);
        let whole = |step| Columns { first: share.col(step), len: Row::<T>::WINDOW };

        // Load. All loads first, so that they are in flight together. What is not there stays 0.
        let mut windows = [[0; 4]; HELD];
        for (step, window) in windows.iter_mut().enumerate() {
            if share.has(step as u64) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { share.load(step as u64) };
            }
        }
        // SAFETY: the row's own edge.
        let window = unsafe { row.load_edge(edge) };

        // Compute: the maximum, and what follows from it in every thread alike.
        // SAFETY: the edge's own columns.
        let held_edge = unsafe { transform.hold(window, edge.into()) };
        let mut absmax = X::absmax([0; 2], held_edge);
        let mut held = [X::NOTHING; HELD];
        for (step, held) in held.iter_mut().enumerate() {
            let columns = whole(step as u64);
            let len = if share.has(step as u64) { columns.len } else { 0 };
            // SAFETY: the window's own columns, if there is one.
            *held = unsafe { transform.hold(windows[step], Columns { len, ..columns }) };
            absmax = X::absmax(absmax, *held);
        }
        let mut step = HELD as u64;
        while share.reaches(step) {
            // SAFETY: the row is live and has the window: only a first one can be missing.
            absmax = X::absmax(absmax, unsafe { transform.hold(share.load(step), whole(step)) });
            step += 1;
        }
        // SAFETY: all threads of the group are here.
        let absmax = f32::from_bits(unsafe { group.max(X::absmax_bits(absmax)) });
        let scale = numeric::scale(absmax);
        let divisor = Divisor::new(scale);

        // Store.
        let codes = CodeRow::new(&args.q, row_idx);
        // SAFETY: every code is stored by the thread that holds its number, the padding and the scale by one each.
        unsafe {
            if rank == 0 {
                st_global_b32(args.scales + 4 * row_idx, numeric::canonical(scale));
            }
            for (step, &held) in held.iter().enumerate() {
                if share.has(step as u64) {
                    codes.store_window(&row, share.col(step as u64), X::codes(divisor, held));
                }
            }
            codes.store_edge::<T>(edge, X::codes(divisor, held_edge));
            let mut step = HELD as u64;
            while share.reaches(step) {
                let held = transform.hold(share.load(step), whole(step));
                codes.store_window(&row, share.col(step), X::codes(divisor, held));
                step += 1;
            }
            codes.store_padding(G::rank(), G::SIZE);
        }
        next_row_idx += G::count();
    }
}
