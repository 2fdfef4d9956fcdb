//! The device standard library: one function an instruction, Rust-CUDA's names where they exist.
//!
//! Every function is named as its mnemonic and stands for that one instruction; its docs name the section of the
//! PTX ISA (9.1) that defines it. This crate and the attribute `#[kernel]` are the only places with PTX.
//!
//! All of it also compiles for the host, so that clippy, rustdoc and rust-analyzer see the kernels; an instruction
//! that is called there panics and names itself.
#![no_std]
#![cfg_attr(target_arch = "nvptx64", feature(asm_experimental_arch, link_llvm_intrinsics, stdarch_nvptx))]
#![cfg_attr(
    target_arch = "nvptx64",
    allow(internal_features, reason = "shuffles are only reachable as LLVM's intrinsics")
)]
#![cfg_attr(
    target_arch = "nvptx64",
    allow(named_asm_labels, reason = "in PTX a label within braces belongs to them, however often they are copied")
)]
// The operands of an instruction are only used where there is that instruction.
#![cfg_attr(not(target_arch = "nvptx64"), allow(unused_variables))]

pub mod atomic;
pub mod bulk;
pub mod cluster;
pub mod cp_async;
pub mod cvt;
pub mod half;
pub mod ldmatrix;
pub mod math;
pub mod mbarrier;
pub mod memory;
pub mod mma;
pub mod setmaxnreg;
pub mod shared;
pub mod stmatrix;
pub mod sync;
pub mod thread;
pub mod warp;
pub mod wgmma;

pub use cuda_std_macros::kernel;

/// What a kernel crate names: `use cuda_std::prelude::*`.
pub mod prelude {
    pub use crate::{kernel, sync, thread, warp};
}

/// The body of an instruction: `device` on the GPU, a panic that names the instruction elsewhere.
macro_rules! instruction {
    ($mnemonic:literal, $($device:tt)*) => {{
        #[cfg(target_arch = "nvptx64")]
        {
            $($device)*
        }
        #[cfg(not(target_arch = "nvptx64"))]
        {
            $crate::only_on_device($mnemonic)
        }
    }};
}
use instruction;

#[cfg(not(target_arch = "nvptx64"))]
#[cold]
fn only_on_device(mnemonic: &str) -> ! {
    panic!("`{mnemonic}` is an instruction of the GPU: compile this crate for nvptx64-nvidia-cuda to run it")
}

/// A kernel that reaches a panic stops its grid: there is nobody to unwind to.
#[cfg(target_arch = "nvptx64")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: `trap` stops the grid.
    unsafe { core::arch::nvptx::trap() }
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "`%laneid` is an instruction of the GPU")]
    fn an_instruction_names_itself_on_the_host() {
        crate::warp::lane_id();
    }
}
