//! `gemm`: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ), bias)), or the int32 accumulators (NUMERICS.md).
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `gemm_TILE_OUTPUT` | `GemmArgs` | `tile.threads()` | `tile.shared_bytes()`, dynamic | one barrier a k_block, two a tile, two a meeting; ldmatrix, mma.sync |
//!
//! TILE is one of `contract::gemm_tile::TILES`, OUTPUT is f32, f16, bf16 or i32.
//!
//! - q_x `[M, K]`: int8, rows `row_bytes` apart, a multiple of 16, from a 16-byte boundary on; each readable to the end
//!   of the 16-byte chunk that holds its last code, of any content from K on.
//! - q_w `[N, K]`: int8, laid out as `contract::packed` says, zero from N and K on.
//! - s_x f32 `[M]` or `[1]`, s_w f32 `[N]` or `[1]`, bias `[N]`, f32, f16 or bf16, or none: not read for i32.
//! - y `[M, N]`: any row stride, aligned to one element; four elements a store where address and stride allow.
//!
//! - workspace: zero before and after, or none (`contract::split`).
//!
//! A block computes one tile of y at a time and walks on in steps of the grid, so any grid is right. Where the tiles do
//! not go into the grid evenly and the workspace has room, blocks share those of the last wave (`contract::stream_k`).
//! Along K a block goes in k_blocks of 128 bytes through a ring of `tile.stages` slots of shared memory, each an x tile and a w tile,
//! swizzled (`contract::swizzle`), the rows of w dealt out as `contract::fragment::w_row` says.
//!
//! Who may diverge: blocks go their own ways. Inside a block, the loops over tiles and k_blocks are uniform; only
//! the bounds of the loads of scales and of the stores of y depend on the thread, and no collective does.
//!
//! Every element of y is the sum of its own row of x and of w, so a token's result depends on no other token.

use contract::args::GemmArgs;
use cuda_std::kernel;
use rows::{Bf16, F16};

use crate::epilogue::{Epilogue, QUAD};
use crate::tile_walk::{Config, Origin, entries, walk};
use product::Output;
use product::{affine, load_bias, load_four_biases, load_four_scales, load_scale};

/// What a column multiplies and adds.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) s_w: f32,
    pub(crate) bias: f32,
}

impl Column {
    /// Of column `col` of a product.
    ///
    /// # Safety
    /// The column exists in y.
    #[inline(always)]
    pub(crate) unsafe fn load(args: &GemmArgs, col: u64) -> Self {
        // SAFETY: every column of y has a scale and, where there is a bias, an element of it.
        unsafe { Self { s_w: load_scale(&args.s_w, col), bias: load_bias(&args.bias, col) } }
    }
}

impl Column {
    /// Of columns `col` to `col` + 3 of a product, `col` a multiple of four.
    ///
    /// # Safety
    /// The columns exist in y.
    #[inline(always)]
    pub(crate) unsafe fn load_four(args: &GemmArgs, col: u64) -> [Self; QUAD] {
        // SAFETY: as of one.
        let (s_w, bias) = unsafe { (load_four_scales(&args.s_w, col), load_four_biases(&args.bias, col)) };
        [0, 1, 2, 3].map(|e: usize| Self { s_w: s_w[e], bias: bias[e] })
    }
}

impl Epilogue for GemmArgs {
    /// s_x.
    type Row = f32;
    type Column = Column;
    const NO_ROW: f32 = 0.0;
    const NO_COLUMN: Column = Column { s_w: 0.0, bias: 0.0 };

    #[inline(always)]
    fn product(&self) -> &GemmArgs {
        self
    }

    #[inline(always)]
    unsafe fn row(&self, row: u64) -> f32 {
        // SAFETY: every row of y has a scale.
        unsafe { load_scale(&self.s_x, row) }
    }

    #[inline(always)]
    unsafe fn column(&self, col: u64) -> Column {
        // SAFETY: the caller's.
        unsafe { Column::load(self, col) }
    }

    #[inline(always)]
    unsafe fn columns(&self, col: u64) -> [Column; QUAD] {
        // SAFETY: the caller's.
        unsafe { Column::load_four(self, col) }
    }

    #[inline(always)]
    unsafe fn values(&self, _: Origin, acc: [i32; QUAD], s_x: f32, columns: [Column; QUAD]) -> [f32; QUAD] {
        let mut values = [0.0; QUAD];
        for e in 0..QUAD {
            values[e] = affine(s_x, columns[e].s_w, acc[e], columns[e].bias);
        }
        values
    }
}

/// # Safety
/// As [`walk`].
#[inline(always)]
unsafe fn gemm<C: Config, O: Output, const FRAGS_M: usize, const FRAGS_N: usize>(args: &GemmArgs) {
    // SAFETY: the caller's.
    unsafe { walk::<C, O, GemmArgs, FRAGS_M, FRAGS_N>(args) }
}

entries!(
    T128x256, gemm(GemmArgs):
    gemm_t128x256_f32: f32, gemm_t128x256_f16: F16, gemm_t128x256_bf16: Bf16, gemm_t128x256_i32: i32
);
entries!(
    T128x256s3, gemm(GemmArgs):
    gemm_t128x256s3_f32: f32, gemm_t128x256s3_f16: F16, gemm_t128x256s3_bf16: Bf16, gemm_t128x256s3_i32: i32
);
entries!(
    T160x192, gemm(GemmArgs):
    gemm_t160x192_f32: f32, gemm_t160x192_f16: F16, gemm_t160x192_bf16: Bf16, gemm_t160x192_i32: i32
);
entries!(
    T128x128, gemm(GemmArgs):
    gemm_t128x128_f32: f32, gemm_t128x128_f16: F16, gemm_t128x128_bf16: Bf16, gemm_t128x128_i32: i32
);
entries!(
    T96x128, gemm(GemmArgs):
    gemm_t96x128_f32: f32, gemm_t96x128_f16: F16, gemm_t96x128_bf16: Bf16, gemm_t96x128_i32: i32
);
entries!(
    T80x128, gemm(GemmArgs):
    gemm_t80x128_f32: f32, gemm_t80x128_f16: F16, gemm_t80x128_bf16: Bf16, gemm_t80x128_i32: i32
);
entries!(
    T48x128, gemm(GemmArgs):
    gemm_t48x128_f32: f32, gemm_t48x128_f16: F16, gemm_t48x128_bf16: Bf16, gemm_t48x128_i32: i32
);
entries!(
    T64x64, gemm(GemmArgs):
    gemm_t64x64_f32: f32, gemm_t64x64_f16: F16, gemm_t64x64_bf16: Bf16, gemm_t64x64_i32: i32
);
entries!(
    T32x64, gemm(GemmArgs):
    gemm_t32x64_f32: f32, gemm_t32x64_f16: F16, gemm_t32x64_bf16: Bf16, gemm_t32x64_i32: i32
);
entries!(
    T16x64, gemm(GemmArgs):
    gemm_t16x64_f32: f32, gemm_t16x64_f16: F16, gemm_t16x64_bf16: Bf16, gemm_t16x64_i32: i32
);
