//! `quantize_tensor`: x → codes with the one scale that the partial maxima of `tensor_absmax` give.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `quantize_tensor_T` | `QuantizeTensorArgs` | 256 threads | 64 static | 1 barrier, 8 shuffles |
//!
//! partials f32 `[partial_count]`, of this x; scale f32 `[1]`, written by block 0.
//!
//! Who may diverge: every thread, but for the maximum, which all threads of a block reach together.

use contract::args::QuantizeTensorArgs;
use contract::grid::THREADS;
use cuda_std::kernel;
use cuda_std::memory::{ld_global_nc_b32, st_global_b32};
use cuda_std::thread::{block_idx_x, thread_idx_x};
use rows::{Bf16, Block, F16, Float, Group, numeric};

use crate::code::Divisor;
use crate::encode_rows::encode_rows;
use crate::quantize_block_maxima;

/// Every block finds the maximum of the partial maxima for itself.
///
/// # Safety
/// `args` describes live memory that keeps to the file's contract; all threads of the block call it together.
#[inline(always)]
unsafe fn quantize_tensor<T: Float>(args: &QuantizeTensorArgs, mut block: Block) {
    let mut absmax = 0;
    let mut i = thread_idx_x() as u64;
    while i < args.partial_count {
        // SAFETY: partial i exists. Its bits order as in `Float::absmax`.
        absmax = absmax.max(unsafe { ld_global_nc_b32(args.partials + 4 * i) });
        i += Block::SIZE as u64;
    }
    // SAFETY: all threads of the block are here.
    let scale = numeric::scale(f32::from_bits(unsafe { block.max(absmax) }));
    if block_idx_x() == 0 && thread_idx_x() == 0 {
        // SAFETY: one thread of the grid stores the scale.
        unsafe { st_global_b32(args.scale, numeric::canonical(scale)) };
    }
    let divisor = Divisor::new(scale);
    // SAFETY: the caller's.
    unsafe { encode_rows::<T>(&args.x, &args.q, |window, _| divisor.codes::<T>(window)) }
}

/// The entry for one type of element. Counts of collectives are those in the PTX of the entry.
macro_rules! entry {
    ($element:ty, $name:ident) => {
        /// x → codes with one scale for all.
        ///
        /// # Safety
        /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
        #[kernel(launch_bounds(THREADS, 4), collectives(bar_sync = 1, shfl_sync = 8))]
        pub unsafe fn $name(args: QuantizeTensorArgs) {
            // SAFETY: the caller's; the shared array is this block's alone.
            unsafe { quantize_tensor::<$element>(&args, Block::new(quantize_block_maxima())) }
        }
    };
}

entry!(f32, quantize_tensor_f32);
entry!(F16, quantize_tensor_f16);
entry!(Bf16, quantize_tensor_bf16);
