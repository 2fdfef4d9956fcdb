//! `quantize_static`: x → codes with a given scale, and how many of x it does not fit.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_static_T` | `QuantizeStaticArgs` | 256 threads | 0 | none |
//!
//! scale f32 `[1]` is read by every thread: a kernel before it on the stream may have written it. counts u64 `[2]`, or
//! none: NaN and Inf, and saturated inputs, are added. Who may diverge: every thread.

use contract::args::QuantizeStaticArgs;
use contract::grid::THREADS;
use cuda_std::atomic::red_relaxed_gpu_global_add_u64;
use cuda_std::kernel;
use cuda_std::memory::ld_global_nc_b32;
use rows::{Bf16, F16, Float, Row};

use crate::code::Divisor;
use crate::encode_rows::encode_rows;

/// A given scale carries neither NaN and Inf into y nor what is beyond its range, so they are counted.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract.
#[inline(always)]
unsafe fn quantize_static<T: Float>(args: &QuantizeStaticArgs) {
    // SAFETY: there is a scale, and no thread of the kernel writes it.
    let divisor = Divisor::new(f32::from_bits(unsafe { ld_global_nc_b32(args.scale) }));
    let saturates_from = divisor.saturates_from();
    // Of one thread: 32 bits would need 2³² inputs for it alone.
    let (mut non_finite, mut saturated) = (0u32, 0u32);
    let encode = |window, _| {
        if args.counts != 0 {
            for i in 0..Row::<T>::WINDOW {
                let magnitude = T::widen(window, i).abs();
                // A comparison with NaN is false.
                saturated += (magnitude >= saturates_from) as u32;
                non_finite += !magnitude.is_finite() as u32;
            }
        }
        divisor.codes_of_any::<T>(window)
    };
    // SAFETY: the caller's.
    unsafe { encode_rows::<T>(&args.x, &args.q, encode) };
    for (counter, count) in [(0, non_finite), (1, saturated)] {
        // An x that fits, the usual case, costs no atomic.
        if count != 0 {
            // SAFETY: counts only grow where there are counters.
            unsafe { red_relaxed_gpu_global_add_u64(args.counts + 8 * counter, count as u64) };
        }
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
