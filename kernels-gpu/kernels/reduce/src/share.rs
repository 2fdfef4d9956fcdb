//! One thread's share of a row.

use rows::{Float, Row};

/// Loads of a thread that are in flight together.
const BATCH: u32 = 4;

/// Thread `rank` of the `threads` that share a row.
#[derive(Clone, Copy)]
pub(crate) struct Sharer {
    pub(crate) rank: u64,
    pub(crate) threads: u32,
}

/// The greater of `running` and the |elements| of the row that are the thread's.
///
/// # Safety
/// The row is readable and no thread of the kernel writes it.
#[inline(always)]
pub(crate) unsafe fn absmax_of_share<T: Float>(running: [u32; 2], row: &Row<T>, sharer: Sharer) -> [u32; 2] {
    // SAFETY: the row's own edge.
    let mut absmax = T::absmax(running, unsafe { row.load_edge(row.edge(sharer.rank)) });
    let mut share = row.share(sharer.rank, sharer.threads);
    let mut first = 0;
    // A first window that begins outside the row is no reason to stop.
    while first == 0 || share.has(first) {
        let mut windows = [[0; 4]; BATCH as usize];
        for (step, window) in (first..).zip(&mut windows) {
            if share.has(step) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { share.load() };
            }
            share = share.next();
        }
        for &window in &windows {
            absmax = T::absmax(absmax, window);
        }
        first += BATCH;
    }
    absmax
}
