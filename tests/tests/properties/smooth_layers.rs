//! SmoothQuant on real layers (data/README.md): the errors that float64 predicts, outlier channels that do not matter, and
//! an exponent that is chosen as well as it can be.

use outerscale::{
    Dtype,
    files::Layer,
    host::{HostMatrix, Values},
    linear::{LinearResult, Reference, Scheme, linear},
    smooth::{Alpha, CANDIDATES, MARGIN, search_layer},
};
use outerscale_tests::{
    harness::*,
    simulation::{Grouping, Simulation},
};
use std::path::PathBuf;

const LAYERS: [&str; 5] =
    ["L0_intermediate", "L1_output_dense", "L2_attention_output", "L2_attention_output_injected60", "L5_output_dense"];

fn layer(name: &str) -> Layer {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data").join(format!("{name}.safetensors"));
    Layer::read(&file).unwrap_or_else(|e| panic!("{e}"))
}

const fn smooth_token(alpha: f64) -> Scheme {
    Scheme::SmoothToken { alpha: Alpha::Fixed(alpha) }
}

const fn smooth_static(alpha: f64) -> Scheme {
    Scheme::SmoothStatic { alpha: Alpha::Fixed(alpha) }
}

fn error(reference: &Reference<'_>, result: &LinearResult) -> f64 {
    reference.distance(&result.y).metrics.relative_error
}

/// The kernels' error is that of the paper's formula in real numbers, to 2 %.
#[test]
fn errors_are_those_of_float64() {
    for name in LAYERS {
        let layer = layer(name);
        let reference = Reference::of(&layer);
        let (x, w, k) = (layer.x.values.widen(), layer.w.values.widen(), layer.x.cols as usize);
        let calibrated = layer.calib_absmax.clone().unwrap();
        let alpha = 0.7;
        let factors: Vec<f64> = (0..k)
            .map(|j| {
                let most = w.iter().skip(j).step_by(k).fold(0.0, |most: f64, w| most.max(f64::from(*w).abs()));
                let factor = f64::from(calibrated[j]).powf(alpha) / most.max(1e-5).powf(1.0 - alpha);
                if calibrated[j] == 0.0 { 1.0 } else { factor.max(1e-5) }
            })
            .collect();
        let absmax = calibrated.iter().zip(&factors).fold(0.0, |most: f64, (x, s)| most.max(f64::from(*x) / s));
        for (scheme, grouping) in
            [(smooth_token(alpha), Grouping::Token), (smooth_static(alpha), Grouping::Absmax(absmax))]
        {
            let simulated = Simulation { factors: Some(&factors), ..Simulation::plain(&x, &w, k, grouping) }.products();
            let want = reference.distance_of_products(&simulated).metrics.relative_error;
            let got = error(&reference, &linear(gpu(), &layer, scheme, Dtype::F32).unwrap());
            println!("{name}, {}: {:.3} %, float64 {:.3} %", scheme.name(), 100.0 * got, 100.0 * want);
            assert!((got / want - 1.0).abs() < 0.02, "{name}, {}: {got} against {want}", scheme.name());
        }
    }
}

/// Six channels of x × 60 and their columns of w ÷ 60: smoothing takes it back, as its factors are 60 times as large.
#[test]
fn outlier_channels_do_not_matter() {
    let (plain, injected) = (layer("L2_attention_output"), layer("L2_attention_output_injected60"));
    let references = [Reference::of(&plain), Reference::of(&injected)];
    for scheme in [smooth_token(0.5), smooth_static(0.5), smooth_token(0.8), smooth_static(0.8)] {
        let [a, b] = [(&plain, &references[0]), (&injected, &references[1])]
            .map(|(layer, reference)| error(reference, &linear(gpu(), layer, scheme, Dtype::F32).unwrap()));
        println!("{}: {a:.9} and {b:.9}", scheme.name());
        assert!((a - b).abs() < 1e-6, "{}: {a} and {b}", scheme.name());
    }
    // What there would be to fear: a scale a token without smoothing.
    let [a, b] = [(&plain, &references[0]), (&injected, &references[1])]
        .map(|(layer, reference)| error(reference, &linear(gpu(), layer, Scheme::Token, Dtype::F32).unwrap()));
    assert!(b > 5.0 * a, "{a} and {b}");
}

/// After GELU a fixed 0.5 makes this layer worse than no smoothing, and the search does not.
#[test]
fn a_chosen_exponent_is_never_worse_than_none() {
    let layer = layer("L1_output_dense");
    let reference = Reference::of(&layer);
    for (scheme, plain, fixed) in [
        (Scheme::SmoothToken { alpha: Alpha::Auto }, Scheme::Token, smooth_token(0.5)),
        (Scheme::SmoothStatic { alpha: Alpha::Auto }, Scheme::Static, smooth_static(0.5)),
    ] {
        let result = linear(gpu(), &layer, scheme, Dtype::F32).unwrap();
        let of = |scheme| error(&reference, &linear(gpu(), &layer, scheme, Dtype::F32).unwrap());
        let (auto, none, half) = (error(&reference, &result), of(plain), of(fixed));
        println!(
            "{}: auto {auto:.5} ({}), none {none:.5}, 0.5 {half:.5}",
            scheme.name(),
            result.scheme.alpha().unwrap()
        );
        assert!(auto <= none && half > none, "{}: {auto}, {none}, {half}", scheme.name());
        let search = result.search.unwrap();
        assert_eq!(result.scheme.alpha(), Some(search.chosen));
        assert_eq!(search.curve.len(), 1 + CANDIDATES.len());
        assert_eq!((search.curve[0].alpha, search.judged_error() <= search.judged.plain), (Alpha::Off, true));
        assert!(search.curve.iter().all(|candidate| candidate.error >= search.best.error.min(search.curve[0].error)));
    }
}

