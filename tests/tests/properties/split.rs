//! Products whose blocks share tiles of y: the split changes nothing, and the workspace is left as it was found.

use crate::gemm::{tokens, weights};
use outerscale::{
    Gpu, Layout, Output, PerTensor, PerToken, QuantizedTokens, QuantizedWeights, Workspace,
    ops::{self, Choice},
    registry,
};
use outerscale_tests::{
    data::{Codes, scales},
    harness::*,
};

/// A product and what its y has to be.
struct Case {
    x: QuantizedTokens<PerToken>,
    w: QuantizedWeights<PerTensor>,
    want: Vec<f32>,
    m: usize,
    n: usize,
}

fn case(gpu: &Gpu, (m, n, k): (usize, usize, usize), seed: u64) -> Case {
    let (q_x, q_w) = (Codes::Uniform.matrix(m, k, seed), Codes::Uniform.matrix(n, k, seed + 1));
    let (s_x, s_w) = (scales(m, seed), scales(1, seed + 1));
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    let want = oracle::dequant_f32(&acc, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: None });
    Case { x: tokens(gpu, &q_x, k, &s_x), w: weights(gpu, &q_w, k, &s_w), want, m, n }
}

impl Case {
    /// Runs the product, twice over, and holds y against the oracle and the workspace against zero.
    fn run(&self, workspace: &mut Workspace, choice: Choice<'_>) {
        let mut y = Output::<f32>::new(gpu(), Layout::contiguous(self.m as u64, self.n as u64)).unwrap();
        let product = ops::Product { x: &self.x, w: &self.w, bias: None };
        let launch = ops::gemm(gpu(), product, &mut y, workspace, choice).unwrap();
        let what = format!("{} in {} blocks", launch.entry, launch.grid);
        assert_bits(&what, &y.download().unwrap(), &self.want, self.n);
        launch.again().unwrap();
        assert_bits(&format!("{what}, again"), &y.download().unwrap(), &self.want, self.n);
        assert!(workspace.download().unwrap().iter().all(|byte| *byte == 0), "{what}: the workspace is not zero");
    }
}

/// Variants of `gemm` that want a workspace for a product of a long K.
fn sharing() -> Vec<&'static ops::Variant> {
    let problem = ops::Problem { workspace_bytes: u64::MAX, ..ops::Problem::new(gpu(), 5, 200, 3000) };
    let variants = registry::op("gemm").unwrap().table.variants.iter();
    let runs = variants.filter(|variant| gpu().arch().text(variant.module).is_some());
    runs.filter(|variant| (variant.workspace)(&problem) > 0).collect()
}

#[test]
fn no_number_of_blocks_changes_y() {
    assert!(sharing().iter().any(|variant| variant.name == "stream8"));
    let case = case(gpu(), (5, 200, 3000), 1);
    let mut workspace = workspace();
    for variant in sharing() {
        for blocks in [1, 2, 3, 7, u32::MAX].into_iter().filter(|blocks| *blocks >= variant.cluster) {
            case.run(&mut workspace, Choice::Limited { variant: variant.name, blocks });
        }
    }
}

#[test]
fn one_workspace_serves_products_in_turn() {
    let cases = [case(gpu(), (1, 65, 2100), 2), case(gpu(), (16, 130, 1100), 3), case(gpu(), (9, 1, 5000), 4)];
    let mut workspace = workspace();
    for variant in sharing() {
        cases.iter().for_each(|case| case.run(&mut workspace, Choice::Named(variant.name)));
    }
}

#[test]
fn a_workspace_that_is_too_small_is_refused_with_its_size() {
    let case = case(gpu(), (2, 70, 1500), 5);
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(2, 70)).unwrap();
    let product = ops::Product { x: &case.x, w: &case.w, bias: None };
    let mut small = Workspace::new(gpu(), 256).unwrap();
    let refused = ops::gemm(gpu(), product, &mut y, &mut small, Choice::Named("stream8")).err();
    let error = refused.expect("256 bytes are too few").to_string();
    assert!(error.contains("it needs a workspace of ") && error.ends_with(" bytes, the one given has 256"), "{error}");
    // Another variant takes its place where none was asked for by name.
    let launch = ops::gemm(gpu(), product, &mut y, &mut Workspace::none(), Choice::Auto).unwrap();
    assert_ne!(launch.variant, "stream8");
    assert_bits(&launch.entry, &y.download().unwrap(), &case.want, 70);
}
