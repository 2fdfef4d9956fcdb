//! What a warpgroup holds of its tile, and the instructions that depend on its width.

use cuda_std::wgmma::{
    wgmma_fence_n8, wgmma_fence_n16, wgmma_fence_n32, wgmma_fence_n64, wgmma_fence_n96, wgmma_fence_n128,
    wgmma_fence_n144, wgmma_fence_n192, wgmma_fence_n256, wgmma_m64n8k32_s32_s8_s8, wgmma_m64n16k32_s32_s8_s8,
    wgmma_m64n32k32_s32_s8_s8, wgmma_m64n64k32_s32_s8_s8, wgmma_m64n96k32_s32_s8_s8, wgmma_m64n128k32_s32_s8_s8,
    wgmma_m64n144k32_s32_s8_s8, wgmma_m64n192k32_s32_s8_s8, wgmma_m64n256k32_s32_s8_s8, wgmma_wait_all_n8,
    wgmma_wait_all_n16, wgmma_wait_all_n32, wgmma_wait_all_n64, wgmma_wait_all_n96, wgmma_wait_all_n128,
    wgmma_wait_all_n144, wgmma_wait_all_n192, wgmma_wait_all_n256,
};

/// The sums of one m64 operand that a thread holds: element 4·j + 2·i + c is row L / 4 + 8·i of its warp's sixteen, column
/// 8·j + 2·(L % 4) + c, for lane L.
pub(crate) trait Sums: Copy {
    /// All zero.
    const ZERO: Self;

    /// How many.
    const REGISTERS: usize;

    /// Element `i`.
    fn get(&self, i: usize) -> i32;

    /// Sets element `i`.
    fn set(&mut self, i: usize, sum: i32);

    /// As [`wgmma_fence_n256`].
    ///
    /// # Safety
    /// As there.
    unsafe fn fence(&mut self);

    /// As [`wgmma_m64n256k32_s32_s8_s8`].
    ///
    /// # Safety
    /// As there.
    unsafe fn multiply(&mut self, a: u64, b: u64, accumulate: u32);

    /// As [`wgmma_wait_all_n256`].
    ///
    /// # Safety
    /// As there.
    unsafe fn wait(&mut self);
}

macro_rules! sums {
    ($registers:literal, $fence:ident, $multiply:ident, $wait:ident) => {
        impl Sums for [i32; $registers] {
            const ZERO: Self = [0; $registers];
            const REGISTERS: usize = $registers;

            #[inline(always)]
            fn get(&self, i: usize) -> i32 {
                self[i]
            }
            #[inline(always)]
            fn set(&mut self, i: usize, sum: i32) {
                self[i] = sum;
            }
            #[inline(always)]
            unsafe fn fence(&mut self) {
                // SAFETY: the caller's.
                unsafe { $fence(self) }
            }
            #[inline(always)]
            unsafe fn multiply(&mut self, a: u64, b: u64, accumulate: u32) {
                // SAFETY: the caller's.
                unsafe { $multiply(self, a, b, accumulate) }
            }
            #[inline(always)]
            unsafe fn wait(&mut self) {
                // SAFETY: the caller's.
                unsafe { $wait(self) }
            }
        }
    };
}

sums!(4, wgmma_fence_n8, wgmma_m64n8k32_s32_s8_s8, wgmma_wait_all_n8);
sums!(8, wgmma_fence_n16, wgmma_m64n16k32_s32_s8_s8, wgmma_wait_all_n16);
sums!(16, wgmma_fence_n32, wgmma_m64n32k32_s32_s8_s8, wgmma_wait_all_n32);
sums!(32, wgmma_fence_n64, wgmma_m64n64k32_s32_s8_s8, wgmma_wait_all_n64);
sums!(48, wgmma_fence_n96, wgmma_m64n96k32_s32_s8_s8, wgmma_wait_all_n96);
sums!(64, wgmma_fence_n128, wgmma_m64n128k32_s32_s8_s8, wgmma_wait_all_n128);
sums!(72, wgmma_fence_n144, wgmma_m64n144k32_s32_s8_s8, wgmma_wait_all_n144);
sums!(96, wgmma_fence_n192, wgmma_m64n192k32_s32_s8_s8, wgmma_wait_all_n192);
sums!(128, wgmma_fence_n256, wgmma_m64n256k32_s32_s8_s8, wgmma_wait_all_n256);
