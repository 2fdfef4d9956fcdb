//! The kernels whose scale is known before a row is read: `quantize_tensor`, `quantize_static`, `pack_rows`.
//!
//! Warps share the matrix in units of one row and [`UNIT`] windows a lane, so that one long row occupies as many
//! warps as many short ones do.

use contract::args::{Codes, Matrix, PackRowsArgs, QuantizeStaticArgs, QuantizeTensorArgs};
use cuda_std::atomic::red_relaxed_gpu_global_add_u64;
use cuda_std::memory::{ld_global_nc_b32, st_global_b32};
use cuda_std::thread::{block_idx_x, thread_idx_x};
use rows::{Block, Element, Float, Group, Row, Warp, Window, numeric};

use crate::code::{CodeRow, Divisor};

/// Windows of a lane in one unit, all in flight together.
const UNIT: usize = 4;

/// Stores `encode` of every window and edge of x, and the padding of every row of codes.
///
/// # Safety
/// x and q describe live memory that keeps to the module's contract.
#[inline(always)]
unsafe fn encode_rows<T: Element>(x: &Matrix, q: &Codes, mut encode: impl FnMut(Window) -> Window) {
    let lane = Warp::rank() as u64;
    let unit_windows = UNIT as u64 * Warp::SIZE as u64;
    // Rounded up, this also covers a shifted row, whose windows end by then.
    let units_per_row = x.cols.div_ceil(Row::<T>::WINDOW as u64).div_ceil(unit_windows).max(1);
    let units = x.rows * units_per_row;
    let mut unit = Warp::index();
    while unit < units {
        let row_idx = unit / units_per_row;
        let unit_in_row = unit - row_idx * units_per_row;
        let row = Row::<T>::new(x, row_idx);
        let share = row.share(unit_in_row * unit_windows + lane, Warp::SIZE as u64);
        let codes = CodeRow::new(q, row_idx);

        let mut windows = [[0; 4]; UNIT];
        for (step, window) in windows.iter_mut().enumerate() {
            if share.has(step as u64) {
                // SAFETY: the row is live and has the window.
                *window = unsafe { share.load(step as u64) };
            }
        }
        for (step, &window) in windows.iter().enumerate() {
            if share.has(step as u64) {
                // SAFETY: this lane alone has this window.
                unsafe { codes.store_window(&row, share.col(step as u64), encode(window)) };
            }
        }
        if unit_in_row == 0 {
            let edge = row.edge(lane);
            // SAFETY: the row's own edge; one warp has the row's first unit.
            unsafe {
                codes.store_edge::<T>(edge, encode(row.load_edge(edge)));
                codes.store_padding(Warp::rank(), Warp::SIZE);
            }
        }
        unit += Warp::count();
    }
}

/// `quantize_tensor`: every block finds the maximum of the partial maxima for itself.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract; all threads of the block call it together.
#[inline(always)]
pub(crate) unsafe fn quantize_tensor<T: Float>(args: &QuantizeTensorArgs, mut block: Block) {
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
    unsafe { encode_rows::<T>(&args.x, &args.q, |window| divisor.codes::<T>(window)) }
}

/// `quantize_static`: a given scale does not carry NaN and Inf into y, so they are counted.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract.
#[inline(always)]
pub(crate) unsafe fn quantize_static<T: Float>(args: &QuantizeStaticArgs) {
    let divisor = Divisor::new(args.scale);
    let mut non_finite = 0u64;
    let encode = |window| {
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

/// `pack_rows`: the bytes of x, moved.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract.
#[inline(always)]
pub(crate) unsafe fn pack_rows(args: &PackRowsArgs) {
    // SAFETY: the caller's.
    unsafe { encode_rows::<i8>(&args.x, &args.q, |window| window) }
}
