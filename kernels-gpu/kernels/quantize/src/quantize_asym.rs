//! `quantize_asym`: x → codes, one scale and one zero point a row, the reduction fused with the quantization.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_asym_T` | `QuantizeAsymArgs` | a team's, 8 to 256 of the 256 threads | 64 static | 2 barriers, 16 shuffles a row |
//!
//! Right for any K and any team; a row of up to 64 columns a thread is read once.
//! scales f32 `[rows]`, zero points i32 `[rows]`. What a row becomes depends on that row alone.
//!
//! Who may diverge: blocks go their own ways; inside a block only loads and stores depend on the thread or the row, and
//! no collective does.

use contract::args::{DevicePtr, QuantizeAsymArgs};
use contract::grid::THREADS;
use contract::limits::CODE_MIN_ASYM;
use cuda_std::cvt::cvt_rni_s32_f32;
use cuda_std::kernel;
use cuda_std::math::div_rn_f32;
use cuda_std::memory::st_global_b32;
use rows::{Bf16, F16, Float, Team, Window, numeric};

use crate::code::Divisor;
use crate::quantize_block_maxima;
use crate::quantize_rows::{RowRule, held, quantize_rows};
use crate::transform::Plain;

/// The asymmetric scale, zero point and codes.
#[derive(Clone, Copy)]
struct Asymmetric {
    scales: DevicePtr,
    zero_points: DevicePtr,
}

#[derive(Clone, Copy)]
struct Encoder {
    divisor: Divisor,
    zero_point: i32,
}

impl<T: Float> RowRule<T, Plain> for Asymmetric {
    type Encoder = Encoder;

    #[inline(always)]
    fn look(running: [u32; 2], window: Window) -> [u32; 2] {
        T::extremes(running, window)
    }

    #[inline(always)]
    unsafe fn conclude(self, running: [u32; 2], team: &mut Team) -> Encoder {
        let [high, low] = T::extremes_bits(running);
        // SAFETY: the caller's. Patterns of magnitudes order as unsigned integers, NaN last.
        let (high, low) = unsafe { (f32::from_bits(team.max(high)), f32::from_bits(team.max(low))) };
        // `low` is the magnitude of the least: hi − lo is a sum.
        let scale = numeric::scale_of_range(high + low);
        let rounded = cvt_rni_s32_f32(CODE_MIN_ASYM + div_rn_f32(low, scale));
        // In range by itself: low / scale is in [0, 255]. 0 where the scale is not finite, so that codes of 0 make
        // nothing but NaN of it.
        let zero_point = if scale.is_finite() { rounded } else { 0 };
        Encoder { divisor: Divisor::new(scale), zero_point }
    }

    #[inline(always)]
    unsafe fn store(self, row_idx: u64, encoder: Encoder) {
        // SAFETY: the caller's; every row has a scale and a zero point.
        unsafe {
            st_global_b32(self.scales + 4 * row_idx, numeric::canonical(encoder.divisor.scale()));
            st_global_b32(self.zero_points + 4 * row_idx, encoder.zero_point as u32);
        }
    }

    #[inline(always)]
    fn codes(encoder: Encoder, window: Window) -> Window {
        encoder.divisor.codes_shifted::<T>(window, encoder.zero_point)
    }
}

/// Quantizes the team's rows.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn quantize_asym<T: Float, const HELD: usize>(args: &QuantizeAsymArgs, team: Team) {
    let rule = Asymmetric { scales: args.scales, zero_points: args.zero_points };
    // SAFETY: the caller's.
    unsafe { quantize_rows::<T, _, _, HELD>((&args.x, &args.q), Plain, rule, team) }
}

/// The entry for one type of element, `blocks` to a multiprocessor: as many as leave registers for the windows that
/// a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, blocks = $blocks:literal, $name:ident) => {
        /// x → codes, scale and zero point of each row.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 2, shfl_sync = 16))]
        pub unsafe fn $name(args: QuantizeAsymArgs) {
            const HELD: usize = held::<$element>();
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_asym::<$element, HELD>(&args, Team::new(quantize_block_maxima())) }
        }
    };
}

entry!(f32, blocks = 2, quantize_asym_f32);
entry!(F16, blocks = 3, quantize_asym_f16);
entry!(Bf16, blocks = 3, quantize_asym_bf16);
