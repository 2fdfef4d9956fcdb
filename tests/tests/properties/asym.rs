//! The asymmetric scheme: `quantize_asym`, `row_sums`, `gemm_asym`, and what it gains on real layers.

use crate::gemm::weights;
use half::{bf16, f16};
use outerscale::{
    Activations, AsymmetricTokens, Bias, Dtype, Int8Matrix, Layout, Output, OutputElement, PerChannel, Scales, Weights,
    ZeroPoints,
    files::Layer,
    linear::{Scheme, linear},
    ops::{self, AsymmetricProduct, Choice},
};
use outerscale_tests::{
    data::{Codes, Kind, Value, scales},
    harness::*,
    random::Random,
};
use proptest::prelude::*;
use std::path::Path;

fn quantizer<T: Value>(place: Place, kind: Kind, lift: f32, seed: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    // Rows that are off centre: what the scheme is for.
    let x: Vec<T> = x.into_iter().map(|v| T::narrow(v.widen() + lift)).collect();
    let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
    let want = oracle::quantize_asym(&wide, place.rows, place.cols);
    let padded = oracle::pack_rows(&want.codes, place.rows, place.cols, place.cols);
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    for variant in variants("quantize_asym") {
        let (q, _) = ops::quantize_asym(gpu(), &x, variant).unwrap();
        let what = format!("quantize_asym {variant:?}");
        assert_bits(&format!("{what} scales"), &q.scales().download().unwrap(), &want.scales, 1);
        assert_bits(&format!("{what} zero points"), &q.zero_points().download().unwrap(), &want.zero_points, 1);
        assert_bits(&what, &q.download_padded().unwrap(), &padded, place.cols.next_multiple_of(128));
    }
}

fn some_lift() -> impl Strategy<Value = f32> {
    prop::sample::select(vec![0.0f32, 0.0, 3.5, -3.5, 100.0])
}

/// Every tile, y with gaps, zero points at both ends.
fn product<T: OutputElement>(
    (m, n, k): (usize, usize, usize),
    (codes, gap, seed): (Codes, usize, u64),
    dequant: fn(&[i32], usize, usize, &oracle::Dequant<'_>) -> Vec<T>,
) {
    let mut random = Random::new(seed);
    let (q_x, q_w) = (codes.matrix(m, k, seed), codes.matrix(n, k, seed + 1));
    let zero_points: Vec<i32> = (0..m).map(|_| random.pick(&[-128, 127, 0, -77, 31])).collect();
    let (s_x, s_w, bias) = (scales(m, seed), scales(n, seed + 1), scales(n, seed + 2));
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    let corrected = oracle::gemm_asym(&acc, &zero_points, &oracle::row_sums(&q_w, n, k)).unwrap();
    let want = dequant(&corrected, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: Some(&bias) });
    let w = weights::<PerChannel>(gpu(), &q_w, k, &s_w);
    let (w_sums, _) = ops::row_sums(gpu(), &w, Choice::Auto).unwrap();
    let codes = Int8Matrix::upload(gpu(), &q_x, Layout::contiguous(m as u64, k as u64)).unwrap();
    let (packed, _) = ops::pack_rows(gpu(), &codes, Choice::Auto).unwrap();
    let (s_x, zero_points) = (Scales::upload(gpu(), &s_x).unwrap(), ZeroPoints::upload(gpu(), &zero_points).unwrap());
    let x = AsymmetricTokens::from_packed(packed, s_x, zero_points).unwrap();
    let bias = Bias::upload(gpu(), &bias).unwrap();
    let layout = Place { rows: m, cols: n, gap, offset: 0 }.layout();
    for variant in variants("gemm_asym") {
        let product = AsymmetricProduct { x: &x, w: &w, w_sums: &w_sums, bias: Some(&bias) };
        let mut y = Output::<T>::new(gpu(), layout).unwrap();
        ops::gemm_asym(gpu(), product, &mut y, &mut workspace(), variant).unwrap();
        assert_bits(&format!("gemm_asym {variant:?} to {}", T::DTYPE), &y.download().unwrap(), &want, n);
        // The accumulators have the zero points still in.
        let mut y = Output::<i32>::new(gpu(), layout).unwrap();
        ops::gemm_asym(gpu(), product, &mut y, &mut workspace(), variant).unwrap();
        assert_bits(&format!("gemm_asym {variant:?} to i32"), &y.download().unwrap(), &acc, n);
    }
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn quantizer_f32(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), lift in some_lift(), seed: u64) {
        quantizer::<f32>(place, kind, lift, seed);
    }
    #[test]
    fn quantizer_f16(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), lift in some_lift(), seed: u64) {
        quantizer::<f16>(place, kind, lift, seed);
    }
    #[test]
    fn quantizer_bf16(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), lift in some_lift(), seed: u64) {
        quantizer::<bf16>(place, kind, lift, seed);
    }
    #[test]
    fn sums_of_rows((rows, cols) in (some_rows(), some_cols()), seed: u64) {
        let q = Codes::Uniform.matrix(rows, cols, seed);
        let w = weights::<PerChannel>(gpu(), &q, cols, &vec![1.0; rows]);
        let (sums, _) = ops::row_sums(gpu(), &w, Choice::Auto).unwrap();
        assert_bits("row_sums", &sums.download().unwrap(), &oracle::row_sums(&q, rows, cols), 1);
    }
}

