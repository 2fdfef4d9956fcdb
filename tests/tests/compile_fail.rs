//! What must not compile: a scale along K, and stops in a wrong order. The messages are kept beside each
//! case, as they are what a user of the library sees (`TRYBUILD=overwrite` writes them anew).

use outerscale::{
    Gpu, Launch, Output, PerChannel, PerTensor, PerToken, QuantizedTokens, QuantizedWeights, Result, TokenScale,
    WeightScale, Workspace, ops,
};

#[test]
fn wrong_operands_do_not_compile() {
    // No `pass` among the cases: that would build every dependency once more, where errors need only a check.
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

/// The calls of the cases with the right operands: that this compiles shows that those fail for theirs.
#[test]
fn right_operands_compile() {
    fn product<X: TokenScale, W: WeightScale>(
        gpu: &Gpu,
        x: &QuantizedTokens<X>,
        w: &QuantizedWeights<W>,
        y: &mut Output<f32>,
    ) -> Result<Launch> {
        ops::gemm(gpu, ops::Product { x, w, bias: None }, y, &mut Workspace::none(), ops::Choice::Auto)
    }
    let _ = product::<PerToken, PerChannel>;
    let _ = product::<PerTensor, PerChannel>;
    let _ = product::<PerToken, PerTensor>;
    let _ = product::<PerTensor, PerTensor>;
}
