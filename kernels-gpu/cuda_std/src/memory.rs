//! Loads and stores of global and shared memory (PTX ISA, sections 9.7.9.8 to 9.7.9.12).
//!
//! Global addresses are 64 bits, shared ones 32 bits in the block's window. `.nc` loads may only read what no
//! thread of the kernel writes; they go through the read-only path, and the compiler may reorder them.

use crate::instruction;

/// `ld.global.nc.b8`: one value of 8 bits through the read-only path.
///
/// # Safety
/// `addr` is aligned to 1 byte, readable, and written by no thread of the kernel.
#[inline(always)]
pub unsafe fn ld_global_nc_b8(addr: u64) -> u16 {
    instruction!("ld.global.nc.b8", {
        let v0: u16;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.global.nc.b8 {}, [{}];", out(reg16) v0, in(reg64) addr,
                options(pure, readonly, nostack))
        };
        v0
    })
}

/// `ld.global.nc.b16`: one value of 16 bits through the read-only path.
///
/// # Safety
/// `addr` is aligned to 2 bytes, readable, and written by no thread of the kernel.
#[inline(always)]
pub unsafe fn ld_global_nc_b16(addr: u64) -> u16 {
    instruction!("ld.global.nc.b16", {
        let v0: u16;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.global.nc.b16 {}, [{}];", out(reg16) v0, in(reg64) addr,
                options(pure, readonly, nostack))
        };
        v0
    })
}

/// `ld.global.nc.b32`: one value of 32 bits through the read-only path.
///
/// # Safety
/// `addr` is aligned to 4 bytes, readable, and written by no thread of the kernel.
#[inline(always)]
pub unsafe fn ld_global_nc_b32(addr: u64) -> u32 {
    instruction!("ld.global.nc.b32", {
        let v0: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.global.nc.b32 {}, [{}];", out(reg32) v0, in(reg64) addr,
                options(pure, readonly, nostack))
        };
        v0
    })
}

/// `ld.global.nc.v2.b32`: two values of 32 bits through the read-only path.
///
/// # Safety
/// `addr` is aligned to 8 bytes, readable, and written by no thread of the kernel.
#[inline(always)]
pub unsafe fn ld_global_nc_v2_b32(addr: u64) -> [u32; 2] {
    instruction!("ld.global.nc.v2.b32", {
        let v0: u32;
        let v1: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.global.nc.v2.b32 {{{}, {}}}, [{}];", out(reg32) v0, out(reg32) v1, in(reg64) addr,
                options(pure, readonly, nostack))
        };
        [v0, v1]
    })
}

/// `ld.global.nc.v4.b32`: four values of 32 bits through the read-only path.
///
/// # Safety
/// `addr` is aligned to 16 bytes, readable, and written by no thread of the kernel.
#[inline(always)]
pub unsafe fn ld_global_nc_v4_b32(addr: u64) -> [u32; 4] {
    instruction!("ld.global.nc.v4.b32", {
        let v0: u32;
        let v1: u32;
        let v2: u32;
        let v3: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.global.nc.v4.b32 {{{}, {}, {}, {}}}, [{}];", out(reg32) v0, out(reg32) v1, out(reg32) v2, out(reg32) v3, in(reg64) addr,
                options(pure, readonly, nostack))
        };
        [v0, v1, v2, v3]
    })
}

/// `ld.global.nc.L1::no_allocate.v4.b32`: four values of 32 bits that are read once: they leave L1 to others.
///
/// Stays where it stands: how far ahead of its use a stream is loaded is the kernel's business.
///
/// # Safety
/// `addr` is aligned to 16 bytes, readable, and written by no thread of the kernel.
#[inline(always)]
pub unsafe fn ld_global_nc_l1_no_allocate_v4_b32(addr: u64) -> [u32; 4] {
    instruction!("ld.global.nc.L1::no_allocate.v4.b32", {
        let v0: u32;
        let v1: u32;
        let v2: u32;
        let v3: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.global.nc.L1::no_allocate.v4.b32 {{{}, {}, {}, {}}}, [{}];", out(reg32) v0, out(reg32) v1, out(reg32) v2, out(reg32) v3, in(reg64) addr,
                options(readonly, nostack))
        };
        [v0, v1, v2, v3]
    })
}

/// `ld.global.b32`: one value of 32 bits, which other threads may have written before.
///
/// # Safety
/// `addr` is aligned to 4 bytes and readable; no other thread writes it unordered.
#[inline(always)]
pub unsafe fn ld_global_b32(addr: u64) -> u32 {
    instruction!("ld.global.b32", {
        let value: u32;
        // SAFETY: the caller's. Not pure: what is loaded depends on the stores before.
        unsafe { core::arch::asm!("ld.global.b32 {}, [{}];", out(reg32) value, in(reg64) addr, options(nostack)) };
        value
    })
}

/// `ld.global.v4.b32`: four values of 32 bits, which the calling thread may also write.
///
/// # Safety
/// `addr` is aligned to 16 bytes and readable; no other thread writes it unordered.
#[inline(always)]
pub unsafe fn ld_global_v4_b32(addr: u64) -> [u32; 4] {
    instruction!("ld.global.v4.b32", {
        let v0: u32;
        let v1: u32;
        let v2: u32;
        let v3: u32;
        // SAFETY: the caller's. Not pure: what is loaded depends on the stores before.
        unsafe {
            core::arch::asm!("ld.global.v4.b32 {{{}, {}, {}, {}}}, [{}];", out(reg32) v0, out(reg32) v1, out(reg32) v2, out(reg32) v3, in(reg64) addr,
                options(nostack))
        };
        [v0, v1, v2, v3]
    })
}

