//! `quantize_token` (tokens and weight rows), `quantize_tensor`, `quantize_static`.

use half::{bf16, f16};
use outerscale::{Activations, Gpu, InputCounters, InputCounts, Scales, Weights, ops};
use outerscale_tests::{
    data::{Kind, Value},
    harness::*,
};
use proptest::prelude::*;

fn widen<T: Value>(x: &[T]) -> Vec<f32> {
    x.iter().map(|v| v.widen()).collect()
}

/// The codes with the zeros that follow each row.
fn padded(codes: &[i8], place: Place) -> Vec<i8> {
    oracle::pack_rows(codes, place.rows, place.cols, place.cols)
}

fn row_bytes(place: Place) -> usize {
    place.cols.next_multiple_of(128)
}

fn token<T: Value>(gpu: &Gpu, place: Place, kind: Kind, seed: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let (codes, scales) = oracle::quantize_token(&widen(&x), place.rows, place.cols);
    let want = padded(&codes, place);
    let tokens = Activations::upload(gpu, &x, place.layout()).unwrap();
    let weights = Weights::upload(gpu, &x, place.layout()).unwrap();
    for variant in variants("quantize_token") {
        let what = format!("quantize_token {variant:?}");
        let (q, _) = ops::quantize_token(gpu, &tokens, variant).unwrap();
        assert_bits(&format!("{what} scales"), &q.scales().download().unwrap(), &scales, 1);
        assert_bits(&what, &q.download_padded().unwrap(), &want, row_bytes(place));
        let (q, _) = ops::quantize_weights(gpu, &weights, variant).unwrap();
        assert_bits(&format!("{what} of weights, scales"), &q.scales().download().unwrap(), &scales, 1);
        let packed = oracle::pack_weights(&codes, place.rows, place.cols, place.cols);
        assert_bits(&format!("{what} of weights"), &q.codes().download_packed().unwrap(), &packed, 128);
    }
}

fn tensor<T: Value>(gpu: &Gpu, place: Place, kind: Kind, seed: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let (codes, scale) = oracle::quantize_tensor(&widen(&x));
    let x = Activations::upload(gpu, &x, place.layout()).unwrap();
    for variant in variants("quantize_tensor") {
        // No synchronisation between the two, as in the library's own use.
        let (partials, _) = ops::tensor_absmax(gpu, &x, ops::Choice::Auto).unwrap();
        let (q, _) = ops::quantize_tensor(gpu, &x, &partials, variant).unwrap();
        let what = format!("quantize_tensor {variant:?}");
        assert_bits(&format!("{what} scale"), &q.scales().download().unwrap(), &[scale], 1);
        assert_bits(&what, &q.download_padded().unwrap(), &padded(&codes, place), row_bytes(place));
    }
}

fn fixed<T: Value>(gpu: &Gpu, place: Place, kind: Kind, seed: u64, scale: f32) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let want = oracle::quantize_static(&widen(&x), scale).unwrap();
    let x = Activations::upload(gpu, &x, place.layout()).unwrap();
    let on_gpu = Scales::upload(gpu, &[scale]).unwrap();
    for variant in variants("quantize_static") {
        let counters = InputCounters::new(gpu).unwrap();
        // Twice: a count is added to what was there, and a launch without counters counts nothing.
        for counted in [Some(&counters), None, Some(&counters)] {
            let with = ops::StaticScale { scale: &on_gpu, counters: counted };
            let (q, _) = ops::quantize_static(gpu, &x, with, variant).unwrap();
            let what = format!("quantize_static {variant:?}");
            assert_bits(&what, &q.download_padded().unwrap(), &padded(&want.codes, place), row_bytes(place));
            assert_bits(&what, &q.scales().download().unwrap(), &[scale], 1);
        }
        let twice = InputCounts { non_finite: 2 * want.non_finite, saturated: 2 * want.saturated };
        assert_eq!(counters.read().unwrap(), twice, "quantize_static {variant:?}");
    }
}

/// Scales from one end of the range to the other, most of them where the data saturates or just does not.
fn some_scale() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => (0u32..0x80_0000, 118u32..124).prop_map(|(fraction, exponent)| f32::from_bits(exponent << 23 | fraction)),
        2 => (-8i32..6).prop_map(|power| 2f32.powi(power)),
        1 => (0u32..0x80_0000, 27u32..227).prop_map(|(fraction, exponent)| f32::from_bits(exponent << 23 | fraction)),
        1 => prop::sample::select(vec![2f32.powi(-100), 2f32.powi(100)]),
    ]
}

macro_rules! for_each_type {
    ($($type:ident: $token:ident $tensor:ident $fixed:ident),*) => {
        proptest! {
            #![proptest_config(cases(50))]
            $(
                #[test]
                fn $token(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
                    token::<$type>(gpu(), place, kind, seed);
                }
                #[test]
                fn $tensor(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
                    tensor::<$type>(gpu(), place, kind, seed);
                }
                #[test]
                fn $fixed(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64, scale in some_scale()) {
                    fixed::<$type>(gpu(), place, kind, seed, scale);
                }
            )*
        }
    };
}

for_each_type!(f32: token_f32 tensor_f32 static_f32, f16: token_f16 tensor_f16 static_f16, bf16: token_bf16 tensor_bf16 static_bf16);