proptest! {
    #![proptest_config(cases(6))]

    #[test]
    fn products(
        (m, n, k) in (1usize..140, 1usize..140, 1usize..500),
        codes in prop::sample::select(&Codes::ALL[..]),
        gap in 0usize..5,
        seed in 0u64..1 << 32,
    ) {
        product::<f32>((m, n, k), (codes, gap, seed), oracle::dequant_f32);
        product::<f16>((m, n, k), (codes, gap, seed), oracle::dequant_f16);
        product::<bf16>((m, n, k), (codes, gap, seed), oracle::dequant_bf16);
    }
}

/// A float64 simulation of the scheme, without the contract's roundings of scale and quotient.
fn simulated(layer: &Layer) -> Vec<f64> {
    let k = layer.x.cols as usize;
    let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<f64>>();
    let mut x = wide(layer.x.values.widen());
    for row in x.chunks_mut(k) {
        let (lo, hi) = row.iter().fold((0f64, 0f64), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
        let s = (hi - lo) / 255.0;
        let zero_point = (-128.0 - lo / s).round_ties_even();
        row.iter_mut()
            .for_each(|v| *v = (((*v / s).round_ties_even() + zero_point).clamp(-128.0, 127.0) - zero_point) * s);
    }
    let mut w = wide(layer.w.values.widen());
    for row in w.chunks_mut(k) {
        let s = row.iter().fold(0f64, |m, v| m.max(v.abs())) / 127.0;
        row.iter_mut().for_each(|v| *v = (*v / s).round_ties_even() * s);
    }
    let products = |x: &[f64]| w.chunks(k).map(|w| x.iter().zip(w).map(|(x, w)| x * w).sum()).collect::<Vec<f64>>();
    x.chunks(k).flat_map(products).collect()
}

/// On each layer that is shipped the error is a float64 simulation's, and after GELU a good deal less than that of one
/// symmetric scale a token, which leaves half of the codes unused there.
#[test]
fn errors_are_those_of_a_float64_simulation() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
    let names = [
        "L0_intermediate",
        "L1_output_dense",
        "L2_attention_output",
        "L2_attention_output_injected60",
        "L5_output_dense",
    ];
    for name in names {
        let mut layer = Layer::read(&data.join(format!("{name}.safetensors"))).unwrap();
        // As many tokens as the simulator does in a second or two.
        let (tokens, k) = (24usize, layer.x.cols as usize);
        let x: Vec<f32> = layer.x.values.widen()[..tokens * k].to_vec();
        layer.x.values = outerscale::host::Values::F32(x);
        (layer.x.rows, layer.bias, layer.sentence_id) = (tokens as u64, None, None);
        let reference = oracle::reference(&layer.x.values.widen(), &layer.w.values.widen(), None, k);
        let n = layer.w.rows as usize;
        let error = |y: &[f64]| oracle::metrics(y, &reference, tokens, n).relative_error;
        let of = |scheme| {
            let y = linear(gpu(), &layer, scheme, Dtype::F32).unwrap().y.widen();
            error(&y.into_iter().map(f64::from).collect::<Vec<_>>())
        };
        let (got, want) = (of(Scheme::Asym), error(&simulated(&layer)));
        assert!((got / want - 1.0).abs() < 0.02, "{name}: error {got}, simulated {want}");
        if name.ends_with("output_dense") {
            let symmetric = of(Scheme::Token);
            assert!(got < 0.8 * symmetric, "{name}: error {got}, symmetric {symmetric}");
        }
    }
}

