//! `quantize_token`: the reduction fused with the quantization, one group of threads a row.

use contract::args::QuantizeTokenArgs;
use cuda_std::math::opaque_b64;
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
    let mut next_row_idx = G::index();
    // Warp-uniform, for a block block-uniform: the collectives below are reached together.
    while next_row_idx < args.x.rows {
        // Saves 18 registers: most launches give each group one row.
        let row_idx = opaque_b64(next_row_idx);
        let row = Row::<T>::new(&args.x, row_idx);
        let share = row.share(rank, G::SIZE as u64);
        let edge = row.edge(rank);

        // Load. All loads first, so that they are in flight together. What is not there stays 0.
        let mut held = [[0; 4]; HELD];
        for (step, window) in held.iter_mut().enumerate() {
            if share.has(step as u64) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { share.load(step as u64) };
            }
        }
        // SAFETY: the row's own edge.
        let held_edge = unsafe { row.load_edge(edge) };

        // Compute: the maximum, and what follows from it in every thread alike.
        let mut absmax = T::absmax([0; 2], held_edge);
        for &window in &held {
            absmax = T::absmax(absmax, window);
        }
        let mut step = HELD as u64;
        while share.reaches(step) {
            // SAFETY: the row is live and has the window: only a first one can be missing.
            absmax = T::absmax(absmax, unsafe { share.load(step) });
            step += 1;
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
            for (step, &window) in held.iter().enumerate() {
                if share.has(step as u64) {
                    codes.store_window(&row, share.col(step as u64), divisor.codes::<T>(window));
                }
            }
            codes.store_edge::<T>(edge, divisor.codes::<T>(held_edge));
            let mut step = HELD as u64;
            while share.reaches(step) {
                codes.store_window(&row, share.col(step), divisor.codes::<T>(share.load(step)));
                step += 1;
            }
            codes.store_padding(G::rank(), G::SIZE);
        }
        next_row_idx += G::count();
    }
}
