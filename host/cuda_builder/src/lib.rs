//! Compiles a Rust crate to PTX, with the API of Rust-CUDA's `CudaBuilder`.
//!
//! Rust-CUDA's own code generator needs NVIDIA's libNVVM and a pinned nightly. Here the work is done by rustc's
//! `nvptx64-nvidia-cuda` target, that is by LLVM's NVPTX back end. Three things follow from it, and make up this crate:
//!
//! - [`CudaBuilder`] runs a nested cargo that compiles `core` from its source, once for all modules ([`toolchain`] finds
//!   a compiler that has it);
//! - [`text`] then says in the PTX what rustc has no words for: launch bounds, tensor-map alignment, line information in
//!   the form that ptxas accepts;
//! - [`lint`] refuses PTX that assembles but is wrong or slow: calls, local memory, panic texts, collectives that the
//!   compiler copied or lost.
//!
//! [`ptxas`] runs NVIDIA's assembler and disassembler where they are installed. Nothing here needs a GPU.
//!
//! ```no_run
//! use cuda_builder::{CudaBuilder, NvvmArch};
//!
//! let module = CudaBuilder::new("../../kernels-gpu/kernels/reduce").arch(NvvmArch::Compute80).build()?;
//! println!("{}", module.ptx.display());
//! # Ok::<(), cuda_builder::CudaBuilderError>(())
//! ```

mod arch;
mod builder;
mod error;
pub mod lint;
pub mod marker;
mod nested;
pub mod ptx;
pub mod ptxas;
mod sources;
pub mod text;
pub mod toolchain;

pub use arch::{NvvmArch, UnknownArch};
pub use builder::{BuildOutput, CudaBuilder, DebugInfo, EmitOption};
pub use error::CudaBuilderError;
