//! `linear`, from a layer to y: every scheme, every type of x and w, every output type.

use half::{bf16, f16};
use outerscale::smooth::Alpha;
use outerscale::{
    Dtype, Element,
    files::Layer,
    host::{HostMatrix, Values},
    linear::{Calibration, SPREAD_LIMIT, Scheme, linear, linear_calibrated},
    ops::Preset,
    verify::layer::{Expected, expected_calibrated},
};
use outerscale_tests::{data::Kind, data::scales, harness::*};
use proptest::prelude::*;

fn values(dtype: Dtype, kind: Kind, rows: usize, cols: usize, seed: u64) -> Values {
    match dtype {
        Dtype::F16 => Values::F16(kind.matrix(rows, cols, seed)),
        Dtype::Bf16 => Values::Bf16(kind.matrix(rows, cols, seed)),
        _ => Values::F32(kind.matrix(rows, cols, seed)),
    }
}

fn bits<T: Element>(v: &[T]) -> Vec<u32> {
    v.iter().map(|v| v.bits()).collect()
}

fn some_float() -> impl Strategy<Value = Dtype> {
    prop::sample::select(vec![Dtype::F32, Dtype::F16, Dtype::Bf16])
}

/// Any scheme, and any library's codes under the schemes that it has.
fn some_scheme() -> impl Strategy<Value = Scheme> {
    let presets = Preset::ALL
        .into_iter()
        .flat_map(|preset| [Scheme::Token, Scheme::Static].map(|scheme| scheme.with_preset(preset)))
        .filter_map(Result::ok)
        .collect::<Vec<_>>();
    prop_oneof![2 => prop::sample::select(&Scheme::ALL[..]), 1 => prop::sample::select(presets)]
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn equals_the_oracle(
        (m, n, k) in (0usize..40, 1usize..80, 1usize..300),
        (x_type, w_type, out) in (some_float(), some_float(), some_float()),
        (scheme, alpha) in (some_scheme(), 0.0..=1.0),
        (x_kind, w_kind) in (prop::sample::select(&Kind::ALL[..]), prop::sample::select(&Kind::ALL[..])),
        has_bias: bool,
        spread in 0.5f64..2.5,
        seed: u64,
    ) {
        let (x, w) = (values(x_type, x_kind, m, k, seed), values(w_type, w_kind, n, k, !seed));
        let bias = has_bias.then(|| scales(n, seed));
        let layer = Layer {
            x: HostMatrix { rows: m as u64, cols: k as u64, values: x.clone() },
            w: HostMatrix { rows: n as u64, cols: k as u64, values: w.clone() },
            bias: bias.clone(),
            calib_absmax: Some(scales(k, seed).iter().map(|s| 100.0 * s).collect()),
            sentence_id: None,
        };
        let calibration = Calibration { spread: Some(spread), ..Calibration::of(&layer, scheme).unwrap() };
        // A search ends with a number, or with none: what comes then is a search's own affair (smooth.rs).
        let scheme = scheme.with_alpha(Alpha::Fixed(alpha));
        if scheme.alpha().is_some() && w.widen().iter().any(|w| !w.is_finite()) {
            // No factor makes a column with NaN or Inf smaller: the oracle refuses it too.
            let got = linear_calibrated(gpu(), &layer, scheme, Some(&calibration), out);
            prop_assert!(got.is_err() && expected_calibrated(&layer, scheme, Some(&calibration), out).is_err());
            return Ok(());
        }
        let got = linear_calibrated(gpu(), &layer, scheme, Some(&calibration), out).unwrap();
        let Expected { linear: want, y, smooth, .. } = expected_calibrated(&layer, scheme, Some(&calibration), out).unwrap();
        prop_assert_eq!(got.smooth.as_deref().map(bits), smooth.as_deref().map(bits));
        prop_assert_eq!(&got.q_x, &want.q_x);
        prop_assert_eq!(bits(&got.s_x), bits(&want.s_x));
        prop_assert_eq!(&got.q_w, &want.q_w);
        prop_assert_eq!(bits(&got.s_w), bits(&want.s_w));
        prop_assert_eq!(&got.acc, &want.acc);
        let zero = want.zero_points.as_ref();
        prop_assert_eq!(got.zp_x.as_ref(), zero.map(|zero| &zero.zp_x));
        prop_assert_eq!(got.w_sums.as_ref(), zero.map(|zero| &zero.w_sums));
        prop_assert_eq!(got.y.dtype(), y.dtype());
        prop_assert_eq!(got.y.bits(), y.bits());
        let given = match scheme {
            Scheme::Static | Scheme::Running(_) | Scheme::SmoothStatic { .. } => true,
            Scheme::Hybrid => spread <= SPREAD_LIMIT,
            _ => false,
        };
        let divided = smooth.map_or_else(|| x.widen(), |smooth| oracle::smooth_tokens(&x.widen(), &smooth));
        let non_finite = divided.iter().filter(|v| !v.is_finite()).count() as u64;
        prop_assert_eq!(got.counts.map(|counts| counts.non_finite), given.then_some(non_finite));
    }
}

