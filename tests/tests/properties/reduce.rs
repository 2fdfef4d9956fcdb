//! `row_absmax`, `column_absmax` and `tensor_absmax`.

use half::{bf16, f16};
use outerscale::{Activations, ColumnAbsmax, ops};
use outerscale_tests::{
    data::{Kind, Value},
    harness::*,
};
use proptest::prelude::*;

fn widen<T: Value>(x: &[T]) -> Vec<f32> {
    x.iter().map(|v| v.widen()).collect()
}

fn row_absmax<T: Value>(place: Place, kind: Kind, seed: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let want = oracle::row_absmax(&widen(&x), place.rows, place.cols);
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    for variant in variants("row_absmax") {
        let (absmax, _) = ops::row_absmax(gpu(), &x, variant).unwrap();
        assert_bits(&format!("row_absmax {variant:?}"), &absmax.download().unwrap(), &want, 1);
    }
}

fn tensor_absmax<T: Value>(place: Place, kind: Kind, seed: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let want = oracle::tensor_absmax(&widen(&x));
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    for variant in variants("tensor_absmax") {
        let (partials, _) = ops::tensor_absmax(gpu(), &x, variant).unwrap();
        // Which block had which share is the kernel's own affair; the maximum of the maxima is not.
        let partials = partials.download().unwrap();
        assert_bits(&format!("tensor_absmax {variant:?}"), &[oracle::tensor_absmax(&partials)], &[want], 1);
        let canonical = partials.iter().all(|v| !v.is_nan() || v.to_bits() == 0x7fff_ffff);
        assert!(canonical, "tensor_absmax {variant:?}: a NaN that is not the canonical one: {partials:x?}");
    }
}

/// Batches of the same columns, each laid out in its own way, in the order given and in the reverse one: the maxima are
/// those of all their rows.
fn column_absmax<T: Value>(places: &[Place], cols: usize, kind: Kind, seed: u64) {
    let places: Vec<Place> = places.iter().map(|place| Place { cols, ..*place }).collect();
    let batches: Vec<Vec<T>> = places.iter().map(|place| kind.matrix(place.rows, cols, seed)).collect();
    let all = widen(&batches.concat());
    let want = oracle::column_absmax(&vec![0.0; cols], &all, all.len() / cols);
    for variant in variants("column_absmax") {
        for reversed in [false, true] {
            let absmax = ColumnAbsmax::new(gpu(), cols as u64).unwrap();
            let order: Vec<usize> =
                if reversed { (0..places.len()).rev().collect() } else { (0..places.len()).collect() };
            for i in order {
                let x = Activations::upload(gpu(), &batches[i], places[i].layout()).unwrap();
                ops::column_absmax(gpu(), &x, &absmax, variant).unwrap();
            }
            assert_bits(&format!("column_absmax {variant:?}"), &absmax.download().unwrap(), &want, cols);
        }
    }
}

/// Rows up to several blocks' of them.
fn tall_place() -> impl Strategy<Value = Place> {
    (some_place(), prop_oneof![3 => 0usize..40, 1 => 200usize..600])
        .prop_map(|(place, rows)| Place { rows: if place.cols > 600 { rows.min(40) } else { rows }, ..place })
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn row_absmax_f32(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        row_absmax::<f32>(place, kind, seed);
    }

    #[test]
    fn row_absmax_f16(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        row_absmax::<f16>(place, kind, seed);
    }

    #[test]
    fn row_absmax_bf16(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        row_absmax::<bf16>(place, kind, seed);
    }

    #[test]
    fn column_absmax_f32(places in prop::collection::vec(tall_place(), 1..4), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        column_absmax::<f32>(&places, places[0].cols, kind, seed);
    }

    #[test]
    fn column_absmax_f16(places in prop::collection::vec(tall_place(), 1..4), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        column_absmax::<f16>(&places, places[0].cols, kind, seed);
    }

    #[test]
    fn column_absmax_bf16(places in prop::collection::vec(tall_place(), 1..4), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        column_absmax::<bf16>(&places, places[0].cols, kind, seed);
    }

    #[test]
    fn tensor_absmax_f32(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        tensor_absmax::<f32>(place, kind, seed);
    }

    #[test]
    fn tensor_absmax_f16(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        tensor_absmax::<f16>(place, kind, seed);
    }

    #[test]
    fn tensor_absmax_bf16(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
        tensor_absmax::<bf16>(place, kind, seed);
    }
}

/// One large element in each place of a row in turn: a lane, a tail or a partial sum that is left out shows.
#[test]
fn no_element_is_left_out() {
    for cols in [1, 31, 33, 257, 1025] {
        // Row i holds its maximum at column i, and a NaN there in the second matrix.
        for largest in [1000.0, f32::NAN] {
            let mut x = vec![1.0f32; cols * cols];
            (0..cols).for_each(|i| x[i * cols + i] = largest);
            let want = oracle::row_absmax(&x, cols, cols);
            let place = Place { offset: 1, ..Place::contiguous(cols, cols) };
            let on_gpu = Activations::upload(gpu(), &x, place.layout()).unwrap();
            for variant in variants("row_absmax") {
                let (absmax, _) = ops::row_absmax(gpu(), &on_gpu, variant).unwrap();
                assert_bits("row_absmax", &absmax.download().unwrap(), &want, 1);
            }
        }
    }
}

/// One large element in each place in turn, in rows that change their alignment: a column taken for its neighbour, a
/// row or an edge that is left out shows.
#[test]
fn column_absmax_misses_no_element() {
    for (rows, cols, gap) in [(9, 37, 0), (70, 19, 3), (3, 300, 1)] {
        let place = Place { rows, cols, gap, offset: 1 };
        let absmax = ColumnAbsmax::new(gpu(), cols as u64).unwrap();
        let mut want = vec![0.0; cols];
        for (at, largest) in (0..rows * cols).step_by(7).zip(1u16..) {
            let mut x = vec![f16::from_f32(-0.25); rows * cols];
            x[at] = f16::from_f32(f32::from(largest));
            let on_gpu = Activations::upload(gpu(), &x, place.layout()).unwrap();
            ops::column_absmax(gpu(), &on_gpu, &absmax, ops::Choice::Auto).unwrap();
            want = oracle::column_absmax(&want, &widen(&x), rows);
        }
        assert_bits("column_absmax", &absmax.download().unwrap(), &want, cols);
    }
}

/// More rows than `tensor_absmax` has blocks: each block goes on to a second share.
#[test]
fn tensor_absmax_walks_on_past_its_grid() {
    let (rows, cols) = (1100, 8192);
    let mut x = vec![f16::ONE; rows * cols];
    x[rows * cols - 1] = f16::from_f32(-7.0);
    let x = Activations::upload(gpu(), &x, Place::contiguous(rows, cols).layout()).unwrap();
    let (partials, launch) = ops::tensor_absmax(gpu(), &x, ops::Choice::Auto).unwrap();
    assert_eq!(u64::from(launch.grid), contract::grid::MAX_PARTIALS);
    assert_eq!(oracle::tensor_absmax(&partials.download().unwrap()), 7.0);
}
