//! The operations: one file per op, named as its device file.
//!
//! An op allocates what it gives; one that is also called `.._into` then writes into what the caller has, and allocates
//! nothing. Each validates (an error names the argument and the rule), chooses a variant (the eligible ones, then a
//! committed preference; a variant asked for by name is validated the same), and launches.

mod column_absmax;
mod decode;
mod gemm;
mod gemm_asym;
mod gemm_outliers;
mod hopper;
mod outlier_columns;
mod outlier_list;
mod pack_rows;
mod pack_weights;
mod quantize_asym;
mod quantize_outliers;
mod quantize_preset;
mod quantize_smooth_static;
mod quantize_smooth_token;
mod quantize_static;
mod quantize_tensor;
mod quantize_token;
mod row_absmax;
mod row_sums;
mod running_scale;
mod stream_k;
mod team;
mod tensor_absmax;
mod variant;

pub use column_absmax::column_absmax;
pub use gemm::{Product, gemm, max_k, workspace_bytes, workspace_bytes_up_to};
pub use gemm_asym::{AsymmetricProduct, gemm_asym};
pub use gemm_outliers::{OutlierProduct, gemm_outliers};
pub use outlier_columns::{check_threshold, outlier_columns, outlier_columns_into};
pub use outlier_list::{outlier_list, outlier_list_into};
pub use pack_rows::{pack_rows, rows_for_product};
pub use pack_weights::pack_weights;
pub use quantize_asym::{quantize_asym, quantize_asym_into};
pub use quantize_outliers::{quantize_outliers, quantize_outliers_into};
pub use quantize_preset::{
    Preset, quantize_preset, quantize_preset_into, quantize_preset_static, quantize_preset_static_into,
    quantize_preset_weights,
};
pub use quantize_smooth_static::{quantize_smooth_static, quantize_smooth_static_into};
pub use quantize_smooth_token::{quantize_smooth_token, quantize_smooth_token_into};
pub use quantize_static::{StaticScale, quantize_static, quantize_static_into};
pub use quantize_tensor::{quantize_tensor, quantize_tensor_into};
pub use quantize_token::{quantize_token, quantize_token_into, quantize_weights};
pub use row_absmax::row_absmax;
pub use row_sums::row_sums;
pub use running_scale::{Window, running_scale, running_scale_into};
pub use tensor_absmax::{tensor_absmax, tensor_absmax_into};
pub use variant::{Choice, Chosen, Preference, Problem, Table, Variant, choose};

pub(crate) mod tables {
    //! The variant rows and preferences of each op, for the registry.
    pub(crate) use super::gemm_outliers::GEMM_OUTLIERS;
    pub(crate) use super::quantize_outliers::QUANTIZE_OUTLIERS;
    pub(crate) use super::quantize_preset::QUANTIZE_PRESET;
    pub(crate) use super::quantize_smooth_static::QUANTIZE_SMOOTH_STATIC;
    pub(crate) use super::{column_absmax::COLUMN_ABSMAX, quantize_smooth_token::QUANTIZE_SMOOTH_TOKEN};
    pub(crate) use super::{gemm::GEMM, gemm_asym::GEMM_ASYM, quantize_asym::QUANTIZE_ASYM, row_sums::ROW_SUMS};
    pub(crate) use super::{outlier_columns::OUTLIER_COLUMNS, outlier_list::OUTLIER_LIST};
    pub(crate) use super::{pack_rows::PACK_ROWS, pack_weights::PACK_WEIGHTS, quantize_static::QUANTIZE_STATIC};
    pub(crate) use super::{quantize_tensor::QUANTIZE_TENSOR, quantize_token::QUANTIZE_TOKEN};
    pub(crate) use super::{row_absmax::ROW_ABSMAX, running_scale::RUNNING_SCALE, tensor_absmax::TENSOR_ABSMAX};
}

use crate::{Error, Result};
use contract::limits::MAX_K;

/// The rule that every quantizer has for its columns.
fn check_cols(op: &'static str, argument: &'static str, cols: u64) -> Result<()> {
    match cols {
        0 => Err(Error::argument(op, argument, "K must be at least 1, got 0")),
        1..=MAX_K => Ok(()),
        _ => Err(Error::argument(
            op,
            argument,
            format!("K must be at most {MAX_K}, where int32 cannot overflow, got {cols}"),
        )),
    }
}
