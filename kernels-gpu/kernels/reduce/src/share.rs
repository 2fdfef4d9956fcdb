//! One thread's share of a row.

use rows::{Float, Row};

/// Loads of a thread that are in flight together.
const BATCH: usize = 4;

/// Thread `rank` of the `threads` that share a row.
#[derive(Clone, Copy)]
pub(crate) struct Sharer {
    pub(crate) rank: u64,
    pub(crate) threads: u64,
}

/// The greater of `running` and the |elements| of the row that are the thread's.
///
/// # Safety
/// The row is readable and no thread of the kernel writes it.
#[inline(always)]
pub(crate) unsafe fn absmax_of_share<T: Float>(running: [u32; 2], row: &Row<T>, sharer: Sharer) -> [u32; 2] {
    // SAFETY: the row's own edge.
    let mut absmax = T::absmax(running, unsafe { row.load_edge(row.edge(sharer.rank)) });
    let share = row.share(sharer.rank, sharer.threads);
    let mut first = 0;
    while share.reaches(first) {
        let mut windows = [[0; 4]; BATCH];
        for (step, window) in windows.iter_mut().enumerate() {
            if share.has(first + step as u64) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { share.load(first + step as u64) };
            }
        }
        for &window in &windows {
            absmax = T::absmax(absmax, window);
        }
        first += BATCH as u64;
    }
    absmax
}
