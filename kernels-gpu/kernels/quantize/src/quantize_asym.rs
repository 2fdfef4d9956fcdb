//! `quantize_asym`: x → codes, one scale and one zero point a row, the reduction fused with the quantization.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_asym_block_T` | `QuantizeAsymArgs` | a block's, 256 threads | 64 static | 2 barriers, 16 shuffles a row |
//! | `quantize_asym_warp_T` | `QuantizeAsymArgs` | a warp's | 0 | 10 shuffles a row |
//!
//! Both are right for any K; a block reads a row of up to `CACHED_COLS` once, a warp one of up to `WARP_COLS`.
//! scales f32 `[rows]`, zero points i32 `[rows]`. What a row becomes depends on that row alone.
//!
//! Who may diverge: groups (warps or blocks) go their own ways; inside a group only loads and stores depend on the
//! thread, and no collective does.

use contract::args::{DevicePtr, QuantizeAsymArgs};
use contract::grid::THREADS;
use contract::limits::CODE_MIN_ASYM;
use cuda_std::cvt::cvt_rni_s32_f32;
use cuda_std::kernel;
use cuda_std::math::div_rn_f32;
use cuda_std::memory::st_global_b32;
use rows::{Bf16, Block, F16, Float, Group, Warp, Window, numeric};

use crate::code::Divisor;
use crate::quantize_block_maxima;
use crate::quantize_rows::{RowRule, held_by_block, held_by_warp, quantize_rows};
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
    unsafe fn conclude<G: Group>(self, running: [u32; 2], group: &mut G) -> Encoder {
        let [high, low] = T::extremes_bits(running);
        // SAFETY: the caller's. Patterns of magnitudes order as unsigned integers, NaN last.
        let (high, low) = unsafe { (f32::from_bits(group.max(high)), f32::from_bits(group.max(low))) };
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

/// Quantizes the group's rows.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the group call it together.
#[inline(always)]
unsafe fn quantize_asym<T: Float, G: Group, const HELD: usize>(args: &QuantizeAsymArgs, group: G) {
    let rule = Asymmetric { scales: args.scales, zero_points: args.zero_points };
    // SAFETY: the caller's.
    unsafe { quantize_rows::<T, _, _, G, HELD>((&args.x, &args.q), Plain, rule, group) }
}

/// The entries for one type of element, `blocks` to a multiprocessor: as many as leave registers for the windows that
/// a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    ($element:ty, blocks = $blocks:literal, $block:ident, $warp:ident) => {
        /// x → codes, scale and zero point of each row, a block a row: for long rows.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 2, shfl_sync = 16))]
        pub unsafe fn $block(args: QuantizeAsymArgs) {
            const HELD: usize = held_by_block::<$element>();
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_asym::<$element, Block, HELD>(&args, Block::new(quantize_block_maxima())) }
        }

        /// x → codes, scale and zero point of each row, a warp a row: for short rows.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(shfl_sync = 10))]
        pub unsafe fn $warp(args: QuantizeAsymArgs) {
            const HELD: usize = held_by_warp::<$element>();
            // SAFETY: the caller's.
            unsafe { quantize_asym::<$element, Warp, HELD>(&args, Warp) }
        }
    };
}

entries!(f32, blocks = 2, quantize_asym_block_f32, quantize_asym_warp_f32);
entries!(F16, blocks = 3, quantize_asym_block_f16, quantize_asym_warp_f16);
// At three blocks the block variant spills: ptxas 13.0.88 keeps the shifted lower halves from look to codes.
entries!(Bf16, blocks = 2, quantize_asym_block_bf16, quantize_asym_warp_bf16);
