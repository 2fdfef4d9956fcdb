//! The epilogue of every product in every combination: one scale or many on either side, a bias of each type or none,
//! each type of y.

use crate::gemm::{Out, tokens, weights};
use half::{bf16, f16};
use outerscale::{
    Activations, AsymmetricTokens, Bias, Dtype, Int8Matrix, Layout, OutlierColumns, OutlierTokens, Output, PackedCodes,
    PerChannel, PerTensor, PerToken, Scales, TokenScale, WeightScale, ZeroPoints,
    ops::{self, AsymmetricProduct, Choice, OutlierProduct, Product},
};
use outerscale_tests::{
    data::{Codes, Kind, Value, scales},
    harness::*,
};

/// Past a panel of w and, with its last rows, past every small tile; K with a tail.
const SHAPE: (usize, usize, usize) = (19, 67, 150);

/// A bias that no two types hold alike: fractions that 16 bits round, one past f16's range, NaN and an infinity.
fn bias<B: Value>() -> (Bias, Vec<f32>) {
    let n = SHAPE.1;
    let mut wide: Vec<f32> = scales(n, 9).iter().map(|s| 1e3 * s - 1.0).collect();
    (wide[0], wide[1], wide[2], wide[3]) = (f32::NAN, f32::NEG_INFINITY, 1e6, -0.0);
    let bias: Vec<B> = wide.iter().map(|b| B::narrow(*b)).collect();
    (Bias::upload(gpu(), &bias).unwrap(), bias.iter().map(|b| b.widen()).collect())
}

/// Every type of bias, and none.
fn biases() -> Vec<Option<(Bias, Vec<f32>)>> {
    vec![None, Some(bias::<f32>()), Some(bias::<f16>()), Some(bias::<bf16>())]
}

fn what(op: &str, variant: Choice<'_>, bias: Option<&Bias>, out: Dtype) -> String {
    let bias = bias.map_or("no bias".to_owned(), |bias| format!("a bias of {}", bias.dtype()));
    format!("{op} {variant:?}, {bias}, to {out}")
}

fn packed_rows(q: &[i8]) -> PackedCodes {
    let (m, _, k) = SHAPE;
    let codes = Int8Matrix::upload(gpu(), q, Layout::contiguous(m as u64, k as u64)).unwrap();
    ops::pack_rows(gpu(), &codes, Choice::Auto).unwrap().0
}

fn y<T: Out>() -> Output<T> {
    Output::new(gpu(), Layout::contiguous(SHAPE.0 as u64, SHAPE.1 as u64)).unwrap()
}

/// `gemm` with scales of these kinds.
fn symmetric<T: Out, X: TokenScale, W: WeightScale>() {
    let (m, n, k) = SHAPE;
    let (q_x, q_w) = (Codes::Large.matrix(m, k, 1), Codes::Uniform.matrix(n, k, 2));
    let (s_x, s_w) = (scales(X::count(m as u64) as usize, 3), scales(W::count(n as u64) as usize, 4));
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    let (x, w) = (tokens::<X>(gpu(), &q_x, k, &s_x), weights::<W>(gpu(), &q_w, k, &s_w));
    for bias in biases() {
        let wide = bias.as_ref().map(|(_, wide)| wide.as_slice());
        let want = T::dequant(&acc, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: wide });
        let bias = bias.as_ref().map(|(bias, _)| bias);
        for variant in variants("gemm") {
            let mut y = y::<T>();
            ops::gemm(gpu(), Product { x: &x, w: &w, bias }, &mut y, &mut workspace(), variant).unwrap();
            let kinds = format!("{} × {}", X::NAME, W::NAME);
            let what = format!("{}, {kinds}", what("gemm", variant, bias, T::DTYPE));
            assert_bits(&what, &y.download().unwrap(), &want, n);
        }
    }
}

fn every_kind_of_scale<T: Out>() {
    symmetric::<T, PerToken, PerChannel>();
    symmetric::<T, PerToken, PerTensor>();
    symmetric::<T, PerTensor, PerChannel>();
    symmetric::<T, PerTensor, PerTensor>();
}

