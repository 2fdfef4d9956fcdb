//! What a scheme costs beyond the int8 product itself: bytes and operations, by formulas that stand here alone.

use crate::{
    linear::{OutlierWeights, PresetScale, Scheme},
    smooth::Alpha,
};
use serde::Serialize;

/// Float operations of an element count so much against an int8 multiply-add of the tensor cores.
///
/// An A100 has 312·10¹² int8 multiply-adds a second and 9.75·10¹² float ones (NVIDIA A100 datasheet: 624 TOPS and
/// 19.5 TFLOPS at two operations each): 32. An H100 has 29.5.
pub const FLOAT_WEIGHT: f64 = 32.0;

/// The sizes that the formulas take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sizes {
    /// Output channels.
    pub n: u64,
    /// Input channels.
    pub k: u64,
    /// Outlier columns of this batch.
    pub outliers: u64,
}

/// A cost: what it is, its formula, and its amount here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// What it is.
    pub what: &'static str,
    /// The formula; N outputs, K inputs, c outlier columns.
    pub formula: &'static str,
    /// How much it is.
    pub amount: u64,
}

/// What a scheme costs on a layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Bytes that the layer holds beside its int8 weights.
    pub layer_bytes: Vec<Item>,
    /// Bytes of each token beside its int8 codes.
    pub token_bytes: Vec<Item>,
    /// Float and integer operations of each token, beside its K quotients and roundings and the int8 product.
    pub token_operations: Vec<Item>,
    /// Operations when the weights are loaded, once, beside their N·K quotients and roundings.
    pub load_operations: Vec<Item>,
    /// Bytes of weights, and of what belongs to them, that the product of one batch reads.
    pub weight_bytes_read: u64,
    /// How often x is read from memory.
    pub x_reads: u64,
    /// Kernels that a batch launches, as they ran.
    pub launches: u64,
    /// Whether a token's result depends on the other tokens of its batch or on earlier batches.
    pub is_batch_dependent: bool,
}

/// The parts of which schemes are made.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// A scale a token, from its absmax.
    TokenScale,
    /// A scale from the absmax of the whole batch: known only when all of x was read.
    BatchScale,
    /// A scale that is given.
    GivenScale,
    /// Zero points, and with them Σ q_w.
    ZeroPoints,
    /// A moving average that the batch's absmax goes into.
    Average,
    /// Factors that x is divided by in the quantizer's own pass. Where a norm can take them in, they cost nothing.
    Factors,
    /// Columns of x that are found as it runs and multiplied in floating point.
    Outliers,
    /// Their weights in f16: any column may become one, so of all columns.
    HalfWeights,
}

/// A scheme's parts.
fn parts(scheme: Scheme) -> &'static [Part] {
    match scheme {
        // The dearer of the two that hybrid chooses from, where it has not chosen yet.
        Scheme::Token | Scheme::Hybrid | Scheme::Preset(_, PresetScale::Token) => &[Part::TokenScale],
        Scheme::Tensor => &[Part::BatchScale],
        Scheme::Static | Scheme::Preset(_, PresetScale::Static) => &[Part::GivenScale],
        Scheme::Running(_) => &[Part::BatchScale, Part::Average],
        Scheme::Asym => &[Part::TokenScale, Part::ZeroPoints],
        Scheme::SmoothToken { alpha: Alpha::Off } => &[Part::TokenScale],
        Scheme::SmoothStatic { alpha: Alpha::Off } => &[Part::GivenScale],
        Scheme::SmoothToken { .. } => &[Part::TokenScale, Part::Factors],
        Scheme::SmoothStatic { .. } => &[Part::GivenScale, Part::Factors],
        Scheme::LlmInt8 { outlier_weights: OutlierWeights::F16, .. } => {
            &[Part::TokenScale, Part::Outliers, Part::HalfWeights]
        }
        Scheme::LlmInt8 { outlier_weights: OutlierWeights::Int8, .. } => &[Part::TokenScale, Part::Outliers],
    }
}