/// `st.global.b8`: one value of 8 bits.
///
/// # Safety
/// `addr` is aligned to 1 byte and writable; no other thread accesses it unordered.
#[inline(always)]
pub unsafe fn st_global_b8(addr: u64, value: u16) {
    // SAFETY: the caller's.
    instruction!("st.global.b8", unsafe {
        core::arch::asm!("st.global.b8 [{}], {};", in(reg64) addr, in(reg16) value, options(nostack))
    })
}

/// `st.global.b16`: one value of 16 bits.
///
/// # Safety
/// `addr` is aligned to 2 bytes and writable; no other thread accesses it unordered.
#[inline(always)]
pub unsafe fn st_global_b16(addr: u64, value: u16) {
    // SAFETY: the caller's.
    instruction!("st.global.b16", unsafe {
        core::arch::asm!("st.global.b16 [{}], {};", in(reg64) addr, in(reg16) value, options(nostack))
    })
}

/// `st.global.b32`: one value of 32 bits.
///
/// # Safety
/// `addr` is aligned to 4 bytes and writable; no other thread accesses it unordered.
#[inline(always)]
pub unsafe fn st_global_b32(addr: u64, value: u32) {
    // SAFETY: the caller's.
    instruction!("st.global.b32", unsafe {
        core::arch::asm!("st.global.b32 [{}], {};", in(reg64) addr, in(reg32) value, options(nostack))
    })
}

/// `st.global.v2.b32`: two values of 32 bits.
///
/// # Safety
/// `addr` is aligned to 8 bytes and writable; no other thread accesses it unordered.
#[inline(always)]
pub unsafe fn st_global_v2_b32(addr: u64, values: [u32; 2]) {
    // SAFETY: the caller's.
    instruction!("st.global.v2.b32", unsafe {
        core::arch::asm!("st.global.v2.b32 [{}], {{{}, {}}};", in(reg64) addr, in(reg32) values[0], in(reg32) values[1], options(nostack))
    })
}

/// `st.global.v4.b32`: four values of 32 bits.
///
/// # Safety
/// `addr` is aligned to 16 bytes and writable; no other thread accesses it unordered.
#[inline(always)]
pub unsafe fn st_global_v4_b32(addr: u64, values: [u32; 4]) {
    // SAFETY: the caller's.
    instruction!("st.global.v4.b32", unsafe {
        core::arch::asm!("st.global.v4.b32 [{}], {{{}, {}, {}, {}}};", in(reg64) addr, in(reg32) values[0], in(reg32) values[1], in(reg32) values[2], in(reg32) values[3], options(nostack))
    })
}

/// `ld.shared.b32`.
///
/// # Safety
/// `addr` is aligned to 4 bytes and inside the block's shared memory; who wrote it has been waited for.
#[inline(always)]
pub unsafe fn ld_shared_b32(addr: u32) -> u32 {
    instruction!("ld.shared.b32", {
        let value: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.shared.b32 {}, [{}];", out(reg32) value, in(reg32) addr, options(readonly, nostack))
        };
        value
    })
}

/// `st.shared.v2.b32`: two values of 32 bits.
///
/// # Safety
/// `addr` is aligned to 8 bytes and inside the block's shared memory; no other thread accesses it unordered.
#[inline(always)]
pub unsafe fn st_shared_v2_b32(addr: u32, values: [u32; 2]) {
    // SAFETY: the caller's.
    instruction!("st.shared.v2.b32", unsafe {
        core::arch::asm!("st.shared.v2.b32 [{}], {{{}, {}}};", in(reg32) addr, in(reg32) values[0], in(reg32) values[1], options(nostack))
    })
}

/// `st.shared.b32`.
///
/// # Safety
/// `addr` is aligned to 4 bytes and inside the block's shared memory; no other thread accesses it unordered.
#[inline(always)]
pub unsafe fn st_shared_b32(addr: u32, value: u32) {
    // SAFETY: the caller's.
    instruction!("st.shared.b32", unsafe {
        core::arch::asm!("st.shared.b32 [{}], {};", in(reg32) addr, in(reg32) value, options(nostack))
    })
}

/// `ld.shared.b16`.
///
/// # Safety
/// As [`ld_shared_b32`], `addr` aligned to 2 bytes.
#[inline(always)]
pub unsafe fn ld_shared_b16(addr: u32) -> u16 {
    instruction!("ld.shared.b16", {
        let value: u16;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.shared.b16 {}, [{}];", out(reg16) value, in(reg32) addr, options(readonly, nostack))
        };
        value
    })
}

/// `ld.shared.v4.b32`: four values of 32 bits.
///
/// # Safety
/// `addr` is aligned to 16 bytes and inside the block's shared memory; who wrote it has been waited for.
#[inline(always)]
pub unsafe fn ld_shared_v4_b32(addr: u32) -> [u32; 4] {
    instruction!("ld.shared.v4.b32", {
        let v0: u32;
        let v1: u32;
        let v2: u32;
        let v3: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.shared.v4.b32 {{{}, {}, {}, {}}}, [{}];", out(reg32) v0, out(reg32) v1, out(reg32) v2,
                out(reg32) v3, in(reg32) addr, options(readonly, nostack))
        };
        [v0, v1, v2, v3]
    })
}

/// `ld.shared.v2.b32`.
///
/// # Safety
/// As [`ld_shared_b32`], `addr` aligned to 8 bytes.
#[inline(always)]
pub unsafe fn ld_shared_v2_b32(addr: u32) -> [u32; 2] {
    instruction!("ld.shared.v2.b32", {
        let v0: u32;
        let v1: u32;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!("ld.shared.v2.b32 {{{}, {}}}, [{}];", out(reg32) v0, out(reg32) v1, in(reg32) addr,
                options(readonly, nostack))
        };
        [v0, v1]
    })
}
