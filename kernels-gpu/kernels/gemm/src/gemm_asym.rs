//! `gemm_asym`: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ − zp · Σ q_w), bias)), the integers exact (NUMERICS.md).
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `gemm_asym_TILE_OUTPUT` | `GemmAsymArgs` | `tile.threads()` | `tile.shared_bytes()`, dynamic | those of `gemm` |
//!
//! TILE is one of `contract::gemm_tile::TILES`, OUTPUT is f32, f16 or bf16. The product is that of `gemm`, to whose
//! contract it keeps, and besides:
//! - zero points i32 `[M]`, the sums of the rows of q_w i32 `[N]`.
//! - |q_x − zp| ≤ 255, and K so small that 255 · |q_w| · K fits int32.
//!
//! Σ (q_x − zp) · q_w = q_x · q_wᵀ − zp · Σ q_w: the correction is a rank one, one multiplication an output.

use contract::args::{DevicePtr, GemmArgs, GemmAsymArgs};
use cuda_std::kernel;
use cuda_std::memory::{ld_global_nc_b32, ld_global_nc_v4_b32};
use rows::{Bf16, F16};

use crate::epilogue::{Epilogue, QUAD};
use crate::gemm;
use crate::tile_walk::{Config, Origin, entries, walk};
use product::Output;
use product::{affine, load_scale};

/// What a row multiplies and shifts.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    s_x: f32,
    zero_point: i32,
}

/// What a column multiplies and adds, and what a zero point of 1 takes from it.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    affine: gemm::Column,
    w_sum: i32,
}

/// Integer `i`.
///
/// # Safety
/// It exists.
#[inline(always)]
unsafe fn load_i32(ptr: DevicePtr, i: u64) -> i32 {
    // SAFETY: the caller's.
    unsafe { ld_global_nc_b32(ptr + 4 * i) as i32 }
}

/// Integers `i` to `i` + 3, `i` a multiple of four: one load where they lie on a 16-byte boundary.
///
/// # Safety
/// They exist.
#[inline(always)]
unsafe fn load_four_i32(ptr: DevicePtr, i: u64) -> [i32; QUAD] {
    // SAFETY: the caller's.
    unsafe {
        if ptr.is_multiple_of(16) {
            return ld_global_nc_v4_b32(ptr + 4 * i).map(|bits| bits as i32);
        }
        [0, 1, 2, 3].map(|e| load_i32(ptr, i + e))
    }
}

impl Epilogue for GemmAsymArgs {
    type Row = Row;
    type Column = Column;
    const NO_ROW: Row = Row { s_x: GemmArgs::NO_ROW, zero_point: 0 };
    const NO_COLUMN: Column = Column { affine: GemmArgs::NO_COLUMN, w_sum: 0 };

    #[inline(always)]
    fn product(&self) -> &GemmArgs {
        &self.product
    }

    #[inline(always)]
    unsafe fn row(&self, row: u64) -> Row {
        // SAFETY: every row of y has a scale and a zero point.
        unsafe { Row { s_x: load_scale(&self.product.s_x, row), zero_point: load_i32(self.zero_points, row) } }
    }

    #[inline(always)]
    unsafe fn column(&self, col: u64) -> Column {
        // SAFETY: every column of y has what a product's has, and a sum.
        unsafe { Column { affine: gemm::Column::load(&self.product, col), w_sum: load_i32(self.w_sums, col) } }
    }

    #[inline(always)]
    unsafe fn columns(&self, col: u64) -> [Column; QUAD] {
        // SAFETY: the caller's.
        unsafe {
            let (affine, w_sums) = (gemm::Column::load_four(&self.product, col), load_four_i32(self.w_sums, col));
            [0, 1, 2, 3].map(|e: usize| Column { affine: affine[e], w_sum: w_sums[e] })
        }
    }

    #[inline(always)]
    unsafe fn values(&self, _: Origin, acc: [i32; QUAD], row: Row, columns: [Column; QUAD]) -> [f32; QUAD] {
        let mut values = [0.0; QUAD];
        for e in 0..QUAD {
            let Column { affine: by, w_sum } = columns[e];
            // Neither wraps, as K is limited; the compiler need not know.
            let sum = acc[e].wrapping_sub(row.zero_point.wrapping_mul(w_sum));
            values[e] = affine(row.s_x, by.s_w, sum, by.bias);
        }
        values
    }
}

/// # Safety
/// As [`walk`].
#[inline(always)]
unsafe fn gemm_asym<C: Config, O: Output, const FRAGS_M: usize, const FRAGS_N: usize>(args: &GemmAsymArgs) {
    // SAFETY: the caller's.
    unsafe { walk::<C, O, GemmAsymArgs, FRAGS_M, FRAGS_N>(args) }
}

entries!(
    T128x128, gemm_asym(GemmAsymArgs):
    gemm_asym_t128x128_f32: f32, gemm_asym_t128x128_f16: F16, gemm_asym_t128x128_bf16: Bf16
);
entries!(
    T64x64, gemm_asym(GemmAsymArgs):
    gemm_asym_t64x64_f32: f32, gemm_asym_t64x64_f16: F16, gemm_asym_t64x64_bf16: Bf16
);
entries!(
    T16x64, gemm_asym(GemmAsymArgs):
    gemm_asym_t16x64_f32: f32, gemm_asym_t16x64_f16: F16, gemm_asym_t16x64_bf16: Bf16
);
