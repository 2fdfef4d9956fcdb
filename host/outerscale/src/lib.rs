//! Linear layers with 8-bit activations and 8-bit weights, bit for bit as the numeric contract says.
//!
//! The way of the data, one type a stop: [`Activations`] → [`ops::quantize_token`] → [`QuantizedTokens`];
//! [`Weights`] → [`ops::quantize_weights`] → [`QuantizedWeights`]; both → [`ops::gemm`] → [`Output`].
//! [`linear::linear`] walks it from end to end.
//!
//! A scale belongs to an outer dimension of the product: a token, an output channel or a whole tensor.
//! A scale along K, which the product sums over, cannot be factored out of the sum, so no operand can
//! carry one:
//!
//! ```compile_fail,E0277
//! use outerscale::{PerInputChannel, QuantizedTokens};
//! fn inner_scale(_: QuantizedTokens<PerInputChannel>) {} // the trait `TokenScale` is not implemented
//! ```
//!
//! Nor do the stops fit together in a wrong order. Raw activations are no operand of the product:
//!
//! ```compile_fail,E0308
//! use outerscale::{Activations, Gpu, Output, PerChannel, QuantizedWeights, Workspace, ops};
//! fn raw(gpu: &Gpu, x: &Activations<f32>, w: &QuantizedWeights<PerChannel>, y: &mut Output<f32>) {
//!     let _ = ops::gemm(gpu, ops::Product { x, w, bias: None }, y, &mut Workspace::none(), ops::Choice::Auto);
//! }
//! ```
//!
//! And neither are weights where tokens belong:
//!
//! ```compile_fail,E0308
//! use outerscale::{Gpu, Output, PerChannel, QuantizedWeights, Workspace, ops};
//! fn swapped(gpu: &Gpu, w: &QuantizedWeights<PerChannel>, y: &mut Output<f32>) {
//!     let _ = ops::gemm(gpu, ops::Product { x: w, w, bias: None }, y, &mut Workspace::none(), ops::Choice::Auto);
//! }
//! ```
//!
//! In the right order:
//!
//! ```no_run
//! use outerscale::{Activations, Backend, Gpu, Layout, Output, Weights, Workspace, ops, ops::Choice};
//! # fn main() -> outerscale::Result<()> {
//! let gpu = Gpu::open(Backend::Auto)?;
//! let x = Activations::upload(&gpu, &[1.0f32, -2.0, 3.0], Layout::contiguous(1, 3))?;
//! let w = Weights::upload(&gpu, &[0.5f32; 6], Layout::contiguous(2, 3))?;
//! let (q_x, _) = ops::quantize_token(&gpu, &x, Choice::Auto)?;
//! let (q_w, _) = ops::quantize_weights(&gpu, &w, Choice::Auto)?;
//! let mut y = Output::<f32>::new(&gpu, Layout::contiguous(1, 2))?;
//! ops::gemm(&gpu, ops::Product { x: &q_x, w: &q_w, bias: None }, &mut y, &mut Workspace::none(), Choice::Auto)?;
//! println!("{:?}", y.download()?);
//! # Ok(())
//! # }
//! ```

// Links the driver's functions that cust calls into every program that uses this library.
use libcuda as _;

pub mod bench;
pub mod calibration;
pub mod choice;
pub mod drift;
mod element;
mod error;
pub mod files;
pub mod gpu;
pub mod host;
mod layout;
pub mod linear;
mod memory;
pub mod occupancy;
pub mod operands;
pub mod ops;
pub mod program;
pub mod ptx;
pub mod registry;
pub mod report;
pub mod smooth;
pub mod study;
pub mod verify;

pub use element::{Dtype, Element, Float, OutputElement};
pub use error::{Error, Result};
pub use gpu::{Backend, Gpu, Graph, Launch};
pub use layout::Layout;
pub use memory::DeviceVector;
pub use operands::{
    Activations, AsymmetricTokens, Bias, ColumnAbsmax, HalfWeights, InputCounters, InputCounts, Int8Matrix,
    OutlierColumns, OutlierMasks, OutlierTokens, Output, PackedCodes, PackedWeights, PartialAbsmax, PerChannel,
    PerInputChannel, PerTensor, PerToken, QuantizedTokens, QuantizedWeights, RunningState, ScaleKind, Scales,
    TokenScale, WeightScale, WeightSums, Weights, Workspace, ZeroPoints,
};
