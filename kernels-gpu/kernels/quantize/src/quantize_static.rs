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
use cuda_std::kernel;
use cuda_std::memory::ld_global_nc_b32;
use rows::{Bf16, F16, Float, Row};

use crate::code::Divisor;
use crate::encode_rows::encode_rows;
use crate::tally::Tally;

/// # Safety
/// `args` describes live memory that keeps to the file's contract.
#[inline(always)]
unsafe fn quantize_static<T: Float>(args: &QuantizeStaticArgs) {
    // SAFETY: there is a scale, and no thread of the kernel writes it.
    let divisor = Divisor::new(f32::from_bits(unsafe { ld_global_nc_b32(args.scale) }));
    let mut tally = Tally::new(divisor);
    let encode = |window, _| {
        if args.counts != 0 {
            for i in 0..Row::<T>::WINDOW {
                tally.count(T::widen(window, i));
            }
        }
        divisor.codes_of_any::<T>(window)
    };
    // SAFETY: the caller's.
    unsafe {
        encode_rows::<T>(&args.x, &args.q, encode);
        tally.store(args.counts);
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
