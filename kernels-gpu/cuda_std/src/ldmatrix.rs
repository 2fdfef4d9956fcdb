//! `ldmatrix`: 8 × 8 matrices of 16-bit elements from shared memory into the registers of a warp
//! (PTX ISA, section 9.7.14.5.15). A row is 16 bytes: four bytes, hence four int8, for each of four lanes.
//!
//! Inline assembly, as the intrinsic wants a pointer type that Rust has not: call it in warp-uniform flow only.

use crate::instruction;

/// `ldmatrix.sync.aligned.m8n8.x1.shared.b16`: lanes 0 to 7 give the row addresses of the matrix, register j of lane L is bytes
/// 4·(L % 4) to 4·(L % 4) + 3 of its row L / 4.
///
/// # Safety
/// All 32 lanes call it together. `row_addr` is aligned to 16 bytes and inside the block's shared memory; what is
/// there has been written and waited for.
#[inline(always)]
pub unsafe fn ldmatrix_sync_aligned_m8n8_x1_shared_b16(row_addr: u32) -> [u32; 1] {
    instruction!("ldmatrix.sync.aligned.m8n8.x1.shared.b16", {
        let r0: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {{{}}}, [{}];",
                out(reg32) r0, in(reg32) row_addr, options(readonly, nostack))
        };
        [r0]
    })
}

/// `ldmatrix.sync.aligned.m8n8.x2.shared.b16`: lanes 8·j to 8·j + 7 give the row addresses of matrix j (of two), register j of lane L is bytes
/// 4·(L % 4) to 4·(L % 4) + 3 of its row L / 4.
///
/// # Safety
/// All 32 lanes call it together. `row_addr` is aligned to 16 bytes and inside the block's shared memory; what is
/// there has been written and waited for.
#[inline(always)]
pub unsafe fn ldmatrix_sync_aligned_m8n8_x2_shared_b16(row_addr: u32) -> [u32; 2] {
    instruction!("ldmatrix.sync.aligned.m8n8.x2.shared.b16", {
        let r0: u32;
        let r1: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {{{}, {}}}, [{}];",
                out(reg32) r0, out(reg32) r1, in(reg32) row_addr, options(readonly, nostack))
        };
        [r0, r1]
    })
}

/// `ldmatrix.sync.aligned.m8n8.x4.shared.b16`: lanes 8·j to 8·j + 7 give the row addresses of matrix j, register j of lane L is bytes
/// 4·(L % 4) to 4·(L % 4) + 3 of its row L / 4.
///
/// # Safety
/// All 32 lanes call it together. `row_addr` is aligned to 16 bytes and inside the block's shared memory; what is
/// there has been written and waited for.
#[inline(always)]
pub unsafe fn ldmatrix_sync_aligned_m8n8_x4_shared_b16(row_addr: u32) -> [u32; 4] {
    instruction!("ldmatrix.sync.aligned.m8n8.x4.shared.b16", {
        let r0: u32;
        let r1: u32;
        let r2: u32;
        let r3: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{{}, {}, {}, {}}}, [{}];",
                out(reg32) r0, out(reg32) r1, out(reg32) r2, out(reg32) r3, in(reg32) row_addr, options(readonly, nostack))
        };
        [r0, r1, r2, r3]
    })
}
