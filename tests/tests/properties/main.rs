//! Every kernel against the oracle, bit for bit, through the library's public functions: each variant, each
//! element type, any shape, row stride and alignment; and the laws that the README promises.
//!
//! A process has one driver. This one runs on the simulator, or on the GPU if `OUTERSCALE_BACKEND=cuda`;
//! `gpu::the_same_on_a_gpu` starts it a second time on the GPU where there is one. `OUTERSCALE_CASES=10`
//! tries ten times as many cases.

mod asym;
mod calibration;
mod epilogue;
mod gemm;
mod goldens;
mod gpu;
mod graphs;
mod laws;
mod limits;
mod llm_int8;
mod outliers;
mod pack;
mod packed;
mod quantize;
mod quantize_smooth;
mod reduce;
mod registry;
mod running;
mod shapes;
mod smooth;
mod smooth_layers;
mod split;
mod stream_k;
mod whole;
