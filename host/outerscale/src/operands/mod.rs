//! One type per stop of the way of the data: a wrong order or a scale along K does not compile.

mod asymmetric;
mod codes;
mod matrices;
mod outliers;
mod running;
mod scales;
mod weights;
mod workspace;

pub use asymmetric::{AsymmetricTokens, WeightSums, ZeroPoints};
pub use codes::{Int8Matrix, PackedCodes, QuantizedTokens};
pub use matrices::{Activations, Bias, ColumnAbsmax, InputCounters, InputCounts, Output, PartialAbsmax, Weights};
pub use outliers::{HalfWeights, OutlierColumns, OutlierMasks, OutlierTokens};
pub use running::RunningState;
pub use scales::{
    PerChannel, PerInputChannel, PerTensor, PerToken, ScaleKind, Scales, TokenScale, WeightScale, check_scale,
};
pub use weights::{PackedWeights, QuantizedWeights};
pub use workspace::Workspace;

pub(crate) use codes::CodeMatrix;
pub(crate) use outliers::Inputs;
