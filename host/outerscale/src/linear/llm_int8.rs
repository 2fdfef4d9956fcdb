//! LLM.int8() (Dettmers et al. 2022): columns with outliers are multiplied in floating point, the rest in int8.

use super::{Step, TokenCodes, Tokens, tokens::other_room};
use crate::{
    Activations, Bias, Error, Float, Gpu, HalfWeights, Launch, OutlierMasks, OutlierTokens, Output, OutputElement,
    PerChannel, QuantizedWeights, Result, Workspace,
    host::{HostMatrix, with_values},
    operands::Inputs,
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
    pub(super) threshold: f32,
    pub(super) half_w: Option<HalfWeights>,
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

    pub(super) fn room(gpu: &Gpu, most: u64, k: u64) -> Result<Tokens> {
        let masks = Some(OutlierMasks::with_room(gpu, most, k)?);
        let codes = TokenCodes::Outliers(OutlierTokens::with_room(gpu, most, k)?);
        Ok(Tokens { masks, ..Tokens::with_room(codes) })
    }

    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>, tokens: &mut Tokens) -> Result<Vec<Step>> {
        let (TokenCodes::Outliers(tokens), Some(masks)) = (&mut tokens.codes, &mut tokens.masks) else {
            return Err(other_room());
        };
        let find = ops::outlier_columns_into(gpu, x, self.threshold, masks, Choice::Auto)?;
        let list = ops::outlier_list_into(gpu, masks, &mut tokens.columns, Choice::Auto)?;
        let launch = ops::quantize_outliers_into(gpu, x, &tokens.columns, &mut tokens.codes, Choice::Auto)?;
        tokens.x = Inputs::of(x);
        Ok(vec![
            Step { op: "outlier_columns", made: "masks of outlier columns", launch: find },
            Step { op: "outlier_list", made: "outlier_columns", launch: list },
            Step { op: "quantize_outliers", made: "q_x, s_x", launch },
        ])
    }

    pub(super) fn multiply<O: OutputElement>(
        &self,
        gpu: &Gpu,
        (x, w, bias): (&OutlierTokens, &QuantizedWeights<PerChannel>, Option<&Bias>),
        y: &mut Output<O>,
        workspace: &mut Workspace,
        choice: Choice<'_>,
    ) -> Result<Launch> {
        ops::gemm_outliers(gpu, OutlierProduct { x, w, half_w: self.half_w.as_ref(), bias }, y, workspace, choice)
    }
}