/// On ordinary data the quantized layer is near the float64 one: the reference and the metrics are of the
/// same layer. The bound is the worst case: half a step of x and of w at every product.
#[test]
fn is_near_float64() {
    let (m, n, k) = (24, 40, 256);
    let (x, w): (Vec<f32>, Vec<f32>) = (Kind::Uniform.matrix(m, k, 1), Kind::Uniform.matrix(n, k, 2));
    let layer = Layer {
        x: HostMatrix { rows: m as u64, cols: k as u64, values: Values::F32(x.clone()) },
        w: HostMatrix { rows: n as u64, cols: k as u64, values: Values::F32(w.clone()) },
        bias: None,
        calib_absmax: None,
        sentence_id: None,
    };
    let got = linear(gpu(), &layer, Scheme::Token, Dtype::F32).unwrap();
    let reference = oracle::reference(&x, &w, None, k);
    let y: Vec<f64> = got.y.widen().into_iter().map(f64::from).collect();
    for (at, (y, exact)) in y.iter().zip(&reference).enumerate() {
        let (s_x, s_w) = (f64::from(got.s_x[at / n]), f64::from(got.s_w[at % n]));
        let bound = k as f64 * (0.5 * s_x * 4.0 + 0.5 * s_w * 4.0 + 0.25 * s_x * s_w) * 1.001;
        assert!((y - exact).abs() <= bound, "({}, {}): {y} against {exact} ± {bound}", at / n, at % n);
    }
    // Uniform data has 8 bits of it left: about 40 dB. Half of that would be a mistake somewhere.
    let metrics = oracle::metrics(&y, &reference, m, n);
    assert!(metrics.sqnr_db > 35.0, "{metrics:?}");
}

#[test]
fn f16_and_bf16_outputs_are_the_f32_one_rounded() {
    let (m, n, k) = (5, 9, 33);
    let layer = Layer {
        x: HostMatrix { rows: m, cols: k, values: values(Dtype::F16, Kind::Outliers, 5, 33, 1) },
        w: HostMatrix { rows: n, cols: k, values: values(Dtype::Bf16, Kind::Uniform, 9, 33, 2) },
        bias: None,
        calib_absmax: None,
        sentence_id: None,
    };
    let wide = linear(gpu(), &layer, Scheme::Token, Dtype::F32).unwrap().y.widen();
    let half = linear(gpu(), &layer, Scheme::Token, Dtype::F16).unwrap().y.widen();
    let brain = linear(gpu(), &layer, Scheme::Token, Dtype::Bf16).unwrap().y.widen();
    assert_eq!(half, wide.iter().map(|y| f16::from_f32(*y).to_f32()).collect::<Vec<_>>());
    assert_eq!(brain, wide.iter().map(|y| bf16::from_f32(*y).to_f32()).collect::<Vec<_>>());
}
