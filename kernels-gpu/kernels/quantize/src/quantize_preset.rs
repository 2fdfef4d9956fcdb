//! `quantize_preset`: x → codes by another library's rule (`contract::preset`), one scale a row or a given one.
//!
//! | entry | argument | a row is | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_preset_T` | `QuantizePresetArgs` | a team's, 8 to 256 of the 256 threads | 64 static | 1 barrier, 8 shuffles a row |
//!
//! scales and absmax f32 `[rows]`, or none of both: then `given` is the scale of all rows. The rule is uniform for the
//! grid, so that no choice of it diverges.
//!
//! Who may diverge: blocks go their own ways; inside a block only loads and stores depend on the thread or the row, and
//! no collective does.

use contract::args::DevicePtr;
use contract::grid::THREADS;
use contract::limits::CODE_MAX;
use contract::preset::{Narrow, PresetRule, QuantizePresetArgs, Quotient, Ties};
use cuda_std::cvt::{cvt_rni_s32_f32, pack_sat_s8x4};
use cuda_std::kernel;
use cuda_std::math::div_rn_f32;
use cuda_std::memory::st_global_b32;
use rows::{Bf16, F16, Float, Team, Window, numeric};

use crate::code::pack_words;
use crate::quantize_block_maxima;
use crate::quantize_rows::{RowRule, held, quantize_rows};
use crate::transform::Plain;

/// The rule, and where its results go.
#[derive(Clone, Copy)]
struct Preset {
    rule: PresetRule,
    scales: DevicePtr,
    absmax: DevicePtr,
    given: f32,
}

#[derive(Clone, Copy)]
struct Encoder {
    rule: PresetRule,
    absmax: f32,
    scale: f32,
    /// What x is multiplied by; the scale itself where it is divided.
    factor: f32,
}

/// `floor` where the value is less; NaN stays.
#[inline(always)]
fn at_least(value: f32, floor: f32) -> f32 {
    if value < floor { floor } else { value }
}

impl Encoder {
    #[inline(always)]
    fn new<T: Float>(rule: PresetRule, absmax: f32) -> Self {
        let absmax = at_least(absmax, rule.absmax_floor);
        let mut scale = div_rn_f32(absmax, rule.divisor);
        if rule.narrow as u32 != Narrow::Nothing as u32 {
            scale = T::narrow(scale);
        }
        if scale == 0.0 {
            scale = rule.zero_scale;
        }
        Self::given(rule, absmax, at_least(scale, rule.scale_floor))
    }

    #[inline(always)]
    fn given(rule: PresetRule, absmax: f32, scale: f32) -> Self {
        let quotient = rule.quotient as u32;
        let dividend = if quotient == Quotient::OfAbsmax as u32 { CODE_MAX } else { 1.0 };
        let divisor = if quotient == Quotient::Reciprocal as u32 { scale } else { absmax };
        let inverse = div_rn_f32(dividend, divisor);
        let factor = if quotient == Quotient::Divide as u32 {
            scale
        } else if quotient == Quotient::OfAbsmaxReciprocal as u32 {
            inverse * CODE_MAX
        } else {
            inverse
        };
        Self { rule, absmax, scale, factor }
    }

    #[inline(always)]
    fn code<T: Float>(self, x: f32) -> i32 {
        let rule = self.rule;
        let divides = rule.quotient as u32 == Quotient::Divide as u32;
        let mut quotient = if divides { div_rn_f32(x, self.factor) } else { x * self.factor };
        if rule.narrow as u32 == Narrow::ScaleAndQuotients as u32 {
            quotient = T::narrow(quotient);
        }
        // NaN gives 0, what is past int32 saturates.
        let mut code = cvt_rni_s32_f32(quotient);
        if rule.ties as u32 == Ties::Away as u32 {
            // Of a tie that went to the even integer on the side of zero, half is left. Exact, as both are near.
            let left = quotient - code as f32;
            let outwards = (left == 0.5 && quotient > 0.0) as i32 - (left == -0.5 && quotient < 0.0) as i32;
            code = code.wrapping_add(outwards);
        }
        if rule.infinite_is_zero != 0 && !quotient.is_finite() {
            code = 0;
        }
        // 127 is where the conversion to a byte saturates.
        code.max(rule.least)
    }
}

impl<T: Float> RowRule<T, Plain> for Preset {
    type Encoder = Encoder;

    #[inline(always)]
    fn look(running: [u32; 2], window: Window) -> [u32; 2] {
        T::absmax(running, window)
    }

    #[inline(always)]
    unsafe fn conclude(self, running: [u32; 2], team: &mut Team) -> Encoder {
        // SAFETY: the caller's.
        let absmax = f32::from_bits(unsafe { team.max(T::absmax_bits(running)) });
        if self.scales == 0 {
            Encoder::given(self.rule, absmax, self.given)
        } else {
            Encoder::new::<T>(self.rule, absmax)
        }
    }

    #[inline(always)]
    unsafe fn store(self, row_idx: u64, encoder: Encoder) {
        if self.scales != 0 {
            // SAFETY: the caller's; every row has a scale and an absmax where there are any.
            unsafe {
                st_global_b32(self.scales + 4 * row_idx, numeric::canonical(encoder.scale));
                st_global_b32(self.absmax + 4 * row_idx, numeric::canonical(encoder.absmax));
            }
        }
    }

    #[inline(always)]
    fn codes(encoder: Encoder, window: Window) -> Window {
        pack_words::<T>(|i| T::widen(window, i), |quad| pack_sat_s8x4(quad.map(|x| encoder.code::<T>(x))))
    }
}

/// Quantizes the team's rows.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn quantize_preset<T: Float, const HELD: usize>(args: &QuantizePresetArgs, team: Team) {
    let rule = Preset { rule: args.rule, scales: args.scales, absmax: args.absmax, given: args.given };
    // SAFETY: the caller's.
    unsafe { quantize_rows::<T, _, _, HELD>((&args.x, &args.q), Plain, rule, team) }
}

/// The entry for one type of element, `blocks` to a multiprocessor: as many as leave registers for the windows that
/// a thread holds. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, blocks = $blocks:literal, $name:ident) => {
        /// x → codes by a rule.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, $blocks), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $name(args: QuantizePresetArgs) {
            const HELD: usize = held::<$element>();
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_preset::<$element, HELD>(&args, Team::new(quantize_block_maxima())) }
        }
    };
}

entry!(f32, blocks = 2, quantize_preset_f32);
entry!(F16, blocks = 2, quantize_preset_f16);
entry!(Bf16, blocks = 2, quantize_preset_bf16);
