//! `quantize_token`: the reduction fused with the quantization, one group of threads a row.

use contract::args::QuantizeTokenArgs;
use cuda_std::memory::st_global_b32;
use rows::{Float, Group, Row, numeric};

use crate::code::{CodeRow, Divisor};

/// Quantizes the group's rows. A row's first `HELD * G::SIZE` windows stay in registers between the maximum and the
/// codes, so that x is read once; a longer row is read on and then read again.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract; all threads of the group call it together.
#[inline(always)]
pub(crate) unsafe fn quantize<T: Float, G: Group, const HELD: usize>(args: &QuantizeTokenArgs, mut group: G) {
    let rank = G::rank() as u64;
    let mut row_idx = G::index();
    // Warp-uniform, for a block block-uniform: the collectives below are reached together.
    while row_idx < args.x.rows {
        let row = Row::<T>::new(&args.x, row_idx);
        let edge = row.edge(rank);

        // Load. All loads first, so that they are in flight together. What is not there stays 0.
        let mut held = [[0; 4]; HELD];
        for step in 0..HELD {
            let i = rank + step as u64 * G::SIZE as u64;
            if row.is_whole(i) {
                // SAFETY: the window is whole, the row live.
                held[step] = unsafe { row.window(i) };
            }
        }
        // SAFETY: the row's own edge.
        let held_edge = unsafe { row.load_edge(edge) };

        // Compute: the maximum, and what follows from it in every thread alike.
        let mut absmax = T::absmax([0; 2], held_edge);
        for window in held {
            absmax = T::absmax(absmax, window);
        }
        let first_unheld = rank + HELD as u64 * G::SIZE as u64;
        let mut i = first_unheld;
        while i < row.end_window() {
            // SAFETY: a row's windows after its first are whole up to the end.
            absmax = T::absmax(absmax, unsafe { row.window(i) });
            i += G::SIZE as u64;
        }
        // SAFETY: all threads of the group are here.
        let absmax = f32::from_bits(unsafe { group.max(T::absmax_bits(absmax)) });
        let scale = numeric::scale(absmax);
        let divisor = Divisor::new(scale);

        // Store.
        let codes = CodeRow::new(&args.q, row_idx);
        // SAFETY: every code is stored by the thread that holds its number, the padding and the scale by one each.
        unsafe {
            if rank == 0 {
                st_global_b32(args.scales + 4 * row_idx, numeric::canonical(scale));
            }
            for step in 0..HELD {
                let i = rank + step as u64 * G::SIZE as u64;
                if row.is_whole(i) {
                    codes.store_window(&row, i, divisor.codes::<T>(held[step]));
                }
            }
            codes.store_edge::<T>(edge, divisor.codes::<T>(held_edge));
            let mut i = first_unheld;
            while i < row.end_window() {
                codes.store_window(&row, i, divisor.codes::<T>(row.window(i)));
                i += G::SIZE as u64;
            }
            codes.store_padding(G::rank(), G::SIZE);
        }
        row_idx += G::count();
    }
}
