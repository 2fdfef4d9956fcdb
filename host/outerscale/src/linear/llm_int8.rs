//! LLM.int8() (Dettmers et al. 2022): columns with outliers are multiplied in floating point, the rest in int8.

use super::{Step, TokenCodes, Tokens};
use crate::{
    Activations, Bias, Error, Float, Gpu, HalfWeights, Launch, OutlierTokens, Output, OutputElement, PerChannel,
    QuantizedWeights, Result,
    host::{HostMatrix, with_values},
    ops::{self, Choice, OutlierProduct},
};

/// What the outlier columns are multiplied by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutlierWeights {
    /// The weights in f16: a second copy of them.
    #[default]
    F16,
    /// The values of the int8 codes, as bitsandbytes has it: no second copy.
    Int8,
}

/// What the scheme keeps between batches.
pub(super) struct LlmInt8 {
    threshold: f32,
    half_w: Option<HalfWeights>,
}

impl LlmInt8 {
    pub(super) fn new(gpu: &Gpu, w: &HostMatrix, threshold: f32, weights: OutlierWeights) -> Result<Self> {
        ops::check_threshold(threshold).map_err(|rule| Error::argument("llm-int8", "threshold", rule))?;
        let half_w = match weights {
            OutlierWeights::Int8 => None,
            OutlierWeights::F16 => {
                Some(with_values!(&w.values, values => HalfWeights::upload(gpu, values, w.rows, w.cols))?)
            }
        };
        Ok(LlmInt8 { threshold, half_w })
    }

    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>) -> Result<Tokens> {
        let (masks, find) = ops::outlier_columns(gpu, x, self.threshold, Choice::Auto)?;
        let (columns, list) = ops::outlier_list(gpu, &masks, Choice::Auto)?;
        let (codes, launch) = ops::quantize_outliers(gpu, x, &columns, Choice::Auto)?;
        let steps = vec![
            Step { op: "outlier_columns", made: "masks of outlier columns", launch: find },
            Step { op: "outlier_list", made: "outlier_columns", launch: list },
            Step { op: "quantize_outliers", made: "q_x, s_x", launch },
        ];
        Ok(Tokens::new(TokenCodes::Outliers(OutlierTokens::new(codes, columns, x)?), steps))
    }

    pub(super) fn multiply<O: OutputElement>(
        &self,
        gpu: &Gpu,
        (x, w, bias): (&OutlierTokens, &QuantizedWeights<PerChannel>, Option<&Bias>),
        y: &mut Output<O>,
        choice: Choice<'_>,
    ) -> Result<Launch> {
        ops::gemm_outliers(gpu, OutlierProduct { x, w, half_w: self.half_w.as_ref(), bias }, y, choice)
    }
}
