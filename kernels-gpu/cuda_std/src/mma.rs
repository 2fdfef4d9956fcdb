//! Matrix multiply-accumulate of a warp (PTX ISA, section 9.7.14.5).
//!
//! Inline assembly, as the intrinsic returns an aggregate that Rust cannot name: call it in warp-uniform flow only.

use crate::instruction;

/// `mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32`: a (16 × 32, row-major) · b (32 × 8, column-major) + c in
/// int32 that wraps. Which lane holds what: section 9.7.14.5.10.
///
/// # Safety
/// All 32 lanes call it together, none has exited.
#[inline(always)]
pub unsafe fn mma_sync_m16n8k32_s32_s8(a: [u32; 4], b: [u32; 2], c: [i32; 4]) -> [i32; 4] {
    instruction!("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", {
        let [mut d0, mut d1, mut d2, mut d3] = c;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!(
                "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {{{0}, {1}, {2}, {3}}}, {{{4}, {5}, {6}, {7}}}, \
                 {{{8}, {9}}}, {{{0}, {1}, {2}, {3}}};",
                inout(reg32) d0, inout(reg32) d1, inout(reg32) d2, inout(reg32) d3,
                in(reg32) a[0], in(reg32) a[1], in(reg32) a[2], in(reg32) a[3], in(reg32) b[0], in(reg32) b[1],
                options(nomem, nostack)
            )
        };
        [d0, d1, d2, d3]
    })
}
