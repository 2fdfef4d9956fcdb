//! `stmatrix`: 8 × 8 matrices of 16-bit elements from the registers of a warp to shared memory (PTX ISA, section 9.7.14.5.16;
//! sm_90 and later): the way back of `ldmatrix`.

use crate::instruction;

/// `stmatrix.sync.aligned.m8n8.x4.shared.b16`: lanes 8·j to 8·j + 7 give the row addresses of matrix j; register j of lane
/// L goes to bytes 4·(L % 4) to 4·(L % 4) + 3 of its row L / 4.
///
/// # Safety
/// All 32 lanes call it together. `row_addr` is aligned to 16 bytes and inside the block's shared memory; no other
/// thread accesses the rows unordered.
#[inline(always)]
pub unsafe fn stmatrix_sync_aligned_m8n8_x4_shared_b16(row_addr: u32, r: [u32; 4]) {
    // SAFETY: the caller's.
    instruction!("stmatrix.sync.aligned.m8n8.x4.shared.b16", unsafe {
        core::arch::asm!("stmatrix.sync.aligned.m8n8.x4.shared.b16 [{}], {{{}, {}, {}, {}}};",
            in(reg32) row_addr, in(reg32) r[0], in(reg32) r[1], in(reg32) r[2], in(reg32) r[3], options(nostack))
    })
}

/// `stmatrix.sync.aligned.m8n8.x4.trans.shared.b16`: as without `.trans`, each matrix transposed: lane L holds elements
/// (2·(L % 4), L / 4) and (2·(L % 4) + 1, L / 4) of matrix j in register j.
///
/// # Safety
/// As [`stmatrix_sync_aligned_m8n8_x4_shared_b16`].
#[inline(always)]
pub unsafe fn stmatrix_sync_aligned_m8n8_x4_trans_shared_b16(row_addr: u32, r: [u32; 4]) {
    // SAFETY: the caller's.
    instruction!("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16", unsafe {
        core::arch::asm!("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [{}], {{{}, {}, {}, {}}};",
            in(reg32) row_addr, in(reg32) r[0], in(reg32) r[1], in(reg32) r[2], in(reg32) r[3], options(nostack))
    })
}
