//! `running_scale` over batches in order, and the scheme that is made of it.

use half::f16;
use outerscale::{
    Activations, Layout, Output, RunningState,
    host::{HostMatrix, Values},
    linear::{Calibration, QuantizedLinear, Scheme},
    ops::{self, Choice, Window},
};
use outerscale_tests::{
    data::{Kind, scales},
    harness::*,
};
use proptest::prelude::*;

fn some_window() -> impl Strategy<Value = Window> {
    let momentum = prop_oneof![Just(0.0f32), Just(0.9), 0f32..1.0, Just(1f32.next_down())];
    (1u32..6, momentum).prop_map(|(every, momentum)| Window { every, momentum })
}

/// Batches of every magnitude, some of which cannot count.
fn some_absmax() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => 0.01f32..100.0,
        2 => any::<f32>(),
        1 => prop::sample::select(vec![0.0, f32::NAN, f32::INFINITY, 2f32.powi(106), 2f32.powi(106).next_up()]),
    ]
}

fn by_oracle(by: Window) -> oracle::Window {
    oracle::Window { every: by.every, momentum: by.momentum }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn follows_the_oracle(
        by in some_window(),
        begun in prop::option::of(0.01f32..100.0),
        batches in prop::collection::vec((some_absmax(), 1usize..40), 1..30),
    ) {
        let state = RunningState::new(gpu(), begun).unwrap();
        let mut want = oracle::RunningState { average: begun.unwrap_or(0.0), ..Default::default() };
        // Nothing is read back before the last batch was launched.
        let mut on_gpu = Vec::new();
        for (absmax, rows) in &batches {
            let mut x = vec![0.0; rows * 7];
            x[rows * 3] = -absmax;
            let x = Activations::upload(gpu(), &x, Layout::contiguous(*rows as u64, 7)).unwrap();
            let (partials, _) = ops::tensor_absmax(gpu(), &x, Choice::Auto).unwrap();
            on_gpu.push(ops::running_scale(gpu(), &partials, &state, by, Choice::Auto).unwrap().0);
        }
        for (scale, (absmax, _)) in on_gpu.iter().zip(&batches) {
            let want = oracle::running_scale(&[*absmax], &mut want, by_oracle(by));
            assert_bits("running_scale", &scale.download().unwrap(), &[want], 1);
        }
        let got = state.read().unwrap();
        assert_bits("average and window", &[got.average, got.window], &[want.average, want.window], 1);
        prop_assert_eq!((got.samples, got.left_out), (want.samples, want.left_out));
    }

    #[test]
    fn a_layer_follows_its_batches(
        by in some_window(),
        begun: bool,
        (n, k) in (1usize..20, 1usize..150),
        batches in prop::collection::vec((0usize..9, prop::sample::select(&Kind::ALL[..])), 1..8),
        seed: u64,
    ) {
        let w: Vec<f32> = Kind::Uniform.matrix(n, k, !seed);
        let weights = HostMatrix { rows: n as u64, cols: k as u64, values: Values::F32(w.clone()) };
        let channels: Vec<f32> = scales(k, seed).iter().map(|s| 100.0 * s).collect();
        let calibration = begun.then(|| Calibration::from_channel_absmax(channels));
        let layer =
            QuantizedLinear::new(gpu(), &weights, None, Scheme::Running(by), calibration.as_ref()).unwrap();
        let average = calibration.map_or(0.0, |calibration| calibration.absmax());
        let mut state = oracle::RunningState { average, ..Default::default() };
        for (index, (rows, kind)) in batches.iter().enumerate() {
            let x: Vec<f16> = kind.matrix(*rows, k, seed ^ index as u64);
            let wide: Vec<f32> = x.iter().map(|v| v.to_f32()).collect();
            let want = oracle::linear(&wide, &w, k, oracle::Scheme::Running(state, by_oracle(by))).unwrap();
            oracle::running_scale(&wide, &mut state, by_oracle(by));
            let x = Activations::upload(gpu(), &x, Layout::contiguous(*rows as u64, k as u64)).unwrap();
            let tokens = layer.quantize(gpu(), &x).unwrap();
            assert_bits("codes", &tokens.codes.download_codes().unwrap(), &want.q_x, k);
            assert_bits("scale", &tokens.codes.download_scales().unwrap(), &want.s_x, 1);
            let mut y = Output::<f32>::new(gpu(), Layout::contiguous(*rows as u64, n as u64)).unwrap();
            layer.multiply(gpu(), &tokens, &mut y, &mut workspace(), Choice::Auto).unwrap();
            let y_want: Vec<f32> = want.outputs(None).into_iter().map(oracle::canonical).collect();
            assert_bits("y", &y.download().unwrap(), &y_want, n);
        }
    }
}

/// A batch's codes are made by what was before it: its own tokens do not know of each other.
#[test]
fn company_does_not_change_a_tokens_codes() {
    let (n, k) = (3, 40);
    let weights = HostMatrix { rows: n, cols: k, values: Values::F32(Kind::Uniform.matrix(3, 40, 1)) };
    let x: Vec<f32> = Kind::Outliers.matrix(6, 40, 2);
    let codes = |rows: usize| {
        let layer = QuantizedLinear::new(gpu(), &weights, None, Scheme::Running(Window::DEFAULT), None).unwrap();
        let first = Activations::upload(gpu(), &[1.5f32; 40], Layout::contiguous(1, k)).unwrap();
        layer.quantize(gpu(), &first).unwrap();
        let x = Activations::upload(gpu(), &x[..rows * 40], Layout::contiguous(rows as u64, k)).unwrap();
        layer.quantize(gpu(), &x).unwrap().codes.download_codes().unwrap()
    };
    let together = codes(6);
    for rows in 1..6 {
        assert_eq!(codes(rows), together[..rows * 40]);
    }
}

#[test]
fn rules_of_update_are_checked() {
    let refused = |by: Window| by.check().unwrap_err().to_string();
    assert!(refused(Window { every: 0, momentum: 0.5 }).contains("at least 1 sample"));
    for momentum in [-0.1, 1.0, f32::NAN] {
        assert!(refused(Window { every: 1, momentum }).contains("must lie in [0, 1)"));
    }
    for absmax in [0.0, f32::NAN, -1.0, f32::MAX] {
        assert!(RunningState::new(gpu(), Some(absmax)).err().unwrap().to_string().contains("2^-100"));
    }
}
