//! `quantize_static`: x → codes with a given scale, and the number of NaN and Inf among x.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_static_T` | `QuantizeStaticArgs` | 256 threads | 0 | none |
//!
//! The count is added to a u64, or not taken where there is none. Who may diverge: every thread.

use contract::args::QuantizeStaticArgs;
use contract::grid::THREADS;
use cuda_std::atomic::red_relaxed_gpu_global_add_u64;
use cuda_std::kernel;
use rows::{Bf16, F16, Float, Row};

use crate::code::Divisor;
use crate::encode_rows::encode_rows;

/// A given scale does not carry NaN and Inf into y, so they are counted.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract.
#[inline(always)]
unsafe fn quantize_static<T: Float>(args: &QuantizeStaticArgs) {
    let divisor = Divisor::new(args.scale);
    let mut non_finite = 0u64;
    let encode = |window, _| {
        if args.non_finite != 0 {
            for i in 0..Row::<T>::WINDOW {
                non_finite += !T::widen(window, i).is_finite() as u64;
            }
        }
        divisor.codes_of_any::<T>(window)
    };
    // SAFETY: the caller's.
    unsafe { encode_rows::<T>(&args.x, &args.q, encode) };
    // A finite x, the usual case, costs no atomic.
    if non_finite != 0 {
        // SAFETY: counts only grow where there is a counter.
        unsafe { red_relaxed_gpu_global_add_u64(args.non_finite, non_finite) };
    }
}

/// The entry for one type of element.
macro_rules! entry {
    ($element:ty, $name:ident) => {
        /// x → codes with the given scale.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4))]
        pub unsafe fn $name(args: QuantizeStaticArgs) {
            // SAFETY: the caller's.
            unsafe { quantize_static::<$element>(&args) }
        }
    };
}

entry!(f32, quantize_static_f32);
entry!(F16, quantize_static_f16);
entry!(Bf16, quantize_static_bf16);