/// A few tokens of a layer, so that a search takes no time.
fn small(edit: impl Fn(usize, &mut f32)) -> Layer {
    let (m, n, k) = (12, 8, 32);
    let wave = |len: usize, step: f32| (0..len).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
    let mut x = wave(m * k, 0.7);
    x.iter_mut().enumerate().for_each(|(i, x)| edit(i % k, x));
    let absmax = |j: usize| x.iter().skip(j).step_by(k).fold(0.0, |most: f32, x| most.max(x.abs()));
    Layer {
        calib_absmax: Some((0..k).map(absmax).collect()),
        x: HostMatrix { rows: m as u64, cols: k as u64, values: Values::F32(x) },
        w: HostMatrix { rows: n as u64, cols: k as u64, values: Values::F32(wave(n * k, 1.3)) },
        bias: None,
        sentence_id: Some((0..m as i32).map(|i| i / 4).collect()),
    }
}

/// Equal errors go to no smoothing, and among candidates to the smaller exponent.
#[test]
fn ties_go_to_less_smoothing() {
    // All zeros: every candidate is exact.
    let layer = small(|_, x| *x = 0.0);
    let calibration = Some(outerscale::linear::Calibration::from_channel_absmax(vec![1.0; 32]));
    let search = search_layer(gpu(), &layer, smooth_token(0.1), calibration.as_ref()).unwrap();
    assert!(search.curve.iter().all(|candidate| candidate.error == 0.0));
    assert_eq!((search.chosen, search.best.alpha), (Alpha::Off, Alpha::Fixed(CANDIDATES[0])));
    // Two sentences of the three choose.
    assert_eq!(search.tokens, [8, 4]);
}

/// The rule, checked on what it was decided by: a win is one by the margin, on the half that chooses.
#[test]
fn smoothing_must_win_by_the_margin() {
    for channel in 0..6 {
        // From no outliers to large ones.
        let layer = small(|j, x| *x *= if j == channel { [1.0, 1.2, 1.5, 3.0, 20.0, 60.0][channel] } else { 1.0 });
        let calibration = outerscale::linear::Calibration::of(&layer, smooth_token(0.5)).unwrap();
        for scheme in [smooth_token(0.5), smooth_static(0.5)] {
            let search = search_layer(gpu(), &layer, scheme, Some(&calibration)).unwrap();
            let (plain, best) = (search.curve[0].error, search.best.error);
            let wins = best < (1.0 - MARGIN) * plain;
            assert_eq!(search.chosen, if wins { search.best.alpha } else { Alpha::Off });
            let least = search.curve[1..].iter().fold(f64::INFINITY, |least, candidate| least.min(candidate.error));
            assert_eq!(best, least);
            assert!(channel < 4 || wins, "a channel × {} is smoothed: {search:?}", [20, 60][channel - 4]);
        }
    }
}

/// The half that judges has no say in the choice, not even where it would have had another.
#[test]
fn the_judging_half_does_not_choose() {
    let outlier = |x: &mut HostMatrix, rows: std::ops::Range<usize>| {
        let Values::F32(values) = &mut x.values else { unreachable!("they are f32") };
        rows.for_each(|row| values[32 * row + 3] *= 60.0);
    };
    let mut chosen = Vec::new();
    for scheme in [smooth_token(0.5), smooth_static(0.5)] {
        // Sentences of 4 tokens: 8 choose, 4 judge. Calibration has met the outliers.
        let mut everywhere = small(|_, _| {});
        outlier(&mut everywhere.x, 0..12);
        let calibration =
            outerscale::linear::Calibration::of(&small(|j, x| *x *= if j == 3 { 60.0 } else { 1.0 }), scheme);
        let mut first_only = small(|_, _| {});
        outlier(&mut first_only.x, 0..8);
        let [with, without] = [&everywhere, &first_only]
            .map(|layer| search_layer(gpu(), layer, scheme, Some(calibration.as_ref().unwrap())).unwrap());
        assert_eq!((with.chosen, &with.curve, with.best), (without.chosen, &without.curve, without.best));
        assert_ne!(with.chosen, Alpha::Off);
        assert_ne!(with.judged, without.judged);
        chosen.push(without);
    }
    // Without outliers a scale a token does worse smoothed: the choice is told so, and stands.
    assert!(chosen[0].judged_error() > chosen[0].judged.plain, "{:?}", chosen[0].judged);
}

/// What was chosen is what runs: the candidate's error on the judging half can be had again from the layer itself.
#[test]
fn the_judged_error_is_the_layers() {
    let layer = small(|j, x| *x *= if j == 3 { 40.0 } else { 1.0 });
    let scheme = Scheme::SmoothToken { alpha: Alpha::Auto };
    let result = linear(gpu(), &layer, scheme, Dtype::F32).unwrap();
    let search = result.search.as_ref().unwrap();
    assert_ne!(search.chosen, Alpha::Off);
    let (n, k) = (layer.w.rows as usize, layer.x.cols as usize);
    // A token's result does not depend on the others, so those of the last sentence stand in the whole result.
    let tail = search.tokens[0] as usize;
    let y: Vec<f64> = result.y.widen()[tail * n..].iter().map(|y| f64::from(*y)).collect();
    let exact = oracle::reference(&layer.x.values.widen()[tail * k..], &layer.w.values.widen(), None, k);
    let again = oracle::metrics(&y, &exact, y.len() / n, n).relative_error;
    assert!((again / search.judged_error() - 1.0).abs() < 1e-12, "{again} against {}", search.judged_error());
}