/// The largest K, every code as far from its zero point as it can be: 255 · 127 · 66,311 = 2,147,481,735.
#[test]
fn the_largest_k_reaches_the_end_of_int32() {
    let k = oracle::MAX_K_ASYM;
    let run = |k: usize| {
        let layout = Layout::contiguous(1, k as u64);
        let (x, _) =
            ops::quantize_asym(gpu(), &Activations::upload(gpu(), &vec![1.0f32; k], layout).unwrap(), Choice::Auto)
                .unwrap();
        let w = Weights::upload(gpu(), &vec![1.0f32; k], layout).unwrap();
        let (w, _) = ops::quantize_weights(gpu(), &w, Choice::Auto).unwrap();
        let (w_sums, _) = ops::row_sums(gpu(), &w, Choice::Auto).unwrap();
        let mut y = Output::<f32>::new(gpu(), Layout::contiguous(1, 1)).unwrap();
        let product = AsymmetricProduct { x: &x, w: &w, w_sums: &w_sums, bias: None };
        ops::gemm_asym(gpu(), product, &mut y, &mut workspace(), Choice::Auto).map(|_| y.download().unwrap()[0])
    };
    let (s_x, s_w) = (1.0f32 / 255.0, 1.0f32 / 127.0);
    assert_eq!(run(k).unwrap(), s_x.mul_add(s_w * 2_147_481_735i32 as f32, 0.0));
    let error = run(k + 1).unwrap_err().to_string();
    assert_eq!(error, "gemm_asym: x: K must be 1 to 66311, where int32 cannot overflow, got 66312");
}

/// Rows as far below 0 as above it: there a quotient and the zero point may both be ties that round up, to a code of 128
/// that must saturate.
#[test]
fn two_ties_saturate() {
    let significands = (0..0x80_0000u32).step_by(65_521).map(|fraction| f32::from_bits(0x3f80_0000 | fraction));
    let x: Vec<f32> = significands.chain([127.5]).flat_map(|v| [v, -v, v / 3.0, 0.0]).collect();
    let rows = x.len() / 4;
    let want = oracle::quantize_asym(&x, rows, 4);
    let past = |row: usize| (x[4 * row] / want.scales[row]).round_ties_even() as i32 + want.zero_points[row] > 127;
    assert!((0..rows).any(past), "no row meets the clamp");
    let on_gpu = Activations::upload(gpu(), &x, Layout::contiguous(rows as u64, 4)).unwrap();
    for variant in variants("quantize_asym") {
        let (q, _) = ops::quantize_asym(gpu(), &on_gpu, variant).unwrap();
        assert_bits("zero points", &q.zero_points().download().unwrap(), &want.zero_points, 1);
        assert_bits("codes", &q.download_codes().unwrap(), &want.codes, 4);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = ZeroPoints::upload(gpu(), &[0, 128]).err().unwrap().to_string();
    assert!(error.ends_with("zero_points: [1] a zero point is a code, in [-128, 127], got 128"), "{error}");
    let layout = Layout::contiguous(3, 5);
    let x: Vec<f32> = Kind::Uniform.matrix(3, 5, 1);
    let (q, _) = ops::quantize_asym(gpu(), &Activations::upload(gpu(), &x, layout).unwrap(), Choice::Auto).unwrap();
    let (w, other) = (weights::<PerChannel>(gpu(), &[1; 10], 5, &[1.0; 2]), weights(gpu(), &[1; 15], 5, &[1.0; 3]));
    let (of_other, _) = ops::row_sums::<PerChannel>(gpu(), &other, Choice::Auto).unwrap();
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(3, 2)).unwrap();
    let product = AsymmetricProduct { x: &q, w: &w, w_sums: &of_other, bias: None };
    let error = ops::gemm_asym(gpu(), product, &mut y, &mut workspace(), Choice::Auto).err().unwrap().to_string();
    assert_eq!(error, "gemm_asym: w_sums: there must be one for each of the 2 rows of w, got 3");
}