/// The costs of `scheme` on a layer of these sizes, `launches` being what ran.
pub fn cost(scheme: Scheme, sizes: Sizes, launches: u64) -> Cost {
    let Sizes { n, k, outliers } = sizes;
    let item = |what, formula, amount| Item { what, formula, amount };
    let mut cost = Cost {
        layer_bytes: vec![item("scales of w, f32", "4 N", 4 * n)],
        load_operations: vec![item("absmax of w", "N K", n * k)],
        x_reads: 1,
        launches,
        weight_bytes_read: n * k + 4 * n,
        ..Cost::default()
    };
    for part in parts(scheme) {
        match part {
            Part::TokenScale => {
                cost.token_bytes.push(item("scale, f32", "4", 4));
                cost.token_operations.push(item("absmax of the token", "K", k));
                cost.token_operations.push(item("division for the scale", "1", 1));
            }
            Part::BatchScale => {
                cost.layer_bytes.push(item("scale, f32", "4", 4));
                cost.token_operations.push(item("absmax of the batch", "K", k));
                cost.x_reads += 1;
                cost.is_batch_dependent = true;
            }
            Part::GivenScale => cost.layer_bytes.push(item("scale, f32", "4", 4)),
            Part::ZeroPoints => {
                cost.layer_bytes.push(item("sums of the codes of w, i32", "4 N", 4 * n));
                cost.weight_bytes_read += 4 * n;
                cost.token_bytes.push(item("zero point, i32", "4", 4));
                cost.token_operations.push(item("least beside largest x", "K", k));
                cost.token_operations.push(item("sum of w times zero point", "N", n));
                cost.load_operations.push(item("sums of the codes of w", "N K", n * k));
            }
            Part::Outliers => {
                cost.layer_bytes.push(item("list of outlier columns, u32", "4 K", 4 * k));
                cost.layer_bytes.push(item("mask of outlier columns, bits", "K / 8", k.div_ceil(8)));
                cost.token_operations.push(item("comparison with the threshold", "K", k));
                cost.token_operations.push(item("fma of outliers", "c N", outliers * n));
                cost.x_reads += 1;
                cost.is_batch_dependent = true;
            }
            Part::HalfWeights => {
                cost.layer_bytes.push(item("weights, f16", "2 N K", 2 * n * k));
                cost.load_operations.push(item("rounding of w to f16", "N K", n * k));
                cost.weight_bytes_read += 2 * outliers * n;
            }
            Part::Factors => {
                cost.layer_bytes.push(item("smoothing factors, f32", "4 K", 4 * k));
                cost.weight_bytes_read += 4 * k;
                cost.token_operations.push(item("division by the factor", "K", k));
                cost.load_operations.push(item("absmax of the columns of w", "N K", n * k));
                cost.load_operations.push(item("w times factors", "N K", n * k));
            }
            Part::Average => cost.layer_bytes.push(item("state of the average", "16", 16)),
        }
    }
    cost
}

impl Cost {
    /// Bytes that the layer holds beside its int8 weights.
    pub fn held_bytes(&self) -> u64 {
        self.layer_bytes.iter().map(|item| item.amount).sum()
    }

    /// Bytes of each token beside its codes.
    pub fn bytes_a_token(&self) -> u64 {
        self.token_bytes.iter().map(|item| item.amount).sum()
    }

    /// Operations of each token beside the quotients and the int8 product.
    pub fn operations_a_token(&self) -> u64 {
        self.token_operations.iter().map(|item| item.amount).sum()
    }

    /// Operations when the weights are loaded.
    pub fn operations_a_load(&self) -> u64 {
        self.load_operations.iter().map(|item| item.amount).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { n: 100, k: 80, outliers: 3 };

    #[test]
    fn a_given_scale_costs_no_token_anything() {
        let cost = cost(Scheme::Static, SIZES, 2);
        assert_eq!((cost.operations_a_token(), cost.bytes_a_token(), cost.x_reads), (0, 0, 1));
        assert_eq!((cost.held_bytes(), cost.weight_bytes_read, cost.launches), (404, 8400, 2));
        assert!(!cost.is_batch_dependent);
    }

    #[test]
    fn what_is_found_as_it_runs_is_paid_for() {
        let of = |scheme| cost(scheme, SIZES, 2);
        let token = of(Scheme::Token);
        assert_eq!((token.operations_a_token(), token.bytes_a_token(), token.operations_a_load()), (81, 4, 8000));
        let asym = of(Scheme::Asym);
        assert_eq!((asym.operations_a_token(), asym.bytes_a_token(), asym.operations_a_load()), (261, 8, 16_000));
        assert_eq!(asym.held_bytes(), token.held_bytes() + 400);
        let smooth = |alpha| of(Scheme::SmoothStatic { alpha });
        assert_eq!(smooth(Alpha::Off), of(Scheme::Static));
        assert_eq!((smooth(Alpha::Fixed(0.5)).operations_a_token(), smooth(Alpha::Auto).held_bytes()), (80, 404 + 320));
        let tensor = of(Scheme::Tensor);
        assert_eq!((tensor.x_reads, tensor.is_batch_dependent), (2, true));
        let llm = |outlier_weights| of(Scheme::LlmInt8 { threshold: 6.0, outlier_weights });
        let (half, codes) = (llm(OutlierWeights::F16), llm(OutlierWeights::Int8));
        assert_eq!(half.held_bytes() - codes.held_bytes(), 16_000, "a second copy of the weights");
        assert_eq!(half.weight_bytes_read - codes.weight_bytes_read, 600, "of which the outlier columns are read");
        assert_eq!(codes.operations_a_token(), 81 + 80 + 300);
    }
}
