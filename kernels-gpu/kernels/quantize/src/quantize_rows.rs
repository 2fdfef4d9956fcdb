//! The walk of the quantizers that look at a row before they make its codes, x read once.

use contract::args::{Codes, DevicePtr, Matrix};
use contract::grid::HELD_COLS;
use cuda_std::math::{opaque_b32, opaque_b64};
use cuda_std::memory::st_global_b32;
use rows::{Float, Row, Team, WINDOW_BYTES, Window, numeric};

use crate::code::{CodeRow, Divisor};
use crate::transform::{Columns, Transform};

/// Windows that a thread holds.
pub(crate) const fn held<T>() -> usize {
    HELD_COLS as usize * size_of::<T>() / WINDOW_BYTES as usize
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
    /// All threads of the block call it together.
    unsafe fn conclude(self, running: [u32; 2], team: &mut Team) -> Self::Encoder;

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
    unsafe fn conclude(self, running: [u32; 2], team: &mut Team) -> Divisor {
        // SAFETY: the caller's.
        let absmax = f32::from_bits(unsafe { team.max(X::absmax_bits(running)) });
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

/// Quantizes the team's rows of `x`, each transformed, to `q`. A row's first `HELD` windows a thread stay in registers
/// between the look at the row and the codes, so that x is read once; a longer row is read on and then read again, the
/// second time out of the L2 cache if it is as new there as it should be.
///
/// # Safety
/// `x` and `q` describe live memory that keeps to the module's contract, the transform's is live for every column,
/// the rule's for every row; all threads of the block call it together.
#[inline(always)]
pub(crate) unsafe fn quantize_rows<T: Float, X: Transform<T>, R: RowRule<T, X>, const HELD: usize>(
    (x, q): (&Matrix, &Codes),
    transform: X,
    rule: R,
    mut team: Team,
) {
    let (rank, threads) = (team.rank(), team.threads());
    let mut first_row_idx = team.first();
    // Block-uniform: the collectives below are reached together, also by a team whose row does not exist.
    while first_row_idx < x.rows {
        // Opaque, so that no address is kept for a next row: most launches give each team one.
        let row_idx = opaque_b64(first_row_idx) + team.place() as u64;
        let exists = row_idx < x.rows;
        let x = Matrix { cols: if exists { x.cols } else { 0 }, ..*x };
        let whole = |first| Columns { first, len: Row::<T>::WINDOW };

        // Load. All loads first, so that they are in flight together. What is not there stays 0.
        let row = Row::<T>::new(&x, row_idx);
        let share = row.share(rank as u64, threads);
        let mut windows = [[0; 4]; HELD];
        let mut next = share;
        for (step, window) in (0..).zip(&mut windows) {
            if share.has(step) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { next.load() };
            }
            next = next.next();
        }
        let mut end_bits = [0; 2];
        // Most rows are whole windows.
        if row.has_ends() {
            for end in 0..2 {
                if let Some(col) = row.end(end, rank) {
                    // SAFETY: the row is live and has the column.
                    end_bits[end as usize] = unsafe { row.load(col) };
                }
            }
        }

        // Compute: look at the row, and what follows from it in every thread alike.
        let mut running = [0; 2];
        let mut held = [X::NOTHING; HELD];
        next = share;
        for (step, held) in (0..).zip(&mut held) {
            let len = if share.has(step) { Row::<T>::WINDOW } else { 0 };
            // SAFETY: the window's own columns, if there is one.
            *held = unsafe { transform.hold(windows[step as usize], Columns { first: next.col(), len }) };
            running = R::look(running, *held);
            next = next.next();
        }
        let mut step = HELD as u32;
        while share.has(step) {
            // SAFETY: the row is live and has the window.
            running = R::look(running, unsafe { transform.hold(next.load(), whole(next.col())) });
            next = next.next();
            step += 1;
        }
        if row.has_ends() {
            for end in 0..2 {
                if let Some(first) = row.end(end, rank) {
                    let window = [end_bits[end as usize], 0, 0, 0];
                    // SAFETY: the element's own column.
                    running = R::look(running, unsafe { transform.hold(window, Columns { first, len: 1 }) });
                }
            }
        }
        // SAFETY: all threads of the block are here.
        let encoder = unsafe { rule.conclude(running, &mut team) };

        // Store. Places are made anew, so that no register keeps one meanwhile.
        let (row_idx, rank) = (opaque_b64(row_idx), opaque_b32(rank));
        let row = Row::<T>::new(&x, row_idx);
        let share = row.share(rank as u64, threads);
        let codes = CodeRow::new(q, row_idx);
        next = share;
        // SAFETY: every code is stored by the thread that holds its number, the padding and the rest by one each, and
        // a row that does not exist has neither windows nor ends.
        unsafe {
            for (step, &held) in (0..).zip(&held) {
                if share.has(step) {
                    codes.store_window(&row, next.col(), R::codes(encoder, held));
                }
                next = next.next();
            }
            step = HELD as u32;
            while share.has(step) {
                let held = transform.hold(next.load(), whole(next.col()));
                codes.store_window(&row, next.col(), R::codes(encoder, held));
                next = next.next();
                step += 1;
            }
            if row.has_ends() {
                for end in 0..2 {
                    if let Some(first) = row.end(end, rank) {
                        let held = transform.hold([end_bits[end as usize], 0, 0, 0], Columns { first, len: 1 });
                        codes.store_one(first, R::codes(encoder, held));
                    }
                }
            }
            if exists {
                if rank == 0 {
                    rule.store(row_idx, encoder);
                }
                codes.store_padding(rank, threads);
            }
        }
        first_row_idx += team.count();
    }
}
