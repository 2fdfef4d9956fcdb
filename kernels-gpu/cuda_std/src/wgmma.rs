//! Matrix multiply-accumulate of a warpgroup, four warps, by descriptors of shared memory (PTX ISA, section 9.7.15; sm_90a).
//!
//! The products run behind the program: their accumulators may be touched again after a wait that covers them, and
//! first used after a fence. So fence and last wait take the accumulators: to the compiler they are written there, and
//! it cannot move an access past them. ptxas serialises products whose accumulators it sees touched (warning C7514).
//!
//! Inline assembly: call it in warp-uniform flow only. Every index into accumulators must be a constant after unrolling.

use crate::instruction;

#[cfg(target_arch = "nvptx64")]
unsafe extern "C" {
    #[link_name = "llvm.nvvm.wgmma.commit_group.sync.aligned"]
    safe fn llvm_wgmma_commit_group();
}

/// `wgmma.commit_group.sync.aligned`: closes the warpgroup's group of products (section 9.7.15.7.2).
///
/// The intrinsic is convergent, so that the compiler does not unroll a loop over k_blocks of unknown number.
///
/// # Safety
/// All warps of the warpgroup call it, each as a whole; who counts groups counts this one.
#[inline(always)]
pub unsafe fn wgmma_commit_group() {
    instruction!("wgmma.commit_group.sync.aligned", llvm_wgmma_commit_group())
}

/// `wgmma.wait_group.sync.aligned N`: waits until at most the `N` newest groups are pending: the operands of the others may be
/// overwritten (section 9.7.15.7.3). Accumulators stay out of reach: that is [`wgmma_wait_all_n256`] and its like.
///
/// # Safety
/// All warps of the warpgroup call it, each as a whole.
#[inline(always)]
pub unsafe fn wgmma_wait_group<const N: u32>() {
    // SAFETY: the caller's.
    instruction!("wgmma.wait_group.sync.aligned", unsafe {
        core::arch::asm!("wgmma.wait_group.sync.aligned {};", const N, options(nostack))
    })
}

/// The functions for tiles of $n columns: $registers accumulators a thread, those after the first listed.
macro_rules! tile {
    ($n:literal, $registers:literal, $mma:ident, $fence:ident, $wait:ident, [$($i:literal)*]) => {
        #[doc = concat!("`wgmma.mma_async.sync.aligned.m64n", $n, "k32.s32.s8.s8`: d = a (64 × 32) · b (", $n,
            " columns × 32)ᵀ, plus d where `accumulate` is not 0, in int32 that wraps (section 9.7.15.5.2).")]
        ///
        /// Warp w of the warpgroup holds rows 16·w to 16·w + 15: lane L has, at d[4·j + 2·i + c], row 16·w + L / 4 + 8·i,
        /// column 8·j + 2·(L % 4) + c.
        ///
        /// # Safety
        /// All warps of the warpgroup call it with the same descriptors and `accumulate`, each as a whole, after a fence of `d`.
        /// Both operands, K-major, have arrived and are not written before the wait for their group.
        #[inline(always)]
        pub unsafe fn $mma(d: &mut [i32; $registers], a: u64, b: u64, accumulate: u32) {
            // SAFETY: the caller's.
            instruction!("wgmma.mma_async.sync.aligned", unsafe {
                core::arch::asm!(
                    "\t{{",
                    ".reg .pred accumulate;",
                    "setp.ne.b32 accumulate, {accumulate}, 0;",
                    concat!("wgmma.mma_async.sync.aligned.m64n", $n, "k32.s32.s8.s8 {{{0}", $(", {", $i, "}",)*
                        "}}, {a}, {b}, accumulate;"),
                    "\t}}",
                    inout(reg32) d[0], $(inout(reg32) d[$i],)*
                    a = in(reg64) a, b = in(reg64) b, accumulate = in(reg32) accumulate,
                    options(nostack)
                )
            })
        }

        /// `wgmma.fence.sync.aligned`: orders the accesses to `d` before it before the products after it (section 9.7.15.7.1).
        ///
        /// # Safety
        /// All warps of the warpgroup call it, each as a whole.
        #[inline(always)]
        pub unsafe fn $fence(d: &mut [i32; $registers]) {
            // SAFETY: the caller's.
            instruction!("wgmma.fence.sync.aligned", unsafe {
                core::arch::asm!(
                    concat!("wgmma.fence.sync.aligned; // {0}", $(" {", $i, "}",)*),
                    inout(reg32) d[0], $(inout(reg32) d[$i],)* options(nostack)
                )
            })
        }

        /// `wgmma.wait_group.sync.aligned 0`: waits for all products; `d` holds their sums (section 9.7.15.7.3).
        ///
        /// # Safety
        /// All warps of the warpgroup call it, each as a whole.
        #[inline(always)]
        pub unsafe fn $wait(d: &mut [i32; $registers]) {
            // SAFETY: the caller's.
            instruction!("wgmma.wait_group.sync.aligned", unsafe {
                core::arch::asm!(
                    concat!("wgmma.wait_group.sync.aligned 0; // {0}", $(" {", $i, "}",)*),
                    inout(reg32) d[0], $(inout(reg32) d[$i],)* options(nostack)
                )
            })
        }
    };
}

tile!(8, 4, wgmma_m64n8k32_s32_s8_s8, wgmma_fence_n8, wgmma_wait_all_n8, [1 2 3]);
tile!(16, 8, wgmma_m64n16k32_s32_s8_s8, wgmma_fence_n16, wgmma_wait_all_n16, [1 2 3 4 5 6 7]);
tile!(32, 16, wgmma_m64n32k32_s32_s8_s8, wgmma_fence_n32, wgmma_wait_all_n32, [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]);
tile!(64, 32, wgmma_m64n64k32_s32_s8_s8, wgmma_fence_n64, wgmma_wait_all_n64, [
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
]);
tile!(96, 48, wgmma_m64n96k32_s32_s8_s8, wgmma_fence_n96, wgmma_wait_all_n96, [
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41
    42 43 44 45 46 47
]);
tile!(128, 64, wgmma_m64n128k32_s32_s8_s8, wgmma_fence_n128, wgmma_wait_all_n128, [
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40
    41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
]);
tile!(144, 72, wgmma_m64n144k32_s32_s8_s8, wgmma_fence_n144, wgmma_wait_all_n144, [
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41
    42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71
]);
tile!(192, 96, wgmma_m64n192k32_s32_s8_s8, wgmma_fence_n192, wgmma_wait_all_n192, [
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41
    42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79
    80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95
]);
tile!(256, 128, wgmma_m64n256k32_s32_s8_s8, wgmma_fence_n256, wgmma_wait_all_n256, [
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40
    41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77
    78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100 101 102 103 104 105 106 107 108 109 110
    111 112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127
]);
