//! `quantize_smooth_static`: x → codes of x'_j = f32(x_j / s_j) with a given scale, s one factor a column, and how many
//! of x' it does not fit.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_smooth_static_T` | `QuantizeSmoothStaticArgs` | 256 threads | 0 | none |
//!
//! factors f32 `[cols]` from a 16-byte boundary on, each in [2⁻¹⁰⁰, 2¹⁰⁰]; scale f32 `[1]` and counts u64 `[2]` or none
//! as in `quantize_static`. Who may diverge: every thread.

use contract::args::QuantizeSmoothStaticArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use cuda_std::memory::ld_global_nc_b32;
use rows::{Bf16, F16, Float, Row};

use crate::code::Divisor;
use crate::encode_rows::encode_rows;
use crate::smoothed::Smoothed;
use crate::tally::Tally;

/// # Safety
/// `args` describes live memory that keeps to the file's contract.
#[inline(always)]
unsafe fn quantize_smooth_static<T: Float>(args: &QuantizeSmoothStaticArgs) {
    let given = &args.given;
    // SAFETY: there is a scale, and no thread of the kernel writes it.
    let divisor = Divisor::new(f32::from_bits(unsafe { ld_global_nc_b32(given.scale) }));
    let smoothed = Smoothed { factors: args.factors };
    let mut tally = Tally::new(divisor);
    let encode = |window, columns| {
        // SAFETY: every column has a factor.
        let smooth = unsafe { smoothed.window::<T>(window, columns) };
        if given.counts != 0 {
            for i in 0..Row::<T>::WINDOW {
                tally.count(smooth[i as usize]);
            }
        }
        divisor.codes_of_any_f32::<T>(smooth)
    };
    // SAFETY: the caller's.
    unsafe {
        encode_rows::<T>(&given.x, &given.q, encode);
        tally.store(given.counts);
    }
}

/// The entry for one type of element.
macro_rules! entry {
    ($element:ty, $name:ident) => {
        /// x / s → codes with the given scale.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4))]
        pub unsafe fn $name(args: QuantizeSmoothStaticArgs) {
            // SAFETY: the caller's.
            unsafe { quantize_smooth_static::<$element>(&args) }
        }
    };
}

entry!(f32, quantize_smooth_static_f32);
entry!(F16, quantize_smooth_static_f16);
entry!(Bf16, quantize_smooth_static_bf16);