#[test]
fn symmetric_in_every_combination() {
    every_kind_of_scale::<f32>();
    every_kind_of_scale::<f16>();
    every_kind_of_scale::<bf16>();
    every_kind_of_scale::<i32>();
}

/// `gemm_asym` and `gemm_outliers` with weights' scales of this kind.
fn with_corrections<T: Out, W: WeightScale>(narrow: fn(f32) -> T) {
    let (m, n, k) = SHAPE;
    let columns = [3usize, 64, 149];
    let mut q_x = Codes::Uniform.matrix(m, k, 1);
    q_x.chunks_mut(k).for_each(|row| columns.iter().for_each(|col| row[*col] = 0));
    let q_w = Codes::Uniform.matrix(n, k, 2);
    let (s_x, s_w) = (scales(m, 3), scales(W::count(n as u64) as usize, 4));
    let zero_points: Vec<i32> = (0..m as i32).map(|row| 7 * row - 60).collect();
    let x: Vec<f32> = Kind::Outliers.matrix(m, k, 5);
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    let shifted = oracle::gemm_asym(&acc, &zero_points, &oracle::row_sums(&q_w, n, k)).unwrap();
    let w = weights::<W>(gpu(), &q_w, k, &s_w);
    let (w_sums, _) = ops::row_sums(gpu(), &w, Choice::Auto).unwrap();
    let asymmetric = AsymmetricTokens::from_packed(
        packed_rows(&q_x),
        Scales::upload(gpu(), &s_x).unwrap(),
        ZeroPoints::upload(gpu(), &zero_points).unwrap(),
    )
    .unwrap();
    let on_gpu = Activations::upload(gpu(), &x, Layout::contiguous(m as u64, k as u64)).unwrap();
    let list = OutlierColumns::upload(gpu(), &columns.map(|col| col as u32), k as u64).unwrap();
    let outliers = OutlierTokens::new(tokens::<PerToken>(gpu(), &q_x, k, &s_x), list, &on_gpu).unwrap();
    let by_row: Vec<f32> = (0..n).map(|row| s_w[row % s_w.len()]).collect();
    let part = oracle::OutlierPart { columns: columns.to_vec(), x, w: oracle::coded_weights(&q_w, &by_row, k) };
    for bias in biases() {
        let wide = bias.as_ref().map(|(_, wide)| wide.as_slice());
        let by = oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: wide };
        let bias = bias.as_ref().map(|(bias, _)| bias);
        let want = T::dequant(&shifted, m, n, &by);
        for variant in variants("gemm_asym") {
            let product = AsymmetricProduct { x: &asymmetric, w: &w, w_sums: &w_sums, bias };
            let mut y = y::<T>();
            ops::gemm_asym(gpu(), product, &mut y, &mut workspace(), variant).unwrap();
            assert_bits(&what("gemm_asym", variant, bias, T::DTYPE), &y.download().unwrap(), &want, n);
        }
        let want: Vec<T> = oracle::gemm_outliers(&acc, m, n, &by, &part).into_iter().map(narrow).collect();
        for variant in variants("gemm_outliers") {
            let product = OutlierProduct { x: &outliers, w: &w, half_w: None, bias };
            let mut y = y::<T>();
            ops::gemm_outliers(gpu(), product, &mut y, &mut workspace(), variant).unwrap();
            assert_bits(&what("gemm_outliers", variant, bias, T::DTYPE), &y.download().unwrap(), &want, n);
        }
    }
}

#[test]
fn corrected_in_every_combination() {
    with_corrections::<f32, PerChannel>(oracle::canonical);
    with_corrections::<f32, PerTensor>(oracle::canonical);
    with_corrections::<f16, PerChannel>(oracle::float::narrow_f16);
    with_corrections::<f16, PerTensor>(oracle::float::narrow_f16);
    with_corrections::<bf16, PerChannel>(oracle::float::narrow_bf16);
    with_corrections::<bf16, PerTensor>(oracle::float::narrow_bf16);
}
