//! From accumulators to y: scale, add the bias, round once, store.

use contract::args::{DevicePtr, GemmArgs, Scales};
use contract::fragment::pair_element;
use cuda_std::math::fma_rn_f32;
use cuda_std::memory::ld_global_nc_b32;
use cuda_std::warp::lane_id;

use crate::gemm::{Accumulators, Config, Origin};
use crate::main_loop::WarpPosition;
use crate::output::Output;

/// Columns side by side that a lane holds in a pair of n8 operands (`contract::fragment::w_row`).
const QUAD: usize = 4;

/// What the columns of a quad multiply and add.
#[derive(Clone, Copy)]
struct Columns {
    s_w: [f32; QUAD],
    bias: [f32; QUAD],
}

/// Scale `i`.
///
/// # Safety
/// It exists.
#[inline(always)]
unsafe fn load_scale(scales: &Scales, i: u64) -> f32 {
    // SAFETY: the caller's.
    f32::from_bits(unsafe { ld_global_nc_b32(scales.ptr + 4 * i * scales.stride) })
}

/// Element `i` of the bias, +0 where there is none.
///
/// # Safety
/// It exists if there is a bias.
#[inline(always)]
unsafe fn load_bias(bias: DevicePtr, i: u64) -> f32 {
    // SAFETY: the caller's.
    if bias == 0 { 0.0 } else { f32::from_bits(unsafe { ld_global_nc_b32(bias + 4 * i) }) }
}

/// Stores the thread's outputs of the tile at `origin`, as far as they are inside y.
///
/// # Safety
/// `args` describes live memory that keeps to the module's contract.
#[inline(always)]
pub(crate) unsafe fn store<C: Config, O: Output, const FRAGS_M: usize, const FRAGS_N: usize>(
    args: &GemmArgs,
    origin: Origin,
    acc: &Accumulators<FRAGS_M, FRAGS_N>,
) {
    let y = &args.y;
    let warp = WarpPosition::of_this_thread(C::TILE);
    let (lane_row, lane_col) = pair_element(lane_id(), 0, 0);
    let first_row = origin.row + (warp.row + lane_row) as u64;
    let first_col = origin.col + (warp.col + lane_col) as u64;
    // Columns of quads are multiples of four, so that the first address and the stride decide for all.
    let quads_aligned =
        y.ptr.is_multiple_of((QUAD as u32 * O::BYTES) as u64) && y.row_stride.is_multiple_of(QUAD as u64);

    // A lane holds rows r and r + 8 of each m16 operand.
    let mut s_x = [[0.0; 2]; FRAGS_M];
    if O::SCALED {
        for i in 0..FRAGS_M {
            for half in 0..2 {
                let row = first_row + (16 * i + 8 * half) as u64;
                if row < y.rows {
                    // SAFETY: every row of y has a scale.
                    s_x[i][half] = unsafe { load_scale(&args.s_x, row) };
                }
            }
        }
    }

    for pair in 0..FRAGS_N / 2 {
        let col = first_col + 16 * pair as u64;
        let mut columns = Columns { s_w: [0.0; QUAD], bias: [0.0; QUAD] };
        if O::SCALED {
            for e in 0..QUAD {
                if col + (e as u64) < y.cols {
                    // SAFETY: every column of y has a scale and an element of the bias.
                    unsafe {
                        columns.s_w[e] = load_scale(&args.s_w, col + e as u64);
                        columns.bias[e] = load_bias(args.bias, col + e as u64);
                    }
                }
            }
        }
        for i in 0..FRAGS_M {
            for half in 0..2 {
                let row = first_row + (16 * i + 8 * half) as u64;
                let (left, right) = (acc[i][2 * pair], acc[i][2 * pair + 1]);
                let quad = [left[2 * half], left[2 * half + 1], right[2 * half], right[2 * half + 1]];
                let bits = convert::<O>(quad, s_x[i][half], columns);
                let addr = y.ptr + (row * y.row_stride + col) * O::BYTES as u64;
                if row >= y.rows {
                    continue;
                }
                // SAFETY: the elements are inside y, and the address is aligned where four are stored at once.
                unsafe {
                    if quads_aligned && col + QUAD as u64 <= y.cols {
                        O::store_four(addr, bits);
                    } else {
                        for e in 0..QUAD {
                            if col + (e as u64) < y.cols {
                                O::store(addr + e as u64 * O::BYTES as u64, bits[e]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The bits of a quad of outputs: s_x · (s_w · acc) + bias, the last product and the sum rounded once.
#[inline(always)]
fn convert<O: Output>(quad: [i32; QUAD], s_x: f32, columns: Columns) -> [u32; QUAD] {
    let mut bits = [0; QUAD];
    for e in 0..QUAD {
        let value = if O::SCALED { fma_rn_f32(s_x, columns.s_w[e] * quad[e] as f32, columns.bias[e]) } else { 0.0 };
        bits[e] = O::bits(quad[e], value);
    }
    bits
}
