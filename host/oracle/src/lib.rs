//! The numeric contract (NUMERICS.md) as plain scalar loops over f64, f32 and integers.
//!
//! Everything that computes is compared with this crate, so it is written to be read, not to be fast,
//! and it knows nothing of kernels, tiles, strides or devices. Matrices are dense and row-major;
//! f16 and bf16 inputs are widened to f32 first ([`float`]), which is exact.
//!
//! One op has one name everywhere, and here one file: [`row_absmax()`], [`column_absmax()`], [`tensor_absmax()`],
//! [`running_scale()`], [`quantize_token()`], [`quantize_smooth_token()`], [`quantize_tensor()`],
//! [`quantize_static()`], [`quantize_smooth_static()`], [`pack_rows()`], [`pack_weights()`] and the two halves of the `gemm` kernel, [`gemm_i32`] and `dequant_*`. [`linear()`] is the way from x and w to y,
//! [`reference()`] the same layer in float64, [`metrics()`] the distance between the two.
//!
//! Lengths that do not fit together are a mistake of the caller and panic; what data can cause (K too
//! large, a scale out of range) is an [`Error`].

pub mod column_absmax;
mod error;
pub mod float;
pub mod gemm;
pub mod gemm_asym;
pub mod gemm_outliers;
pub mod linear;
pub mod metrics;
pub mod outlier_columns;
pub mod pack_rows;
pub mod pack_weights;
pub mod quantize_asym;
pub mod quantize_outliers;
pub mod quantize_preset;
pub mod quantize_smooth_static;
pub mod quantize_smooth_token;
pub mod quantize_static;
pub mod quantize_tensor;
pub mod quantize_token;
pub mod reference;
pub mod row_absmax;
pub mod row_sums;
pub mod running_scale;
pub mod scale;
pub mod smooth_factors;
pub mod tensor_absmax;

pub use column_absmax::column_absmax;
pub use error::Error;
pub use float::{canonical, widen_bf16, widen_f16};
pub use gemm::{Dequant, dequant_bf16, dequant_f16, dequant_f32, gemm_i32};
pub use gemm_asym::{MAX_K_ASYM, gemm_asym};
pub use gemm_outliers::{OutlierPart, coded_weights, gemm_outliers, half_weights};
pub use linear::{Linear, OutlierWeights, PresetOf, Scheme, ZeroPoints, linear};
pub use metrics::{Metrics, metrics};
pub use outlier_columns::{outlier_columns, outlier_list};
pub use pack_rows::pack_rows;
pub use pack_weights::pack_weights;
pub use quantize_asym::{Asymmetric, quantize_asym};
pub use quantize_outliers::quantize_outliers;
pub use quantize_preset::{Preset, PresetCodes, Type, quantize_preset, quantize_preset_static};
pub use quantize_smooth_static::quantize_smooth_static;
pub use quantize_smooth_token::quantize_smooth_token;
pub use quantize_static::quantize_static;
pub use quantize_tensor::quantize_tensor;
pub use quantize_token::quantize_token;
pub use reference::reference;
pub use row_absmax::row_absmax;
pub use row_sums::row_sums;
pub use running_scale::{RunningState, Window, running_scale};
pub use scale::{SCALE_MAX, SCALE_MIN, code, scale_from_absmax};
pub use smooth_factors::{smooth_factors, smooth_tokens, smooth_weights};
pub use tensor_absmax::tensor_absmax;

/// The ops that have a scalar definition here, by the name that the device file, the host op, the
/// registry row and the bench row have too. Each is a file of this crate.
pub const OPS: &[&str] = &[
    "row_absmax",
    "column_absmax",
    "tensor_absmax",
    "running_scale",
    "quantize_token",
    "quantize_smooth_token",
    "quantize_tensor",
    "quantize_static",
    "outlier_columns",
    "quantize_outliers",
    "quantize_smooth_static",
    "quantize_asym",
    "quantize_preset",
    "pack_rows",
    "pack_weights",
    "row_sums",
    "gemm",
    "gemm_asym",
    "gemm_outliers",
];

/// The largest K: 127 · 127 · K ≤ 2³¹ − 1.
pub const MAX_K: usize = 133_144;

/// Bytes to which a row of codes is padded with zeros.
pub const ROW_ALIGN: usize = 128;

/// Panics unless a matrix of `len` elements is `rows × cols`.
#[track_caller]
fn assert_shape(what: &str, len: usize, rows: usize, cols: usize) {
    assert_eq!(len, rows * cols, "{what} has {len} elements, which is not {rows} rows of {cols}");
}
