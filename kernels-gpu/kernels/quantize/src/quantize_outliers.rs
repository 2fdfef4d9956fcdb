//! `quantize_outliers`: x → codes and one scale a row, the outlier columns left out of the maxima and coded 0.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_outliers_T` | `QuantizeOutliersArgs` | a team's, 8 to 256 of the 256 threads | 64 static | 1 barrier, 8 shuffles a row |
//!
//! mask u32 `[ceil(cols / 32)]`, written by an earlier kernel; otherwise as `quantize_token`. Which columns are left
//! out depends on all tokens, the rest of a row's result on that row alone.
//!
//! Who may diverge: as in `quantize_token`; the loads of the mask depend on the thread.

use contract::args::{DevicePtr, QuantizeOutliersArgs};
use contract::grid::THREADS;
use cuda_std::kernel;
use cuda_std::memory::ld_global_nc_b32;
use rows::{Bf16, F16, Float, Row, Team, Window};

use crate::code::Divisor;
use crate::quantize_block_maxima;
use crate::quantize_rows::{Symmetric, held, quantize_rows};
use crate::transform::{Columns, Plain, Transform};

/// x with zeros in the outlier columns: neither a maximum nor a sum then knows of them.
#[derive(Clone, Copy)]
struct WithoutOutliers {
    /// u32 `[ceil(cols / 32)]`.
    mask: DevicePtr,
}

impl WithoutOutliers {
    /// Bit i is the bit of the i-th of `columns`; of those that follow, any.
    ///
    /// # Safety
    /// The mask has bits for the columns, of which there is one.
    #[inline(always)]
    unsafe fn bits(self, columns: Columns) -> u32 {
        let last = columns.first + columns.len as u64 - 1;
        let (first_word, last_word) = (columns.first / 32, last / 32);
        // SAFETY: the caller's.
        let low = unsafe { ld_global_nc_b32(self.mask + 4 * first_word) };
        // Windows of a row that is not aligned lie across two words.
        // SAFETY: the caller's.
        let high = if first_word == last_word { 0 } else { unsafe { ld_global_nc_b32(self.mask + 4 * last_word) } };
        ((low as u64 | (high as u64) << 32) >> (columns.first % 32)) as u32
    }
}

impl<T: Float> Transform<T> for WithoutOutliers {
    type Held = Window;
    const NOTHING: Window = [0; 4];

    #[inline(always)]
    unsafe fn hold(self, mut window: Window, columns: Columns) -> Window {
        if columns.len == 0 {
            return window;
        }
        // SAFETY: the caller's: the columns exist.
        let bits = unsafe { self.bits(columns) };
        let per_word = 4 / T::BYTES;
        // All ones in an element of 4 or 2 bytes.
        let ones = u32::MAX >> (32 - 8 * T::BYTES);
        for e in 0..Row::<T>::WINDOW {
            let outlier = (bits >> e & 1).wrapping_neg() & ones;
            window[(e / per_word) as usize] &= !(outlier << (8 * T::BYTES * (e % per_word)));
        }
        window
    }

    #[inline(always)]
    fn absmax(running: [u32; 2], held: Window) -> [u32; 2] {
        <Plain as Transform<T>>::absmax(running, held)
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        <Plain as Transform<T>>::absmax_bits(running)
    }

    #[inline(always)]
    fn codes(divisor: Divisor, held: Window) -> Window {
        <Plain as Transform<T>>::codes(divisor, held)
    }
}

/// Quantizes the team's rows without their outliers.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn quantize_outliers<T: Float, const HELD: usize>(args: &QuantizeOutliersArgs, team: Team) {
    let (rows, transform) = (&args.rows, WithoutOutliers { mask: args.mask });
    // SAFETY: the caller's.
    unsafe { quantize_rows::<T, _, _, HELD>((&rows.x, &rows.q), transform, Symmetric { scales: rows.scales }, team) }
}

/// The entry for one type of element, `blocks` to a multiprocessor: as many as leave registers for the windows that
/// a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, blocks = $blocks:literal, $name:ident) => {
        /// x → codes and one scale a row without the outlier columns.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $name(args: QuantizeOutliersArgs) {
            const HELD: usize = held::<$element>();
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_outliers::<$element, HELD>(&args, Team::new(quantize_block_maxima())) }
        }
    };
}

entry!(f32, blocks = 2, quantize_outliers_f32);
entry!(F16, blocks = 3, quantize_outliers_f16);
entry!(Bf16, blocks = 3, quantize_outliers_bf16);
