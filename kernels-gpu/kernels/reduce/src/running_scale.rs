//! `running_scale`: the partial maxima of a batch → its scale, from the batches before it, and the state for the next.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `running_scale` | `RunningScaleArgs` | 256 threads | 64 static | 1 barrier, 8 shuffles |
//!
//! partials f32 `[partial_count]`; state is read and written, scale f32 `[1]` written, by one thread of block 0. Other
//! blocks do nothing: one is enough. Who may diverge: every thread, but for the maximum, which all threads of a block
//! reach together.

use contract::args::RunningScaleArgs;
use contract::grid::THREADS;
use contract::limits::RUNNING_ABSMAX_MAX;
use cuda_std::kernel;
use cuda_std::math::fma_rn_f32;
use cuda_std::memory::{ld_global_nc_b32, ld_global_v4_b32, st_global_b32, st_global_v4_b32};
use cuda_std::thread::{block_idx_x, thread_idx_x};
use rows::{Block, Group, numeric};

use crate::reduce_block_maxima;

/// The state, its floats as numbers.
struct State {
    average: f32,
    window: f32,
    samples: u32,
    left_out: u32,
}

impl State {
    /// Takes a batch in; its scale, which does not depend on it unless it is the first.
    #[inline(always)]
    fn fold(&mut self, absmax: f32, every: u32, momentum: f32) -> f32 {
        // False for NaN.
        let counts = absmax <= RUNNING_ABSMAX_MAX;
        if counts && self.average == 0.0 {
            self.average = absmax;
        }
        let scale = numeric::scale(self.average);
        if !counts {
            self.left_out = self.left_out.saturating_add(1);
            return scale;
        }
        // Neither is NaN here.
        self.window = if absmax > self.window { absmax } else { self.window };
        self.samples += 1;
        if self.samples >= every {
            self.average = fma_rn_f32(momentum, self.average, (1.0 - momentum) * self.window);
            self.window = 0.0;
            self.samples = 0;
        }
        scale
    }
}

/// x's partial maxima → the scale for x.
///
/// # Safety
/// The launch keeps to this file's contract and `args` describes live memory of these shapes.
#[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 8))]
pub unsafe fn running_scale(args: RunningScaleArgs) {
    // SAFETY: the shared array is this block's alone.
    let mut block = unsafe { Block::new(reduce_block_maxima()) };
    let mut absmax = 0;
    let mut i = thread_idx_x() as u64;
    while i < args.partial_count {
        // SAFETY: partial i exists. Its bits order as in `Float::absmax`.
        absmax = absmax.max(unsafe { ld_global_nc_b32(args.partials + 4 * i) });
        i += Block::SIZE as u64;
    }
    // SAFETY: all threads of the block are here.
    let absmax = f32::from_bits(unsafe { block.max(absmax) });
    if block_idx_x() == 0 && thread_idx_x() == 0 {
        // SAFETY: one thread of the grid reads and writes state and scale.
        unsafe {
            let [average, window, samples, left_out] = ld_global_v4_b32(args.state);
            let (average, window) = (f32::from_bits(average), f32::from_bits(window));
            let mut state = State { average, window, samples, left_out };
            let scale = state.fold(absmax, args.every, args.momentum);
            st_global_b32(args.scale, scale.to_bits());
            let State { average, window, samples, left_out } = state;
            st_global_v4_b32(args.state, [average.to_bits(), window.to_bits(), samples, left_out]);
        }
    }
}
