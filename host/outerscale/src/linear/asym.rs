//! The asymmetric scheme: a zero point a token, taken out of the product with the weights' row sums.

use super::{Step, TokenCodes, Tokens, tokens::other_room};
use crate::{
    Activations, AsymmetricTokens, Bias, Float, Gpu, Launch, Output, OutputElement, PerChannel, QuantizedWeights,
    Result, WeightSums, Workspace,
    ops::{self, AsymmetricProduct, Choice},
};

/// What the scheme keeps between batches.
pub(super) struct Asym {
    pub(super) w_sums: WeightSums,
}

impl Asym {
    /// The sums of the rows of the weights, and the kernel that made them.
    pub(super) fn new(gpu: &Gpu, w: &QuantizedWeights<PerChannel>) -> Result<(Self, Step)> {
        let (w_sums, launch) = ops::row_sums(gpu, w, Choice::Auto)?;
        Ok((Asym { w_sums }, Step { op: "row_sums", made: "w_sums", launch }))
    }

    pub(super) fn room(gpu: &Gpu, most: u64, k: u64) -> Result<Tokens> {
        Ok(Tokens::with_room(TokenCodes::Asymmetric(AsymmetricTokens::with_room(gpu, most, k)?)))
    }

    pub(super) fn quantize<T: Float>(gpu: &Gpu, x: &Activations<T>, tokens: &mut Tokens) -> Result<Vec<Step>> {
        let TokenCodes::Asymmetric(codes) = &mut tokens.codes else { return Err(other_room()) };
        let launch = ops::quantize_asym_into(gpu, x, codes, Choice::Auto)?;
        Ok(vec![Step { op: "quantize_asym", made: "q_x, s_x, zp_x", launch }])
    }

    pub(super) fn multiply<O: OutputElement>(
        &self,
        gpu: &Gpu,
        (x, w, bias): (&AsymmetricTokens, &QuantizedWeights<PerChannel>, Option<&Bias>),
        y: &mut Output<O>,
        workspace: &mut Workspace,
        choice: Choice<'_>,
    ) -> Result<Launch> {
        ops::gemm_asym(gpu, AsymmetricProduct { x, w, w_sums: &self.w_sums, bias }, y, workspace, choice)
    }
}