/// Rows at and past what is kept in registers between the reduction and the codes.
#[test]
fn long_rows() {
    for cols in [16_383, 16_384, 16_385, 20_001] {
        for (rows, offset) in [(1, 0), (2, 3)] {
            let place = Place { rows, cols, gap: 0, offset };
            token::<f16>(gpu(), place, Kind::NearTies, cols as u64);
            tensor::<f16>(gpu(), place, Kind::NearTies, cols as u64);
        }
        token::<f32>(gpu(), Place::contiguous(1, cols), Kind::NearTies, 1);
        token::<bf16>(gpu(), Place::contiguous(1, cols), Kind::NonFinite, 1);
    }
}

/// The longest row that a product takes.
#[test]
fn the_longest_row() {
    let cols = oracle::MAX_K;
    token::<bf16>(gpu(), Place::contiguous(1, cols), Kind::Uniform, 5);
    fixed::<bf16>(gpu(), Place::contiguous(1, cols), Kind::Outliers, 5, 0.02);
}

/// Every finite f16 under scales of every significand's kind: more than any sample finds.
#[test]
fn every_f16_under_a_static_scale() {
    let x: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    let on_gpu = Activations::upload(gpu(), &x, Place::contiguous(64, 1024).layout()).unwrap();
    for scale in [0.02f32, 1.0, 1.0f32.next_down(), 1.0f32.next_up(), 12.345, 516.0, 3e-6] {
        let want = oracle::quantize_static(&widen(&x), scale).unwrap();
        let (counters, uploaded) = (InputCounters::new(gpu()).unwrap(), Scales::upload(gpu(), &[scale]).unwrap());
        let with = ops::StaticScale { scale: &uploaded, counters: Some(&counters) };
        let (q, _) = ops::quantize_static(gpu(), &on_gpu, with, ops::Choice::Auto).unwrap();
        assert_bits(&format!("scale {scale:e}"), &q.download_codes().unwrap(), &want.codes, 1024);
        assert_eq!(counters.read().unwrap(), InputCounts { non_finite: 2 * 1024, saturated: want.saturated });
    }
}

/// Numbers beside the least that saturates, under scales of every significand's kind and both ends of their range.
#[test]
fn saturation_begins_at_one_number() {
    let significands =
        (0..0x80_0000u32).step_by(65_521).flat_map(|fraction| [fraction, fraction | 1, 0x7f_ffff - fraction]);
    let scales = significands.map(|fraction| 0x3c00_0000 | fraction).map(f32::from_bits);
    for scale in scales.chain([2f32.powi(-100), 2f32.powi(100)]) {
        let edge = (scale * 127.5).to_bits();
        let x: Vec<f32> =
            (edge - 4..=edge + 4).flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)]).collect();
        let want = oracle::quantize_static(&x, scale).unwrap().saturated;
        assert!((1..x.len() as u64).contains(&want), "scale {scale:e}: the edge is among x");
        let on_gpu = Activations::upload(gpu(), &x, Place::contiguous(1, x.len()).layout()).unwrap();
        let (counters, uploaded) = (InputCounters::new(gpu()).unwrap(), Scales::upload(gpu(), &[scale]).unwrap());
        let with = ops::StaticScale { scale: &uploaded, counters: Some(&counters) };
        ops::quantize_static(gpu(), &on_gpu, with, ops::Choice::Auto).unwrap();
        assert_eq!(counters.read().unwrap().saturated, want, "scale {scale:e}");
    }
}

/// A row for every significand that the largest element can have, ordinary and subnormal: each gives its own
/// scale, and half of it is where a quotient that is a little off shows.
fn every_largest<T: Value>(patterns: impl Iterator<Item = u32>) {
    let rows: Vec<[T; 3]> = patterns
        .map(|bits| {
            let largest = T::from_raw(bits).widen();
            [-largest / 2.0, largest, largest / 3.0].map(T::narrow)
        })
        .collect();
    let x = rows.concat();
    let (codes, scales) = oracle::quantize_token(&widen(&x), rows.len(), 3);
    let x = Activations::upload(gpu(), &x, Place::contiguous(rows.len(), 3).layout()).unwrap();
    for variant in variants("quantize_token") {
        let (q, _) = ops::quantize_token(gpu(), &x, variant).unwrap();
        assert_bits(&format!("{variant:?} scales"), &q.scales().download().unwrap(), &scales, 1);
        assert_bits(&format!("{variant:?}"), &q.download_codes().unwrap(), &codes, 3);
    }
}

#[test]
fn every_significand_of_the_largest_element() {
    // f16: the subnormals, then 0.5 to 1. bf16: all exponents that matter with a few others.
    every_largest::<f16>((1..0x400).chain(0x3800..0x3c00));
    every_largest::<bf16>((0..8u32).flat_map(|i| (0..0x80).map(move |fraction| (16 * i + 15) << 7 | fraction)));
    // Where the rest of the reciprocal is subnormal, so that it counts how it is rounded.
    every_largest::<bf16>((0..0x280u32).map(|fraction| 250 << 7 | fraction));
    every_largest::<f32>((0..0x80_0000u32).step_by(8191).map(|fraction| 0x3f00_0000 | fraction));
}
