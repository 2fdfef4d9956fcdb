//! `gemm_outliers`: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ), o)), o the bias and the products of the outlier columns
//! (NUMERICS.md, LLM.int8()).
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `gemm_outliers_TILE_OUTPUT` | `GemmOutliersArgs` | as `gemm` | as `gemm` | as `gemm` |
//!
//! OUTPUT is f32, f16 or bf16. The product is that of `gemm`, whose contract holds; in the outlier columns its codes
//! of x are 0. The columns and their count are read from memory: the host does not know them.
//!
//! - x `[M, K]`: any row stride, aligned to one element, of the type that `x_type` says.
//! - columns u32 `[count]`, ascending, each below K; count u32 `[1]`, at most K.
//! - w f16 `[K, w_stride]` from an 8-byte boundary on, `w_stride` N up to a multiple of 4: four outputs' weights of a
//!   column are one load. Where there is none, a weight is f32(q_w) · s_w.
//!
//! Who may diverge: as in `gemm`; the loop over the columns is uniform but where a lane's outputs lie outside y.

use contract::args::{DevicePtr, GemmArgs, GemmOutliersArgs, input_type};
use contract::packed;
use cuda_std::cvt::{cvt_f32_f16, f32_from_bf16};
use cuda_std::kernel;
use cuda_std::math::fma_rn_f32;
use cuda_std::memory::{ld_global_nc_b8, ld_global_nc_b16, ld_global_nc_b32, ld_global_nc_v2_b32};
use rows::{Bf16, F16};

use crate::epilogue::{Epilogue, QUAD};
use crate::gemm::Column;
use crate::tile_walk::{Config, Origin, entries, walk};
use product::Output;
use product::affine;

/// Element (row, col) of x, widened.
///
/// # Safety
/// It is inside x.
#[inline(always)]
unsafe fn load_x(args: &GemmOutliersArgs, row: u64, col: u64) -> f32 {
    let at = row * args.x.row_stride + col;
    // SAFETY: the caller's.
    unsafe {
        match args.x_type {
            input_type::F32 => f32::from_bits(ld_global_nc_b32(args.x.ptr + 4 * at)),
            input_type::F16 => cvt_f32_f16(ld_global_nc_b16(args.x.ptr + 2 * at)),
            _ => f32_from_bf16(ld_global_nc_b16(args.x.ptr + 2 * at)),
        }
    }
}

/// Four weights of column `k` of w, from output `col` on, a multiple of 4.
///
/// # Safety
/// The column exists and output `col` does.
#[inline(always)]
unsafe fn load_half_weights(args: &GemmOutliersArgs, k: u64, col: u64) -> [f32; QUAD] {
    // SAFETY: rows of w are whole quads.
    let [low, high] = unsafe { ld_global_nc_v2_b32(args.w + 2 * (k * args.w_stride + col)) };
    [low as u16, (low >> 16) as u16, high as u16, (high >> 16) as u16].map(cvt_f32_f16)
}

/// The same from the codes of w, 0 past the last output.
///
/// # Safety
/// As [`load_half_weights`].
#[inline(always)]
unsafe fn load_coded_weights(args: &GemmArgs, k: u64, col: u64, columns: &[Column; QUAD]) -> [f32; QUAD] {
    let mut weights = [0.0; QUAD];
    for e in 0..QUAD {
        if col + (e as u64) < args.y.cols {
            let addr: DevicePtr = args.q_w.ptr + packed::offset(col + e as u64, k, packed::k_blocks(args.q_w.cols));
            // SAFETY: the output exists, hence a row of codes.
            let code = unsafe { ld_global_nc_b8(addr) } as i8;
            weights[e] = code as f32 * columns[e].s_w;
        }
    }
    weights
}

impl Epilogue for GemmOutliersArgs {
    /// s_x.
    type Row = f32;
    type Column = Column;
    const NO_ROW: f32 = 0.0;
    const NO_COLUMN: Column = GemmArgs::NO_COLUMN;

    #[inline(always)]
    fn product(&self) -> &GemmArgs {
        &self.product
    }

    #[inline(always)]
    unsafe fn row(&self, row: u64) -> f32 {
        // SAFETY: the caller's.
        unsafe { self.product.row(row) }
    }

    #[inline(always)]
    unsafe fn column(&self, col: u64) -> Column {
        // SAFETY: the caller's.
        unsafe { Column::load(&self.product, col) }
    }

    #[inline(always)]
    unsafe fn columns(&self, col: u64) -> [Column; QUAD] {
        // SAFETY: the caller's.
        unsafe { Column::load_four(&self.product, col) }
    }

    #[inline(always)]
    unsafe fn values(&self, at: Origin, acc: [i32; QUAD], s_x: f32, columns: [Column; QUAD]) -> [f32; QUAD] {
        let mut o = [0.0; QUAD];
        for e in 0..QUAD {
            o[e] = columns[e].bias;
        }
        if at.row < self.product.y.rows && at.col < self.product.y.cols {
            // SAFETY: the outputs are in y, at least the first of them; the list holds columns of x.
            unsafe {
                let count = ld_global_nc_b32(self.count);
                let mut i = 0;
                // Not unrolled: mostly there are few, and the registers are the accumulators'.
                while i < count {
                    let k = ld_global_nc_b32(self.columns + 4 * i as u64) as u64;
                    let x = load_x(self, at.row, k);
                    let w = match self.w {
                        0 => load_coded_weights(&self.product, k, at.col, &columns),
                        _ => load_half_weights(self, k, at.col),
                    };
                    for e in 0..QUAD {
                        o[e] = fma_rn_f32(x, w[e], o[e]);
                    }
                    i += 1;
                }
            }
        }
        let mut values = [0.0; QUAD];
        for e in 0..QUAD {
            values[e] = affine(s_x, columns[e].s_w, acc[e], o[e]);
        }
        values
    }
}

/// # Safety
/// As [`walk`].
#[inline(always)]
unsafe fn gemm_outliers<C: Config, O: Output, const FRAGS_M: usize, const FRAGS_N: usize>(args: &GemmOutliersArgs) {
    // SAFETY: the caller's.
    unsafe { walk::<C, O, GemmOutliersArgs, FRAGS_M, FRAGS_N>(args) }
}

entries!(
    T128x128, gemm_outliers(GemmOutliersArgs):
    gemm_outliers_t128x128_f32: f32, gemm_outliers_t128x128_f16: F16, gemm_outliers_t128x128_bf16: Bf16
);
entries!(
    T64x64, gemm_outliers(GemmOutliersArgs):
    gemm_outliers_t64x64_f32: f32, gemm_outliers_t64x64_f16: F16, gemm_outliers_t64x64_bf16: Bf16
);
entries!(
    T16x64, gemm_outliers(GemmOutliersArgs):
    gemm_outliers_t16x64_f32: f32, gemm_outliers_t16x64_f16: F16, gemm_outliers_t16x64_bf16: Bf16
);
