//! The blocks of a cluster (PTX ISA, sections 10.11 to 10.16, 9.7.9.23 and 9.7.13.4; sm_90 and later). A launch without
//! clusters is one of clusters of one block, and all of this holds there too.

use crate::instruction;

#[cfg(target_arch = "nvptx64")]
unsafe extern "C" {
    #[link_name = "llvm.nvvm.barrier.cluster.arrive.aligned"]
    safe fn llvm_barrier_cluster_arrive_aligned();
    #[link_name = "llvm.nvvm.barrier.cluster.wait.aligned"]
    safe fn llvm_barrier_cluster_wait_aligned();
}

/// A special register of 32 bits.
macro_rules! special_register {
    ($(#[$meta:meta])* fn $name:ident = $register:literal;) => {
        $(#[$meta])*
        #[inline(always)]
        pub fn $name() -> u32 {
            instruction!($register, {
                let value: u32;
                // SAFETY: reads a special register.
                unsafe {
                    core::arch::asm!(concat!("mov.u32 {}, ", $register, ";"), out(reg32) value,
                        options(pure, nomem, nostack))
                };
                value
            })
        }
    };
}

special_register! {
    /// `%cluster_ctarank`: index of the block in its cluster.
    fn cluster_ctarank = "%cluster_ctarank";
}
special_register! {
    /// `%cluster_nctarank`: blocks of the cluster.
    fn cluster_nctarank = "%cluster_nctarank";
}
special_register! {
    /// `%cluster_ctaid.x`: index of the block in its cluster along x.
    fn cluster_ctaid_x = "%cluster_ctaid.x";
}
special_register! {
    /// `%clusterid.x`: index of the cluster in the grid along x.
    fn clusterid_x = "%clusterid.x";
}
special_register! {
    /// `%nclusterid.x`: clusters of the grid along x.
    fn nclusterid_x = "%nclusterid.x";
}

/// `barrier.cluster.arrive.aligned`: tells the cluster that this thread is here, and releases what it did before.
///
/// # Safety
/// Every thread of the cluster calls it, each warp as a whole, and [`barrier_cluster_wait`] next.
#[inline(always)]
pub unsafe fn barrier_cluster_arrive() {
    instruction!("barrier.cluster.arrive.aligned", llvm_barrier_cluster_arrive_aligned())
}

/// `barrier.cluster.wait.aligned`: waits until every thread of the cluster has arrived, and acquires what they released.
///
/// # Safety
/// Every thread of the cluster calls it, each warp as a whole, after [`barrier_cluster_arrive`].
#[inline(always)]
pub unsafe fn barrier_cluster_wait() {
    instruction!("barrier.cluster.wait.aligned", llvm_barrier_cluster_wait_aligned())
}

/// `mapa.shared::cluster.u32`: the address, in the cluster's window, of what lies at `addr` in block `rank`.
///
/// # Safety
/// `addr` is in the block's shared memory, `rank` below [`cluster_nctarank`].
#[inline(always)]
pub unsafe fn mapa_shared_cluster_u32(addr: u32, rank: u32) -> u32 {
    instruction!("mapa.shared::cluster.u32", {
        let mapped: u32;
        // SAFETY: the caller's; arithmetic on registers.
        unsafe {
            core::arch::asm!("mapa.shared::cluster.u32 {}, {}, {};", out(reg32) mapped, in(reg32) addr, in(reg32) rank,
                options(pure, nomem, nostack))
        };
        mapped
    })
}
