//! The walk of the quantizers that look at a row before they make its codes, x read once.

use contract::args::{Codes, DevicePtr, Matrix};
use contract::grid::{CACHED_COLS, THREADS, WARP_COLS};
use cuda_std::math::opaque_b64;
use cuda_std::memory::st_global_b32;
use cuda_std::warp::WARP_SIZE;
use rows::{Float, Group, Row, WINDOW_BYTES, Window, numeric};

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

/// What becomes of a row once its numbers are known: chosen when a kernel is compiled.
pub(crate) trait RowRule<T: Float, X: Transform<T>>: Copy {
    /// What all codes of a row are made with.
    type Encoder: Copy;

    /// What is known of a row, `running`, with a window of it more. It begins as zeros, and zeros must not change it.
    fn look(running: [u32; 2], held: X::Held) -> [u32; 2];

    /// What follows from the whole row, in every thread alike.
    ///
    /// # Safety
    /// All threads of the group call it together.
    unsafe fn conclude<G: Group>(self, running: [u32; 2], group: &mut G) -> Self::Encoder;

    /// Stores what the row has besides codes.
    ///
    /// # Safety
    /// Row `row_idx` exists, and this thread alone stores for it.
    unsafe fn store(self, row_idx: u64, encoder: Self::Encoder);

    /// The codes of a window, four a word.
    fn codes(encoder: Self::Encoder, held: X::Held) -> Window;
}

/// The symmetric scale and codes.
#[derive(Clone, Copy)]
pub(crate) struct Symmetric {
    /// f32 `[rows]`.
    pub(crate) scales: DevicePtr,
}

impl<T: Float, X: Transform<T>> RowRule<T, X> for Symmetric {
    type Encoder = Divisor;

    #[inline(always)]
    fn look(running: [u32; 2], held: X::Held) -> [u32; 2] {
        X::absmax(running, held)
    }

    #[inline(always)]
    unsafe fn conclude<G: Group>(self, running: [u32; 2], group: &mut G) -> Divisor {
        // SAFETY: the caller's.
        let absmax = f32::from_bits(unsafe { group.max(X::absmax_bits(running)) });
        Divisor::new(numeric::scale(absmax))
    }

    #[inline(always)]
    unsafe fn store(self, row_idx: u64, divisor: Divisor) {
        // SAFETY: the caller's; every row has a scale.
        unsafe { st_global_b32(self.scales + 4 * row_idx, numeric::canonical(divisor.scale())) }
    }

    #[inline(always)]
    fn codes(divisor: Divisor, held: X::Held) -> Window {
        X::codes(divisor, held)
    }
}

/// Quantizes the group's rows of `x`, each transformed, to `q`. A row's first `HELD * G::SIZE` windows stay in
/// registers between the look at the row and the codes, so that x is read once; a longer row is read on and then
/// read again.
///
/// # Safety
/// `x` and `q` describe live memory that keeps to the module's contract, the transform's is live for every column,
/// the rule's for every row; all threads of the group call it together.
#[inline(always)]
pub(crate) unsafe fn quantize_rows<T: Float, X: Transform<T>, R: RowRule<T, X>, G: Group, const HELD: usize>(
    (x, q): (&Matrix, &Codes),
    transform: X,
    rule: R,
    mut group: G,
) {
    let rank = G::rank() as u64;
    let mut next_row_idx = G::index();
    // Warp-uniform, for a block block-uniform: the collectives below are reached together.
    while next_row_idx < x.rows {
        // Saves 18 registers: most launches give each group one row.
        let row_idx = opaque_b64(next_row_idx);
        let row = Row::<T>::new(x, row_idx);
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

        // Compute: look at the row, and what follows from it in every thread alike.
        // SAFETY: the edge's own columns.
        let held_edge = unsafe { transform.hold(window, edge.into()) };
        let mut running = R::look([0; 2], held_edge);
        let mut held = [X::NOTHING; HELD];
        for (step, held) in held.iter_mut().enumerate() {
            let columns = whole(step as u64);
            let len = if share.has(step as u64) { columns.len } else { 0 };
            // SAFETY: the window's own columns, if there is one.
            *held = unsafe { transform.hold(windows[step], Columns { len, ..columns }) };
            running = R::look(running, *held);
        }
        let mut step = HELD as u64;
        while share.reaches(step) {
            // SAFETY: the row is live and has the window: only a first one can be missing.
            running = R::look(running, unsafe { transform.hold(share.load(step), whole(step)) });
            step += 1;
        }
        // SAFETY: all threads of the group are here.
        let encoder = unsafe { rule.conclude(running, &mut group) };

        // Store.
        let codes = CodeRow::new(q, row_idx);
        // SAFETY: every code is stored by the thread that holds its number, the padding and the rest by one each.
        unsafe {
            if rank == 0 {
                rule.store(row_idx, encoder);
            }
            for (step, &held) in held.iter().enumerate() {
                if share.has(step as u64) {
                    codes.store_window(&row, share.col(step as u64), R::codes(encoder, held));
                }
            }
            codes.store_edge::<T>(edge, R::codes(encoder, held_edge));
            let mut step = HELD as u64;
            while share.reaches(step) {
                let held = transform.hold(share.load(step), whole(step));
                codes.store_window(&row, share.col(step), R::codes(encoder, held));
                step += 1;
            }
            codes.store_padding(G::rank(), G::SIZE);
        }
        next_row_idx += G::count();
    }
}
